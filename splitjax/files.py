"""Writing files so that a killed run leaves none of them half written."""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import shutil
import tempfile


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yield a temporary file that takes the name `path` if all goes well.

  Args:
    path: the file to create or replace; its folder must exist.

  Yields:
    The path to write to. It is removed if the body raises.
  """
  path = pathlib.Path(path)
  with _scratch(path) as scratch:
    yield scratch / path.name
    os.replace(scratch / path.name, path)


@contextlib.contextmanager
def creating_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yield a temporary folder that takes the name `path` if all goes well.

  Args:
    path: the folder to create; it may exist only if it is empty.

  Yields:
    The folder to write into. It is removed if the body raises.

  Raises:
    FileExistsError: at once, if `path` exists and is not an empty folder.
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
