"""Checkpoints of a training, from which a killed run goes on."""

from collections.abc import Callable, Mapping
import contextlib
import hashlib
import json
import pathlib
import shutil
import time
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from splitjax import files

PyTree = Any
WarnFn = Callable[[str], None]

_INDEX, _SUFFIX = 'index.json', '.safetensors'
_UNREADABLE = (
  AttributeError,
  KeyError,
  OSError,
  TypeError,
  ValueError,
  safetensors.SafetensorError,
)
# A checkpoint may take this share of the time at most.
_LARGEST_SHARE = 0.1


class Saved(NamedTuple):
  """What a checkpoint holds.

  Attributes:
    number: passes over the data that were finished.
    current: what the next pass starts from.
    kept: what was kept of earlier passes, by number from 1.
  """

  number: int
  current: PyTree
  kept: dict[int, PyTree]


class Checkpoint:
  """The checkpoint of one training, in a folder of its own.

  Arrays are `.safetensors` files, and `index.json` is written last: it says
  what belongs together, for which run, and what the files must hold. A
  checkpoint that is damaged, or of another run, is not used. (Orbax refuses
  arrays without elements, prints tracebacks of its threads where a disk is
  full, and took 14 times as long for 400 MB.)
  """

  def __init__(
    self,
    folder: pathlib.Path,
    identity: str,
    *,
    seconds: float = 30.0,
    warn_fn: WarnFn = lambda text: None,
  ) -> None:
    """Prepare; nothing is read or written yet.

    Args:
      folder: where it is kept.
      identity: text that is equal for equal trainings alone.
      seconds: time between two checkpoints, at least.
      warn_fn: called with a sentence where a checkpoint cannot be used.
    """
    self._folder, self._identity = folder, identity
    self._seconds, self._warn_fn = seconds, warn_fn
    self._digests: dict[str, str] = {}
    self._wait, self._last = seconds, time.monotonic()

  def load(
    self, current: PyTree, kept_fn: Callable[[], PyTree]
  ) -> Saved | None:
    """Return what was saved, if it is whole and of this training.

    Args:
      current: arrays, or `jax.ShapeDtypeStruct`s, of the structure of what the
        next pass starts from.
      kept_fn: returns the same of what is kept of one pass; called if there is
        a checkpoint.

    Returns:
      What was saved, in NumPy arrays; None if there is none to go on from.
    """
    path = self._folder / _INDEX
    if not path.exists():
      return None
    try:
      index = json.loads(path.read_text(encoding='utf-8'))
      if index['identity'] != self._identity:
        return None
      self._digests = dict(index['arrays'])
      number, kept = int(index['number']), kept_fn()
      found = Saved(
        number,
        self._read(_current_name(number), current),
        {int(x): self._read(_kept_name(int(x)), kept) for x in index['kept']},
      )
    except _UNREADABLE as error:
      self._digests = {}
      text = ' '.join(str(error).split())[:200]
      self._warn_fn(f'{self._folder} is damaged, and is not used: {text}')
      return None
    self._last = time.monotonic()
    return found

  @property
  def due(self) -> bool:
    """Whether it is time for the next one."""
    return time.monotonic() - self._last >= self._wait

  def save(self, number: int, current: PyTree, kept: Mapping[int, Any]) -> None:
    """Replace the checkpoint; a full disk is said, and nothing else happens.

    Args:
      number: passes over the data that were finished.
      current: what the next pass starts from; arrays of the host.
      kept: what was kept of earlier passes, by number from 1.
    """
    start = time.monotonic()
    name = _current_name(number)
    try:
      self._write(name, current)
      for one, tree in kept.items():
        if _kept_name(one) not in self._digests:
          self._write(_kept_name(one), tree)
      needed = {name, *map(_kept_name, kept)}
      self._digests = {x: self._digests[x] for x in needed}
      index = {
        'identity': self._identity,
        'number': number,
        'kept': sorted(kept),
        'arrays': self._digests,
      }
      with files.replacing(self._folder / _INDEX) as scratch:
        scratch.write_text(json.dumps(index) + '\n', encoding='utf-8')
      for path in self._folder.glob(f'*{_SUFFIX}'):
        if path.stem not in needed:
          path.unlink()
    except (OSError, safetensors.SafetensorError) as error:
      text = ' '.join(str(error).split())[:200]
      self._warn_fn(f'no checkpoint in {self._folder}: {text}')
      with contextlib.suppress(OSError):  # It stays if an earlier one is there.
        (self._folder / f'{name}{_SUFFIX}').unlink(missing_ok=True)
        self._folder.rmdir()
        self._folder.parent.rmdir()
    took = time.monotonic() - start
    self._wait = max(self._seconds, took / _LARGEST_SHARE)
    self._last = time.monotonic()

  def remove(self) -> None:
    """Remove the checkpoint, its folder too."""
    shutil.rmtree(self._folder, ignore_errors=True)
    self._digests = {}

  def _write(self, name: str, tree: PyTree) -> None:
    """Write the arrays of a tree."""
    arrays = _arrays_of(tree)
    self._folder.mkdir(parents=True, exist_ok=True)
    safetensors_numpy.save_file(arrays, self._folder / f'{name}{_SUFFIX}')
    self._digests[name] = _digest(arrays)

  def _read(self, name: str, like: PyTree) -> PyTree:
    """Return what was written under a name, or raise ValueError."""
    path = self._folder / f'{name}{_SUFFIX}'
    arrays = safetensors_numpy.load_file(path)
    leaves, treedef = jax.tree.flatten(like)
    if _digest(arrays) != self._digests[name] or len(arrays) != len(leaves):
      raise ValueError(f'{path.name} does not hold what was written')
    found = [
      arrays[str(i)].view(x.dtype).reshape(x.shape)
      for i, x in enumerate(leaves)
    ]
    return jax.tree.unflatten(treedef, found)


def _current_name(number: int) -> str:
  """Return the name of what the pass after `number` passes starts from."""
  return f'current-{number}'


def _kept_name(number: int) -> str:
  """Return the name of what was kept of a pass."""
  return f'kept-{number}'


def _arrays_of(tree: PyTree) -> dict[str, np.ndarray]:
  """Return the arrays of a tree by place, as bytes, which every type has."""
  arrays = [np.ascontiguousarray(x) for x in jax.tree.leaves(tree)]
  return {str(i): x.reshape(-1).view(np.uint8) for i, x in enumerate(arrays)}


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
  """Return what tells equal arrays from others."""
  found = hashlib.sha256()
  for name in sorted(arrays):
    found.update(f'{name} {arrays[name].shape} '.encode())
    found.update(arrays[name].data)
  return found.hexdigest()[:16]
