"""A folder that one run writes at a time, and what a killed one leaves."""

from collections.abc import Iterator, Mapping
import contextlib
import json
import os
import pathlib
import socket
import time
from typing import Any

import filelock

LOCK_FILE = '.lock'


class FolderInUseError(ValueError):
  """Another run writes the folder; the message says which."""


@contextlib.contextmanager
def locked(
  folder: str | os.PathLike, about: Mapping[str, Any]
) -> Iterator[bool]:
  """Hold a folder alone, so that no two runs write it at the same time.

  The lock is the operating system's, so that it ends with the process however
  that ends. Its file says who holds the folder; a killed run leaves it behind.

  Args:
    folder: the folder; it is made if it is not there, and removed afterwards
      if nothing was put into it.
    about: JSON values by name that say what is run.

  Yields:
    Whether the last run that held the folder had an equal `about` and was
    killed.

  Raises:
    FolderInUseError: if another run holds the folder.
    OSError: if nothing can be written there.

  Example:
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...   with locked(f'{parent}/out', {'binary': 'transfer'}) as was_killed:
    ...     held = os.listdir(f'{parent}/out')
    ...   held, was_killed, os.listdir(parent)
    (['.lock'], False, [])
  """
  folder = pathlib.Path(folder)
  made = [x for x in (folder, *folder.parents) if not x.exists()]
  folder.mkdir(parents=True, exist_ok=True)
  path = folder / LOCK_FILE
  lock = filelock.FileLock(path)
  try:
    lock.acquire(blocking=False)
  except filelock.Timeout:
    raise FolderInUseError(_holder(path)) from None
  try:
    about = json.loads(json.dumps(dict(about)))
    was_killed = _read(path).get('about') == about
    holder = {
      'process': os.getpid(),
      'host': socket.gethostname(),
      'since': time.strftime('%Y-%m-%d %H:%M:%S'),
      'about': about,
    }
    path.write_text(json.dumps(holder) + '\n', encoding='utf-8')
    yield was_killed
  finally:
    path.unlink(missing_ok=True)
    lock.release()
    with contextlib.suppress(OSError):  # They hold something: they stay.
      for one in made:
        one.rmdir()


def _read(path: pathlib.Path) -> dict[str, Any]:
  """Return what a lock's file says; nothing if it cannot be read."""
  try:
    found = json.loads(path.read_text(encoding='utf-8'))
  except (OSError, ValueError):
    return {}
  return found if isinstance(found, dict) else {}


def _holder(path: pathlib.Path) -> str:
  """Return in words who holds a folder."""
  found = _read(path)
  if not found:
    return 'another run writes it'
  about = found.get('about')
  name = about.get('binary', 'a run') if isinstance(about, dict) else 'a run'
  return (
    f'{name}, process {found.get("process")} on {found.get("host")}, writes '
    f'it since {found.get("since")}'
  )
