"""Files and folders that appear complete or not at all, and arrays in files."""

from collections.abc import Iterator, Sequence
import contextlib
import os
import pathlib
import re
import shutil
import tempfile
import tokenize
import zipfile
import zlib

import numpy as np

_REPLACED = 'old'  # Where parts wait that others take the places of.
# What NumPy and zipfile raise for files that are not what they should be.
BROKEN = (
  ArithmeticError,
  EOFError,
  LookupError,
  MemoryError,
  OSError,
  RuntimeError,
  SyntaxError,
  TypeError,
  ValueError,
  tokenize.TokenError,
  zipfile.BadZipFile,
  zlib.error,
)


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yield a temporary file that takes the name `path` if all goes well.

  Args:
    path: file to create or replace; its folder must exist.

  Yields:
    The path to write to. The file is removed if the body raises.

  Example:
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   path = pathlib.Path(folder, 'report.txt')
    ...   with replacing(path) as scratch:
    ...     _ = scratch.write_text('done')
    ...     exists_before = path.exists()
    ...   exists_before, path.read_text()
    (False, 'done')
  """
  path = pathlib.Path(path)
  with _scratch(path) as scratch:
    yield scratch / path.name
    os.replace(scratch / path.name, path)


@contextlib.contextmanager
def creating_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yield a temporary folder that takes the name `path` if all goes well.

  Args:
    path: folder to create; it may exist already if it is empty.

  Yields:
    The folder to write into. It is removed if the body raises.

  Raises:
    FileExistsError: before the body runs, if `path` exists and is not an empty
      folder.

  Example:
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   with creating_folder(f'{folder}/record') as scratch:
    ...     _ = (scratch / 'steps.txt').write_text('0 1')
    ...   os.listdir(f'{folder}/record')
    ['steps.txt']
  """
  path = pathlib.Path(path)
  if path.exists() and not (path.is_dir() and not any(path.iterdir())):
    raise FileExistsError(f'{path} exists already.')
  path.parent.mkdir(parents=True, exist_ok=True)
  with _scratch(path) as scratch:
    (scratch / path.name).mkdir()
    yield scratch / path.name
    os.replace(scratch / path.name, path)


def remove_leftovers(
  path: str | os.PathLike, parts: Sequence[str] = ()
) -> None:
  """Remove what a killed process was writing; nobody else may write `path` now.

  Args:
    path: a file or folder that was being made by `replacing`,
      `creating_folder` or `replacing_parts`.
    parts: names that `replacing_parts` was given. If all of them were made and
      the process was killed while they took their places, they take them now.

  Example:
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   os.mkdir(f'{folder}/.report.txt.abcd_123')
    ...   remove_leftovers(f'{folder}/report.txt')
    ...   os.listdir(folder)
    []
  """
  path = pathlib.Path(path)
  name = re.compile(rf'\.{re.escape(path.name)}\.[a-z0-9_]{{8}}')
  if path.parent.is_dir():
    for one in path.parent.iterdir():
      if name.fullmatch(one.name) and not one.is_symlink() and one.is_dir():
        if parts and (one / _REPLACED).is_dir():
          _take_places(one, path, parts)
        shutil.rmtree(one, ignore_errors=True)


@contextlib.contextmanager
def replacing_parts(
  folder: str | os.PathLike, names: Sequence[str]
) -> Iterator[pathlib.Path]:
  """Yield a temporary folder whose parts take their places if all goes well.

  Args:
    folder: folder to make, or to change; what else it holds stays in it.
    names: files and folders that the body makes. They take their places in
      this order, so that with the last of them the folder is whole, and what
      was there under these names is removed.

  Yields:
    The path to write to. It is removed if the body raises.

  Raises:
    FileNotFoundError: if the body did not make them all; nothing is replaced.

  Example:
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   _ = pathlib.Path(folder, 'mine.txt').write_text('')
    ...   with replacing_parts(folder, ['a', 'b']) as scratch:
    ...     (scratch / 'a').mkdir()
    ...     _ = (scratch / 'b').write_text('')
    ...   sorted(os.listdir(folder))
    ['a', 'b', 'mine.txt']
  """
  folder = pathlib.Path(folder)
  folder.parent.mkdir(parents=True, exist_ok=True)
  with _scratch(folder) as scratch:
    new = scratch / folder.name
    new.mkdir()
    yield new
    missing = [name for name in names if not os.path.lexists(new / name)]
    if missing:
      raise FileNotFoundError(f'{", ".join(missing)} was not made in {new}.')
    _take_places(scratch, folder, names)


def _take_places(
  scratch: pathlib.Path, folder: pathlib.Path, names: Sequence[str]
) -> None:
  """Replace parts of a folder; if it is killed, a second call ends it."""
  new, old = scratch / folder.name, scratch / _REPLACED
  old.mkdir(exist_ok=True)  # Says that all that is new is whole.
  folder.mkdir(exist_ok=True)
  waiting = [name for name in names if os.path.lexists(new / name)]
  for name in reversed(waiting):
    if os.path.lexists(folder / name):
      os.replace(folder / name, old / name)
  for name in waiting:
    os.replace(new / name, folder / name)


@contextlib.contextmanager
def _scratch(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yield a temporary folder beside `path`, so that a rename does not copy."""
  scratch = tempfile.mkdtemp(prefix=f'.{path.name}.', dir=path.parent)
  try:
    yield pathlib.Path(scratch)
  finally:
    shutil.rmtree(scratch, ignore_errors=True)


def open_array(path: str | os.PathLike) -> np.memmap:
  """Memory-map the array of a `.npy` file; no pickled object is ever read.

  Args:
    path: the file.

  Returns:
    The array, read-only and in the byte order of the file.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: in one line, if it holds no array, or one of Python objects.

  Example:
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   path = pathlib.Path(folder, 'ids.npy')
    ...   np.save(path, np.array([7, 4]))
    ...   open_array(path).tolist()
    [7, 4]
  """
  try:
    return np.lib.format.open_memmap(path, mode='r')
  except FileNotFoundError:
    raise
  except BROKEN as error:
    text = ' '.join(f'{error}'.split())[:200]
    raise ValueError(f'{path}: {text}') from error
