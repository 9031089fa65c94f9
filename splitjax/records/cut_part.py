"""The part of a cut record that is being written: buffer and shards."""

import pathlib

import numpy as np

from splitjax import files
from splitjax.records import cut_format

Arrays = dict[str, np.ndarray]


class Part:
  """The pass, or the evaluation, that is being written.

  Attributes:
    folder: folder of its shards.
    num_batches: number of batches so far.
  """

  def __init__(self, folder: pathlib.Path, shard_rows: int, again: str) -> None:
    """Begin a part.

    Args:
      folder: folder of its shards; it is made with the first of them.
      shard_rows: rows that are buffered before they are written.
      again: advice to those who give a sample twice, for the message.
    """
    self.folder = folder
    self.num_batches = 0
    self._shard_rows = shard_rows
    self._again = again
    self._batches: list[Arrays] = []
    self._num_shards = 0
    self._names: set[str] = set()
    self._seen: set[int] = set()

  def check(self, arrays: Arrays) -> None:
    """Check that a batch belongs to this pass.

    Args:
      arrays: arrays that `cut_format.check_arrays` found good, by name.

    Raises:
      ValueError: if names are missing or new, or a sample comes twice.
    """
    if self._names:
      cut_format.check_names(dict.fromkeys(self._names), arrays)
    ids = arrays[cut_format.SAMPLE_IDS].tolist()
    twice = self._seen & set(ids)
    if len(set(ids)) < len(ids):
      twice = {x for x in ids if ids.count(x) > 1}
    if twice:
      raise ValueError(
        f'sample_ids must be distinct within a pass, got {min(twice)} twice: '
        f'{self._again}.'
      )

  def add(self, arrays: Arrays) -> None:
    """Buffer a batch; write a shard if there are enough rows.

    Args:
      arrays: arrays that were checked, by name. They are kept, not copied.
    """
    self._names = self._names or set(arrays)
    self._seen.update(arrays[cut_format.SAMPLE_IDS].tolist())
    self._batches.append(arrays)
    self.num_batches += 1
    if sum(len(x[cut_format.SAMPLE_IDS]) for x in self._batches) >= (
      self._shard_rows
    ):
      self.flush()

  def flush(self) -> None:
    """Write what is buffered as a shard; its ids come last."""
    if not self._batches:
      return
    self.folder.mkdir(parents=True, exist_ok=True)
    for name in [x for x in cut_format.NAMES if x in self._names]:
      whole = np.concatenate([batch[name] for batch in self._batches])
      path = self.folder / cut_format.shard_name(name, self._num_shards)
      with files.replacing(path) as scratch:
        np.save(scratch, whole, allow_pickle=False)
    self._batches = []
    self._num_shards += 1
