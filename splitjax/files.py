"""Files and folders that appear complete or not at all, and arrays in files."""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import shutil
import tempfile
import tokenize

import numpy as np

# What NumPy raises for files that are not what they should be.
_BROKEN = (
  ArithmeticError,
  EOFError,
  LookupError,
  MemoryError,
  OSError,
  RecursionError,
  SyntaxError,
  TypeError,
  ValueError,
  tokenize.TokenError,
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
  except _BROKEN as error:
    text = ' '.join(f'{error}'.split())[:200]
    raise ValueError(f'{path}: {text}') from error
