"""The checkpoint of processes that run together: one keeps it for all."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.experimental import multihost_utils
import numpy as np

from splitjax import parallel
from splitjax.engine.checkpoints import Checkpoint
from splitjax.engine.checkpoints import Saved

PyTree = Any


class SharedCheckpoint:
  """What `Checkpoint` is, for processes that run the same training.

  Process 0 alone reads and writes files, so that the others need not see its
  disk. All must call each method at the same place.
  """

  def __init__(self, own: Checkpoint | None) -> None:
    """Prepare.

    Args:
      own: the checkpoint of process 0; None in all others.
    """
    self._own = own

  @property
  def due(self) -> bool:
    """Whether it is time for the next one, by the clock of process 0."""
    return parallel.agree([self._own is not None and self._own.due])[0]

  def load(
    self, current: PyTree, kept_fn: Callable[[], PyTree]
  ) -> Saved | None:
    """Return to all processes what process 0 saved, see `Checkpoint.load`."""
    own = self._own
    saved = None if own is None else own.load(current, kept_fn)
    if not parallel.agree([saved is not None])[0]:
      return None
    numbers = [saved.number, *sorted(saved.kept)] if saved else []
    [size] = _from_first(np.array([len(numbers)]))
    shape = np.zeros(size, np.int64)
    number, *kept = _from_first(np.array(numbers) if saved else shape).tolist()
    like = kept_fn() if kept else None
    return Saved(
      number,
      _from_first(saved.current if saved else _zeros(current)),
      {x: _from_first(saved.kept[x] if saved else _zeros(like)) for x in kept},
    )

  def save(self, number: int, current: PyTree, kept: Mapping[int, Any]) -> None:
    """Replace the checkpoint, see `Checkpoint.save`."""
    if self._own is not None:
      self._own.save(number, current, kept)

  def remove(self) -> None:
    """Remove the checkpoint, its folder too."""
    if self._own is not None:
      self._own.remove()


AnyCheckpoint = Checkpoint | SharedCheckpoint


def _from_first(tree: PyTree) -> PyTree:
  """Return to all processes the arrays of process 0."""
  return multihost_utils.broadcast_one_to_all(tree)


def _zeros(tree: PyTree) -> PyTree:
  """Return arrays of the shapes and types of a tree."""
  return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), tree)
