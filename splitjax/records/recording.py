"""What crossed a cut: records, in memory and on disk.

In shape descriptions `N` is the number of recorded samples, `D` the flattened
width of the cut, `R` the number of auxiliary draws, `A` the auxiliary samples
of a draw.
"""

from collections.abc import Mapping
import dataclasses
import json
import os
import pathlib
from typing import Any

import ml_dtypes
import numpy as np

from splitjax import checks
from splitjax import files

INTERMEDIATES = ('smashed', 'cut_grads')


@dataclasses.dataclass(frozen=True)
class Record:
  """What crossed one cut in one pass; checked when it is made.

  Attributes:
    intermediate: 'smashed' or 'cut_grads'.
    vectors: the smashed data or cut gradients, as received, `[N, ...]`.
    sample_ids: which sample each row belongs to, distinct integers `[N]`.
    steps: the step at which each row crossed, integers `[N]`.
    metadata: JSON values: dataset, model, cut, phase, defense, seed, versions.
  """

  intermediate: str
  vectors: np.ndarray
  sample_ids: np.ndarray
  steps: np.ndarray
  metadata: Mapping[str, Any]

  def __post_init__(self) -> None:
    if self.intermediate not in INTERMEDIATES:
      raise ValueError(
        f'intermediate must be one of {INTERMEDIATES}, got '
        f'{self.intermediate!r}.'
      )
    checks.vectors('vectors', self.vectors)
    for name in ('sample_ids', 'steps'):
      value = np.asarray(getattr(self, name))
      object.__setattr__(self, name, value)
      if np.shape(value) != (len(self.vectors),):
        raise ValueError(
          f'{name} must have shape ({len(self.vectors)},), one a vector, got '
          f'{np.shape(value)}.'
        )
      if not np.issubdtype(value.dtype, np.integer):
        raise ValueError(f'{name} must be integers, got {value.dtype}.')
    if len(np.unique(self.sample_ids)) != len(self.sample_ids):
      raise ValueError('sample_ids must be distinct: a record is one pass.')


def save_record(path: str | os.PathLike, record: Record) -> None:
  """Write a record as a folder of `.npy` files and `metadata.json`.

  The folder appears complete or not at all.

  Args:
    path: the folder to create.
    record: what to write.

  Raises:
    FileExistsError: if the folder exists and is not empty.
    OSError: if it cannot be written.
  """
  vectors = np.asarray(record.vectors)
  dtype = vectors.dtype
  if dtype == ml_dtypes.bfloat16:  # Which .npy files do not know.
    vectors = vectors.view(np.uint16)
  metadata = {
    'intermediate': record.intermediate,
    'dtype': dtype.name,
    'metadata': dict(record.metadata),
  }
  with files.creating_folder(path) as folder:
    np.save(folder / f'{record.intermediate}.npy', vectors)
    np.save(folder / 'sample_ids.npy', record.sample_ids)
    np.save(folder / 'steps.npy', record.steps)
    text = json.dumps(metadata, indent=2, sort_keys=True, allow_nan=False)
    (folder / 'metadata.json').write_text(text + '\n')


def load_record(path: str | os.PathLike) -> Record:
  """Read a record; its vectors are memory-mapped, read-only.

  Args:
    path: a folder that `save_record` wrote.

  Returns:
    The record, checked as when it was made.

  Raises:
    FileNotFoundError: if there is no such folder, or a file of it is missing.
    ValueError: if what is there is not a record.
  """
  folder = pathlib.Path(path)
  try:
    saved = json.loads((folder / 'metadata.json').read_text())
    intermediate, dtype = saved['intermediate'], saved['dtype']
    metadata = saved['metadata']
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(f'{folder} must be a record, got {error!r}.') from error
  vectors = np.load(
    folder / f'{intermediate}.npy', mmap_mode='r', allow_pickle=False
  )
  if dtype == 'bfloat16':
    vectors = vectors.view(ml_dtypes.bfloat16)
  return Record(
    intermediate=intermediate,
    vectors=vectors,
    sample_ids=np.load(folder / 'sample_ids.npy', allow_pickle=False),
    steps=np.load(folder / 'steps.npy', allow_pickle=False),
    metadata=metadata,
  )
