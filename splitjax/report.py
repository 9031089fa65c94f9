"""Results: long-form rows, and the files that hold them."""

from collections.abc import Iterable, Mapping, Sequence
import csv
import io
import json
import math
import os
import pathlib
import shutil
from typing import Any, NamedTuple

import numpy as np

from splitjax import files
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
)


class Setting(NamedTuple):
  """What was attacked, and under which hyperparameters.

  Attributes:
    dataset: its name.
    model: its name.
    cut: the cut; 'A-B@A' for cut A of a model that is cut at A and B; 'any' for
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


class Cell(NamedTuple):
  """One attack on one intermediate in one phase: the unit of resuming."""

  setting: Setting
  phase: str
  intermediate: str
  attack: str


Row = dict[str, Any]

# Measures that a clock gives, which no seed repeats, and how to print them.
TIMES = {'samples_per_second': ',.0f', 'compile_seconds': '.2f'}

RESULT_FILES = ('config.json', 'results.jsonl', 'results.csv')


def cell_rows(
  cell: Cell,
  measures: Mapping[str, np.ndarray],
  *,
  num_scored: int,
  seconds: float | None,
) -> list[Row]:
  """One row for each measure of a cell.

  Args:
    cell: what was attacked, and how.
    measures: figures by name, one a trial, `[S, R]` (seeds, draws).
    num_scored: samples scored in a trial.
    seconds: run time of one trial, None where nothing was timed.

  Returns:
    Rows with the keys of `COLUMNS`, and `values`, the figure of every trial.
    An interval that one trial cannot give is None.
  """
  rows = []
  for measure, values in measures.items():
    low, high = metrics.bootstrap_interval(values)
    rows.append(
      {
        **cell.setting._asdict(),
        'phase': cell.phase,
        'intermediate': cell.intermediate,
        'attack': cell.attack,
        'measure': measure,
        'mean': float(np.mean(values)),
        'ci_low': None if math.isnan(low) else low,
        'ci_high': None if math.isnan(high) else high,
        'trials': int(np.size(values)),
        'num_scored': int(num_scored),
        'seconds': seconds,
        'values': np.asarray(values).tolist(),
      }
    )
  return rows


class Results:
  """The rows of a run, kept on disk after every finished cell.

  A folder belongs to one configuration: opened again with the same one, it
  gives back the finished cells, so that a killed run resumes.
  """

  def __init__(
    self,
    out_dir: str | os.PathLike,
    config: Mapping[str, Any],
    cells: Sequence[Cell],
    *,
    overwrite: bool = False,
    writes: bool = True,
  ):
    """Opens the folder, if it is there.

    Args:
      out_dir: the folder.
      config: JSON values that say what is run, and how; what stands under
        'run' may differ when the folder is opened again.
      cells: all cells, in the order in which the files hold them.
      overwrite: whether to replace what an earlier run left, see `begin`.
      writes: whether to touch the folder at all; of several processes that run
        together, one does.

    Raises:
      ValueError: if the folder holds results of another configuration, or
        result files that this class did not write.
      OSError: if it cannot be read.
    """
    self.path = pathlib.Path(out_dir)
    self._cells = cells
    self._config = json.loads(json.dumps(config))
    self._rows: dict[Cell, list[Row]] = {}
    self._overwrite = overwrite and writes
    self._writes = writes
    found = writes and any((self.path / n).exists() for n in RESULT_FILES)
    if overwrite or not found:
      return
    try:
      saved = json.loads((self.path / 'config.json').read_text())
      if not isinstance(saved, dict):
        raise TypeError('config.json must hold an object')
      # A run killed while it wrote its first cell leaves config.json alone.
      path = self.path / 'results.jsonl'
      text = path.read_text() if path.exists() else ''
      rows = [json.loads(line) for line in text.splitlines()]
      cells_of_rows = [cell_of(row) for row in rows]
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
      raise ValueError('it holds files that no run finished') from error
    other = _difference(saved, self._config)
    if other:
      raise ValueError(f'it holds results of another run: {other}')
    for cell, row in zip(cells_of_rows, rows, strict=True):
      self._rows.setdefault(cell, []).append(row)

  def begin(self) -> None:
    """Removes what is to be overwritten; to be called before the first cell.

    Not earlier, so that a run that fails in training costs nothing.
    """
    if self._overwrite:
      for name in (*RESULT_FILES, 'leakage.png', 'report.html'):
        (self.path / name).unlink(missing_ok=True)
      shutil.rmtree(self.path / 'records', ignore_errors=True)

  def skip(self, cells: Iterable[Cell]) -> None:
    """Takes cells as finished, whose rows another process has."""
    for cell in cells:
      self._rows.setdefault(cell, [])

  def __contains__(self, cell: Cell) -> bool:
    return cell in self._rows

  @property
  def complete(self) -> bool:
    """Whether every cell is finished."""
    return all(cell in self for cell in self._cells)

  def rows(self) -> list[Row]:
    """The rows of all finished cells."""
    finished = [cell for cell in self._cells if cell in self]
    return [row for cell in finished for row in self._rows[cell]]

  def add(self, cell: Cell, rows: Sequence[Row]) -> None:
    """Adds the rows of a finished cell, and writes all down.

    The folder is made with the first cell: a run that fails before leaves
    nothing.

    Args:
      cell: the finished cell.
      rows: its rows.
    """
    self._rows[cell] = list(rows)
    if not self._writes:
      return
    self.path.mkdir(parents=True, exist_ok=True)
    with files.replacing(self.path / 'config.json') as path:
      path.write_text(json.dumps(self._config, indent=2, sort_keys=True) + '\n')
    with files.replacing(self.path / 'results.jsonl') as path:
      path.write_text(''.join(json.dumps(row) + '\n' for row in self.rows()))
    with files.replacing(self.path / 'results.csv') as path:
      path.write_text(to_csv(self.rows()))


def cell_of(row: Row) -> Cell:
  """The cell that a row belongs to."""
  setting = Setting(*(row[name] for name in Setting._fields))
  return Cell(setting, row['phase'], row['intermediate'], row['attack'])


def by_cell(rows: Iterable[Row], measure: str) -> dict[Cell, Row]:
  """The rows of one measure, by what was attacked."""
  return {cell_of(row): row for row in rows if row['measure'] == measure}


def _difference(old, new, name='it'):
  """The first entry in which two configurations differ, in words."""
  if not (isinstance(old, dict) and isinstance(new, dict)):
    return '' if old == new else f'{name} was {old!r}, is {new!r}'
  names = sorted((set(old) | set(new)) - {'run'})
  found = (_difference(old.get(n), new.get(n), n) for n in names)
  return next(filter(None, found), '')


def to_csv(rows: Iterable[Row]) -> str:
  """Rows as CSV with the columns of `COLUMNS`; an unknown number is empty.

  Args:
    rows: from `cell_rows`.

  Returns:
    The text.
  """
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(COLUMNS)
  for row in rows:
    writer.writerow([_csv_value(row[column]) for column in COLUMNS])
  return text.getvalue()


def _csv_value(value):
  return f'{value:.6g}' if isinstance(value, float) else value
