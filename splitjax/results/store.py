"""Results on disk: a folder that a killed run resumes from."""

from collections.abc import Iterable, Mapping, Sequence
import json
import os
import pathlib
import shutil
from typing import Any

from splitjax import files
from splitjax.results.rows import Cell
from splitjax.results.rows import Row
from splitjax.results.rows import cell_of
from splitjax.results.rows import to_csv

RESULT_FILES = ('config.json', 'results.jsonl', 'results.csv')
REPORT_FILES = ('leakage.png', 'leakage.svg', 'report.html')


class Results:
  """The rows of a run, written to disk after every finished cell.

  A folder belongs to one configuration. Opened again with an equal one, it
  gives back the finished cells, so that a killed run resumes. Without a folder
  the rows are kept in memory, and `save` writes them.

  Attributes:
    path: the folder, None where rows are kept in memory alone.
  """

  def __init__(
    self,
    out_dir: str | os.PathLike | None,
    config: Mapping[str, Any],
    cells: Sequence[Cell],
    *,
    overwrite: bool = False,
    writes: bool = True,
  ) -> None:
    """Open the folder, if it is there.

    Args:
      out_dir: the folder, or None to keep the rows in memory.
      config: JSON values that say what is run, and how; what stands under
        'run' may differ when the folder is opened again.
      cells: all cells, in the order in which the files hold them.
      overwrite: whether `begin` removes what an earlier run left.
      writes: whether to touch the folder at all; of several processes that run
        together, one does.

    Raises:
      ValueError: if the folder holds results of another configuration, or
        result files that this class did not write.
      OSError: if it cannot be read.
    """
    self.path = None if out_dir is None else pathlib.Path(out_dir)
    self._writes = writes and self.path is not None
    self._cells = cells
    self._config = json.loads(json.dumps(config))
    self._rows: dict[Cell, list[Row]] = {}
    self._overwrite = overwrite and self._writes
    if self.path is None or not self._writes or overwrite:
      return
    if any((self.path / name).exists() for name in RESULT_FILES):
      self._load(self.path)

  def _load(self, path: pathlib.Path) -> None:
    """Read the cells that an earlier run of the same configuration finished."""
    try:
      saved = json.loads((path / 'config.json').read_text())
      if not isinstance(saved, dict):
        raise TypeError('config.json must hold an object')
      # A run killed while it wrote its first cell leaves config.json alone.
      lines = path / 'results.jsonl'
      text = lines.read_text() if lines.exists() else ''
      rows = [json.loads(line) for line in text.splitlines()]
      cells = [cell_of(row) for row in rows]
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
      raise ValueError('it holds files that no run finished') from error
    other = _difference(saved, self._config)
    if other:
      raise ValueError(f'it holds results of another run: {other}')
    for cell, row in zip(cells, rows, strict=True):
      self._rows.setdefault(cell, []).append(row)

  def begin(self) -> None:
    """Remove what is to be overwritten; call it before the first cell is added.

    It is not removed earlier, so that a run that fails in training costs
    nothing.
    """
    if self._overwrite and self.path is not None:
      for name in (*RESULT_FILES, *REPORT_FILES):
        (self.path / name).unlink(missing_ok=True)
      shutil.rmtree(self.path / 'records', ignore_errors=True)
      self._overwrite = False

  def skip(self, cells: Iterable[Cell]) -> None:
    """Take cells as finished whose rows another process has."""
    for cell in cells:
      self._rows.setdefault(cell, [])

  def __contains__(self, cell: Cell) -> bool:
    """Return whether a cell is finished."""
    return cell in self._rows

  @property
  def complete(self) -> bool:
    """Whether every cell is finished."""
    return all(cell in self for cell in self._cells)

  def rows(self) -> list[Row]:
    """Return the rows of all finished cells, in the order of the cells."""
    finished = [cell for cell in self._cells if cell in self]
    return [row for cell in finished for row in self._rows[cell]]

  def add(self, cell: Cell, rows: Sequence[Row]) -> None:
    """Add the rows of a finished cell, and write all rows down.

    The folder is made with the first cell: a run that fails before leaves
    nothing.

    Args:
      cell: the finished cell.
      rows: its rows.
    """
    self._rows[cell] = list(rows)
    if self._writes and self.path is not None:
      self.save(self.path)

  def save(self, folder: str | os.PathLike) -> None:
    """Write the configuration and all rows, each file whole or not at all.

    Args:
      folder: where to write `config.json`, `results.jsonl` and `results.csv`;
        made if it is not there.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = self.rows()
    for name, text in (
      (
        'config.json',
        json.dumps(self._config, indent=2, sort_keys=True) + '\n',
      ),
      ('results.jsonl', ''.join(json.dumps(row) + '\n' for row in rows)),
      ('results.csv', to_csv(rows)),
    ):
      with files.replacing(folder / name) as path:
        path.write_text(text)


def _difference(old: Any, new: Any, name: str = 'it') -> str:
  """Return the first entry in which two configurations differ, in words."""
  if not (isinstance(old, dict) and isinstance(new, dict)):
    return '' if old == new else f'{name} was {old!r}, is {new!r}'
  names = sorted((set(old) | set(new)) - {'run'})
  found = (_difference(old.get(n), new.get(n), n) for n in names)
  return next(filter(None, found), '')
