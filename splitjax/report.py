"""Results: long-form rows, the files that hold them, and a table to read."""

from collections.abc import Iterable, Mapping, Sequence
import csv
import io
import json
import math
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np
import tabulate

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
)


class Setting(NamedTuple):
  """What was attacked: the columns that a cell's rows share."""

  dataset: str
  model: str
  cut: str
  defense: str = 'none'
  strength: float = 0.0


class Cell(NamedTuple):
  """One attack on one intermediate in one phase: the unit of resuming."""

  phase: str
  intermediate: str
  attack: str


Row = dict[str, Any]


def cell_rows(
  setting: Setting,
  cell: Cell,
  measures: Mapping[str, np.ndarray],
  *,
  num_scored: int,
  seconds: float | None,
) -> list[Row]:
  """One row for each measure of a cell.

  Args:
    setting: what was attacked.
    cell: how.
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
        **setting._asdict(),
        **cell._asdict(),
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
  ):
    """Opens or creates the folder.

    Args:
      out_dir: the folder.
      config: JSON values that say what is run, and how.
      cells: all cells, in the order in which the files hold them.

    Raises:
      ValueError: if the folder holds results of another configuration, or what
        it holds cannot be read.
      OSError: if it cannot be read or created.
    """
    self.path = pathlib.Path(out_dir)
    self._cells = cells
    self._rows: dict[Cell, list[Row]] = {}
    text = json.dumps(config, indent=2, sort_keys=True) + '\n'
    config_path = self.path / 'config.json'
    if not config_path.exists():
      self.path.mkdir(parents=True, exist_ok=True)
      with files.replacing(config_path) as path:
        path.write_text(text)
      return
    other = _difference(json.loads(config_path.read_text()), json.loads(text))
    if other:
      raise ValueError(f'it holds results of another run: {other}')
    results_path = self.path / 'results.jsonl'
    if results_path.exists():
      for line in results_path.read_text().splitlines():
        row = json.loads(line)
        self._rows.setdefault(cell_of(row), []).append(row)

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
    """Adds the rows of a finished cell, and writes all down."""
    self._rows[cell] = list(rows)
    with files.replacing(self.path / 'results.jsonl') as path:
      path.write_text(''.join(json.dumps(row) + '\n' for row in self.rows()))
    with files.replacing(self.path / 'results.csv') as path:
      path.write_text(to_csv(self.rows()))


def cell_of(row: Row) -> Cell:
  """The cell that a row belongs to."""
  return Cell(*(row[name] for name in Cell._fields))


def _difference(old, new):
  """The first entry in which two configurations differ, in words."""
  for name in sorted(set(old) | set(new)):
    if old.get(name) != new.get(name):
      return f'{name} was {old.get(name)!r}, is {new.get(name)!r}'
  return ''


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


def figure(row: Row) -> str:
  """A row's mean and interval in percent, as the tables show them."""
  mean = f'{100 * row["mean"]:.1f}'
  if row['ci_low'] is None:
    return mean
  return f'{mean} [{100 * row["ci_low"]:.1f}, {100 * row["ci_high"]:.1f}]'


def pivot(
  rows: Sequence[Row],
  lines: Sequence[tuple[str, str, str]],
  attacks: Sequence[str],
  *,
  measure: str,
  style: str = 'simple',
) -> str:
  """A table of attacks by what they read.

  Args:
    rows: from `cell_rows`.
    lines: (phase, intermediate, what to call it), one a line.
    attacks: one a column.
    measure: which measure to show, in percent.
    style: of `tabulate`: 'simple', 'github', 'html'.

  Returns:
    The table.
  """
  figures = {
    cell_of(row): figure(row) for row in rows if row['measure'] == measure
  }
  body = [
    [phase, title]
    + [figures.get(Cell(phase, intermediate, name), '') for name in attacks]
    for phase, intermediate, title in lines
  ]
  return tabulate.tabulate(
    body,
    headers=['phase', 'what is read', *attacks],
    tablefmt=style,
    disable_numparse=True,
    colalign=['left', 'left', *['right'] * len(attacks)],
  )
