"""Compiled programs, kept in a folder from one run to the next."""

import contextlib
import os
import pathlib

import filelock
import jax

_SIZE = 1 << 30  # Bytes; what was not used for longest is removed first.
# Reading a program takes a few milliseconds, compiling it rarely less.
_MIN_SECONDS = 0.02
_PROGRAM, _USED = '-cache', '-atime'  # Both files of a program, as JAX writes.


def default_folder() -> pathlib.Path:
  """Return the folder of the user's that keeps compiled programs.

  Returns:
    `splitjax` in `$XDG_CACHE_HOME`, which is `~/.cache` by default.
  """
  home = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  return pathlib.Path(home) / 'splitjax'


def keep(folder: str | os.PathLike | None = None) -> None:
  """Keep compiled programs in a folder, and read those that are there.

  To be called by commands, before anything is compiled: it changes settings of
  all of JAX. Several processes may share the folder. It takes up to a gigabyte.

  Args:
    folder: the folder, made if it is not there; '' to keep nothing. By default
      the one that JAX is set to keep programs in, else `default_folder()`; if
      that cannot be written to, nothing is kept.

  Raises:
    OSError: if a folder that was named cannot be made.
  """
  if folder == '':
    jax.config.update('jax_enable_compilation_cache', False)
    return
  if folder is None:
    if getattr(jax.config, 'jax_compilation_cache_dir'):  # noqa: B009
      return
    with contextlib.suppress(OSError, RuntimeError):  # No home, or full.
      _use(default_folder())
    return
  _use(pathlib.Path(folder))


def _use(folder: pathlib.Path) -> None:
  """Make JAX keep programs in a folder."""
  folder.mkdir(parents=True, exist_ok=True)
  _mend(folder)
  jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', _MIN_SECONDS)
  # With a bound, JAX locks the folder for each access.
  jax.config.update('jax_compilation_cache_max_size', _SIZE)


def _mend(folder: pathlib.Path) -> None:
  """Remove what a process left that was killed while it wrote a program.

  JAX writes a program, then when it was used. A program without the latter may
  be cut short, and would keep all others from being written.
  """
  # The very lock of JAX: whoever holds it is writing, or mending.
  with (
    contextlib.suppress(filelock.Timeout),
    filelock.FileLock(folder / '.lockfile', timeout=1),
  ):
    programs, used = (
      {path.name.removesuffix(end): path for path in folder.glob(f'*{end}')}
      for end in (_PROGRAM, _USED)
    )
    for name in programs.keys() ^ used.keys():
      (programs | used)[name].unlink(missing_ok=True)
