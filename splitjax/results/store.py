"""Results on disk: a folder that a killed run resumes from."""

from collections.abc import Iterable, Mapping, Sequence
import hashlib
import json
import os
import pathlib
import re
import shutil
from typing import Any

from splitjax import files
from splitjax.results.rows import Cell
from splitjax.results.rows import Row
from splitjax.results.rows import cell_of
from splitjax.results.rows import to_csv

RESULT_FILES = ('config.json', 'results.jsonl', 'results.csv')
REPORT_FILES = ('leakage.png', 'leakage.svg', 'report.html')
RECORDS = 'records'
_RECORD = re.compile(
  r'\.?(training|inference)-\w+(-epoch\d+)?-cut\d+'
  r'(-party\d+)?-seed\d+'
)
_DIGEST = 'digest'  # In `results.jsonl` alone: what a line belongs to.


class Results:
  """The rows of a run, written to disk after every finished cell.

  A folder belongs to one configuration. Opened again with an equal one, it
  gives back the finished cells, so that a killed run resumes. Without a folder
  the rows are kept in memory, and `save` writes them.

  Attributes:
    path: the folder, None where rows are kept in memory alone.
    notes: what was amiss in the folder, and is mended; a sentence each.
  """

  def __init__(
    self,
    out_dir: str | os.PathLike | None,
    config: Mapping[str, Any],
    cells: Sequence[Cell],
    *,
    overwrite: bool = False,
    resume: bool = False,
    writes: bool = True,
  ) -> None:
    """Open the folder, if it is there.

    What a killed run left half-written is written anew.

    Args:
      out_dir: the folder, or None to keep the rows in memory.
      config: JSON values that say what is run, and how; what stands under
        'run' may differ when the folder is opened again.
      cells: all cells, in the order in which the files hold them.
      overwrite: whether the first results replace what an earlier run left.
      resume: whether results of an equal configuration are gone on with even
        where `overwrite` is asked for.
      writes: whether to touch the folder at all; of several processes that run
        together, one does.

    Raises:
      ValueError: if a cell is there twice, or the folder holds results of
        another configuration, or result files that this class did not write.
      OSError: if it cannot be read.
    """
    if len(set(cells)) < len(cells):
      twice = next(x for x in cells if cells.count(x) > 1)
      raise ValueError(f'cells must be distinct, got twice {twice}.')
    self.path = None if out_dir is None else pathlib.Path(out_dir)
    self.notes: list[str] = []
    self._writes = writes and self.path is not None
    self._cells = cells
    self._config = json.loads(json.dumps(config))
    self._rows: dict[Cell, list[Row]] = {}
    self._lines: dict[Cell, str] = {}
    self._overwrite = overwrite and self._writes
    if self.path is None or not self._writes or (overwrite and not resume):
      return
    try:
      if any((self.path / name).exists() for name in RESULT_FILES):
        self._load(self.path)
      self._overwrite = False
    except ValueError:
      if not overwrite:
        raise

  def _load(self, path: pathlib.Path) -> None:
    """Read the cells that an earlier run of the same configuration finished."""
    other = _difference(_read_config(path / 'config.json'), self._config)
    if other:
      raise ValueError(f'it holds results of another run: {other}')
    # A run killed while it wrote its first cell leaves config.json alone.
    whole, damaged = _read_cells(path / 'results.jsonl', self._config)
    for cell, rows in whole.items():
      self._keep(cell, rows)
    if damaged:
      self.notes.append(
        f'results.jsonl is damaged: of {len(whole) + damaged} attacks '
        f'{damaged} are measured again'
      )
    rows, table = self.rows(), path / 'results.csv'
    if self.notes or not _holds(table, to_csv(rows)):
      if rows and not self.notes:
        self.notes.append('results.csv is written anew from results.jsonl')
      self.save(path)

  def _keep(self, cell: Cell, rows: Sequence[Row]) -> None:
    """Take a cell as finished."""
    digest = {_DIGEST: _digest(self._config, rows)}
    self._rows[cell] = list(rows)
    self._lines[cell] = ''.join(json.dumps(x | digest) + '\n' for x in rows)

  def begin(self) -> None:
    """Remove what is to be overwritten; called when there is something to put.

    A run that fails in training costs nothing.
    """
    if self._overwrite and self.path is not None:
      self._overwrite = False
      # The configuration last: rows are never taken for those of another.
      for name in (*REPORT_FILES, *reversed(RESULT_FILES)):
        (self.path / name).unlink(missing_ok=True)
      records = self.path / RECORDS
      if records.is_dir():
        for path in filter(_is_record, records.iterdir()):
          shutil.rmtree(path, ignore_errors=True)
        if not any(records.iterdir()):
          records.rmdir()

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
    self._keep(cell, rows)
    if self._writes and self.path is not None:
      self.begin()
      self.save(self.path)

  def note(self, name: str, value: Any) -> None:
    """Say of a run what makes it no other one, under 'run' in `config.json`.

    Args:
      name: what it is called there.
      value: JSON values.
    """
    self._config = {
      **self._config,
      'run': {**self._config.get('run', {}), name: value},
    }
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
    for name, text in (
      (
        'config.json',
        json.dumps(self._config, indent=2, sort_keys=True) + '\n',
      ),
      ('results.jsonl', ''.join(self._lines.get(x, '') for x in self._cells)),
      ('results.csv', to_csv(self.rows())),
    ):
      with files.replacing(folder / name) as path:
        path.write_text(text, encoding='utf-8')


def read(folder: str | os.PathLike) -> tuple[dict[str, Any], list[Row]]:
  """Return the configuration and the rows of a run, as they were written.

  Args:
    folder: the folder of the run.

  Raises:
    ValueError: if no run wrote its files, or they were changed since.
  """
  path = pathlib.Path(folder)
  config = _read_config(path / 'config.json')
  whole, damaged = _read_cells(path / 'results.jsonl', config)
  if damaged:
    raise ValueError(
      f'results.jsonl is damaged: {damaged} of {len(whole) + damaged} attacks '
      'are not what was written; run it again, which measures them anew'
    )
  return config, [row for rows in whole.values() for row in rows]


def _digest(config: Mapping[str, Any], rows: Sequence[Row]) -> str:
  """Return what tells the rows of a cell, whole and of this run."""
  config = {k: v for k, v in config.items() if k != 'run'}
  text = json.dumps([config, rows], sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_config(path: pathlib.Path) -> dict[str, Any]:
  """Return the configuration of a folder, or raise ValueError."""
  try:
    found = json.loads(path.read_text(encoding='utf-8'))
    if not isinstance(found, dict):
      raise TypeError('it must hold an object')
  except (FileNotFoundError, ValueError, TypeError, RecursionError) as error:
    raise ValueError(_unknown(path, error)) from error
  return found


def _read_lines(path: pathlib.Path) -> dict[Cell, list[Row]]:
  """Return the lines of a file of rows by cell, or raise ValueError."""
  found: dict[Cell, list[Row]] = {}
  where = ''
  try:
    text = path.read_text(encoding='utf-8') if path.exists() else ''
    for number, line in enumerate(text.splitlines(), 1):
      where = f', line {number}'
      row = json.loads(line)
      found.setdefault(cell_of(row), []).append(row)
  except (ValueError, KeyError, TypeError, RecursionError) as error:
    raise ValueError(_unknown(path, error, where)) from error
  return found


def _read_cells(
  path: pathlib.Path, config: Mapping[str, Any]
) -> tuple[dict[Cell, list[Row]], int]:
  """Return the rows of the whole cells of a file, and the number of others."""
  whole = {}
  found = _read_lines(path)
  for cell, lines in found.items():
    rows = [{k: v for k, v in x.items() if k != _DIGEST} for x in lines]
    digest = _digest(config, rows)
    if all(line.get(_DIGEST) == digest for line in lines):
      whole[cell] = rows
  return whole, len(found) - len(whole)


def _unknown(path: pathlib.Path, error: Exception, where: str = '') -> str:
  """Return in words that a file is not what a run writes."""
  what = f'no {error}' if isinstance(error, KeyError) else str(error)
  what = 'it is not there' if isinstance(error, OSError) else what
  return f'it holds files that no run finished: {path.name}{where}: {what}'


def _holds(path: pathlib.Path, text: str) -> bool:
  """Return whether a file holds a text."""
  try:
    return path.read_bytes() == text.encode()
  except FileNotFoundError:
    return False


def _is_record(path: pathlib.Path) -> bool:
  """Return whether a path is named as the engine names records."""
  return path.is_dir() and bool(_RECORD.match(path.name))


def _difference(old: Any, new: Any, name: str = 'it') -> str:
  """Return the first entry in which two configurations differ, in words."""
  if not (isinstance(old, dict) and isinstance(new, dict)):
    return '' if old == new else f'{name} was {old!r}, is {new!r}'
  names = sorted((set(old) | set(new)) - {'run'})
  found = (_difference(old.get(n), new.get(n), n) for n in names)
  return next(filter(None, found), '')
