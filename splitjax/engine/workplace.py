"""The folder that a run works in: held alone, with checkpoints."""

from collections.abc import Callable, Iterable, Iterator, Mapping
import contextlib
import errno
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any

import jax
import numpy as np

from splitjax import files
from splitjax import parallel
from splitjax.data.dataset import Dataset
from splitjax.engine.checkpoints import Checkpoint
from splitjax.engine.shared_checkpoints import AnyCheckpoint
from splitjax.engine.shared_checkpoints import SharedCheckpoint
from splitjax.engine.study import Study
from splitjax.errors import ConfigError
from splitjax.options import values_of
from splitjax.results import REPORT_FILES
from splitjax.results import RESULT_FILES
from splitjax.results import identity_of
from splitjax.results import lock

CHECKPOINTS = '.checkpoints'
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class Workplace:
  """A folder that one run at a time writes; without a folder nothing is kept.

  Attributes:
    path: the folder, or None.
  """

  def __init__(
    self,
    path: str | os.PathLike | None,
    identity: Mapping[str, Any],
    *,
    seconds: float = 30.0,
    names: tuple[str, ...] = (*RESULT_FILES, *REPORT_FILES),
    warn_fn: Callable[[str], None] = lambda text: None,
  ) -> None:
    """Prepare; nothing is touched yet.

    Args:
      path: the folder, or None.
      identity: JSON values that are equal for equal runs alone.
      seconds: time between two checkpoints of a training, at least.
      names: the files that are written there, each by `files.replacing`.
      warn_fn: called with a sentence where something cannot be used.
    """
    self.path = None if path is None else pathlib.Path(path)
    self._refusal: OSError | None = None
    self._identity = digest_of(identity)
    self._binary = str(identity.get('binary', 'a run'))
    self._seconds, self._names, self._warn_fn = seconds, names, warn_fn

  @contextlib.contextmanager
  def held(self) -> Iterator[bool]:
    """Hold the folder alone, and remove what a killed run was writing.

    Yields:
      Whether an equal run was killed there.

    Raises:
      ConfigError: if another run holds the folder, or it cannot be written;
        also if the disk is full while it is held.
    """
    if self.path is None or not parallel.is_writer():
      yield False
      return
    about = {'binary': self._binary, 'identity': self._identity}
    with contextlib.ExitStack() as stack:
      try:
        was_killed = stack.enter_context(lock.locked(self.path, about))
      except lock.FolderInUseError as error:
        expected = f'a folder of its own: {error}'
        raise ConfigError('out_dir', self.path, expected) from error
      except OSError as error:
        self._refusal = error
        # Finished results can be read where nothing can be written.
        if not self.path.is_dir() or error.errno not in _READ_ONLY:
          self.check_writable()
        yield False
        return
      for name in self._names:
        files.remove_leftovers(self.path / name)
      try:
        yield was_killed
      except OSError as error:
        if error.errno not in _FULL:
          raise
        expected = f'a folder with space for the results: {error.strerror}'
        raise ConfigError('out_dir', self.path, expected) from error

  def check_writable(self) -> None:
    """Raise `ConfigError` if the folder, once held, cannot be written."""
    if self._refusal is not None:
      reason = self._refusal.strerror or self._refusal
      expected = f'a folder that can be written to ({reason})'
      raise ConfigError('out_dir', self.path, expected) from self._refusal

  def checkpoint(self, name: str) -> AnyCheckpoint | None:
    """Return the checkpoint of a training, if one can be kept.

    All processes that run together must ask for it, or none.
    """
    if self.path is None:
      return None
    if jax.process_count() == 1:
      return self._own_checkpoint(name)
    own = self._own_checkpoint(name) if parallel.is_writer() else None
    return SharedCheckpoint(own)

  def _own_checkpoint(self, name: str) -> Checkpoint:
    """Return the checkpoint that this process writes."""
    assert self.path is not None
    return Checkpoint(
      self.path / CHECKPOINTS / name,
      f'{self._identity} {name}',
      seconds=self._seconds,
      warn_fn=self._warn_fn,
    )

  def remove_checkpoints(self) -> None:
    """Remove all checkpoints: the run is finished."""
    if self.path is not None and parallel.is_writer():
      shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)


def identity_of_study(study: Study) -> Mapping[str, Any]:
  """Return what makes two studies the same, as JSON values.

  Files may change under the same flags: the data and the parameters of an
  extractor count by what they hold.
  """
  datasets = {id(x.problem.dataset): x.problem.dataset for x in study.trainings}
  held = {'data': [digest_of_data(x) for x in datasets.values()]}
  if study.extractor is not None:
    leaves = jax.tree.leaves(study.extractor.variables)
    held['extractor'] = [digest_of_arrays(leaves)]
  return {'binary': study.name, **identity_of(study.config), 'read': held}


def digest_of_data(dataset: Dataset) -> str:
  """Return what tells equal data sets from others."""
  found = values_of(dataset)
  del found['notes']  # Words about the data.
  return digest_of(found)


def digest_of_arrays(arrays: Iterable[Any]) -> str:
  """Return what tells equal arrays from others."""
  found = hashlib.sha256()
  for one in map(np.ascontiguousarray, arrays):
    found.update(f'{one.dtype} {one.shape} '.encode())
    found.update(one.reshape(-1).view(np.uint8).data)
  return found.hexdigest()[:16]


def digest_of(values: Any) -> str:
  """Return what tells equal JSON values from others."""
  text = json.dumps(values, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]
