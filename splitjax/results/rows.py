"""Results in long form: a row for each figure of each attack."""

from collections.abc import Iterable, Mapping
import csv
import io
import math
from typing import Any, NamedTuple

import numpy as np

from splitjax import metrics

COLUMNS = (
  'dataset',
  'model',
  'cut',
  'defense',
  'strength',
  'phase',
  'intermediate',
  'attack',
  'measure',
  'mean',
  'ci_low',
  'ci_high',
  'trials',
  'num_scored',
  'seconds',
  'epochs',
  'batch_size',
  'learning_rate',
  'recorded_epoch',
  'num_aux',
  'num_passes',
  'party',
)

ANY = 'any'  # The cut or the party of what depends on none of them.


class Setting(NamedTuple):
  """What was attacked, and under which hyperparameters.

  Attributes:
    dataset: its name.
    model: its name.
    cut: the cut; 'A-B@A' for cut A of a model that is cut at A and B; `ANY` for
      what does not depend on it.
    defense: its name.
    strength: of the defense.
    epochs: passes over the training set.
    batch_size: samples of a step.
    learning_rate: of the training.
    recorded_epoch: the pass whose cut gradients were recorded, from 1.
    num_aux: samples of each class whose labels the attacker knows; of real
      targets, samples in all.
    num_passes: over how many passes a sample's gradients were averaged.
    party: which of several parties attacks: a number from 0, several that
      work together as '0+2' or '0-3', `ANY` for what does not depend on it;
      'client' where there is one.
  """

  dataset: str
  model: str
  cut: str
  defense: str = 'none'
  strength: float = 0.0
  epochs: int = 1
  batch_size: int = 1
  learning_rate: float = 0.0
  recorded_epoch: int = 1
  num_aux: int = 1
  num_passes: int = 1
  party: str = 'client'


class Cell(NamedTuple):
  """One attack on one intermediate in one phase: the unit of resuming."""

  setting: Setting
  phase: str
  intermediate: str
  attack: str


Row = dict[str, Any]

# Measures by which leakage is judged.
JUDGED = ('accuracy', 'balanced_accuracy')

# Measures that a clock gives, which no seed repeats, and how to print them.
TIMES = {'samples_per_second': ',.0f', 'compile_seconds': '.2f'}


def cell_rows(
  cell: Cell,
  measures: Mapping[str, np.ndarray],
  *,
  num_scored: int,
  seconds: float | None,
  deleted: Mapping[str, np.ndarray] | None = None,
) -> list[Row]:
  """Make one row for each measure of a cell.

  Args:
    cell: what was attacked, and how.
    measures: figures by name, one a trial, `[S, R]` (seeds, draws).
    num_scored: samples scored in a trial.
    seconds: run time of one trial, None where nothing was timed.
    deleted: figures by name without each group of samples, `[G, S, R]`, from
      `metrics.deleted`. A measure that is not there has an interval for other
      networks and draws, and the same samples.

  Returns:
    Rows with the keys of `COLUMNS`, and `values`, the figure of every trial.
    An interval that one trial cannot give is None. Those of `JUDGED` measures
    also have `deleted`, from which leakage is judged.
  """
  rows = []
  for measure, values in measures.items():
    groups = (deleted or {}).get(measure)
    low, high = metrics.interval(
      values,
      groups,
      bounds=metrics.bounds_of(measure),
      num_samples=None if groups is None else int(num_scored),
    )
    rows.append(
      {
        **cell.setting._asdict(),
        'phase': cell.phase,
        'intermediate': cell.intermediate,
        'attack': cell.attack,
        'measure': measure,
        'mean': float(np.mean(values)),
        'ci_low': None if math.isnan(low) else float(low),
        'ci_high': None if math.isnan(high) else float(high),
        'trials': int(np.size(values)),
        'num_scored': int(num_scored),
        'seconds': seconds,
        'values': np.asarray(values).tolist(),
      }
    )
    if measure in JUDGED and groups is not None:
      rows[-1]['deleted'] = np.asarray(groups).round(6).tolist()
  return rows


def cell_of(row: Row) -> Cell:
  """Return the cell that a row belongs to."""
  # Rows of an earlier version lack what has a default.
  setting = Setting(**{x: row[x] for x in Setting._fields if x in row})
  return Cell(setting, row['phase'], row['intermediate'], row['attack'])


def by_cell(rows: Iterable[Row], measure: str) -> dict[Cell, Row]:
  """Return the rows of one measure, by what was attacked."""
  return {cell_of(row): row for row in rows if row['measure'] == measure}


def to_csv(rows: Iterable[Row]) -> str:
  """Write rows as CSV; a number that is not known is empty.

  Args:
    rows: from `cell_rows`.

  Returns:
    The text.
  """
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(COLUMNS)
  for row in rows:
    row = {**Setting._field_defaults, **row}
    writer.writerow([_csv_value(row[column]) for column in COLUMNS])
  return text.getvalue()


def _csv_value(value: Any) -> Any:
  """Shorten a number for a file that people read."""
  return f'{value:.6g}' if isinstance(value, float) else value
