"""Records of what crossed a cut, in memory and on disk.

In shape descriptions `N` is the number of recorded samples.
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
  """What crossed one cut in one pass over the samples.

  Attributes:
    intermediate: kind of the vectors, 'smashed' or 'cut_grads'.
    vectors: smashed data or cut gradients as received, finite and floating,
      `[N, ...]`; kept in the byte order of this machine.
    sample_ids: id of each row's sample, distinct integers `[N]`.
    steps: step at which each row crossed, integers `[N]`.
    metadata: JSON values by name, such as dataset, model, cut, phase, defense,
      seed and versions.

  Raises:
    ValueError: if an attribute is not as above.

  Example:
    >>> record = Record(
    ...   'cut_grads', np.ones((2, 3)), np.array([7, 4]), np.array([0, 1]), {}
    ... )
    >>> record.vectors.shape
    (2, 3)
    >>> dataclasses.replace(record, sample_ids=np.array([7, 7]))
    Traceback (most recent call last):
    ValueError: sample_ids must be distinct: a record is one pass.
  """

  intermediate: str
  vectors: np.ndarray
  sample_ids: np.ndarray
  steps: np.ndarray
  metadata: Mapping[str, Any]

  @property
  def flat(self) -> np.ndarray:
    """The vectors as one row a sample, `[N, D]`."""
    return self.vectors.reshape(len(self.vectors), -1)

  def __post_init__(self) -> None:
    if self.intermediate not in INTERMEDIATES:
      raise ValueError(
        f'intermediate must be one of {INTERMEDIATES}, got '
        f'{self.intermediate!r}.'
      )
    checks.vectors('vectors', self.vectors)
    object.__setattr__(self, 'vectors', checks.to_native(self.vectors))
    for name in ('sample_ids', 'steps'):
      value = checks.to_native(np.asarray(getattr(self, name)))
      object.__setattr__(self, name, value)
      _check_integers(name, value, len(self.vectors))
    if len(np.unique(self.sample_ids)) != len(self.sample_ids):
      raise ValueError('sample_ids must be distinct: a record is one pass.')


def _check_integers(name: str, value: np.ndarray, num_vectors: int) -> None:
  """Raise ValueError if there is not one integer for each vector."""
  if value.shape != (num_vectors,):
    raise ValueError(
      f'{name} must have shape ({num_vectors},), one a vector, got '
      f'{value.shape}.'
    )
  if not np.issubdtype(value.dtype, np.integer):
    raise ValueError(f'{name} must be integers, got {value.dtype}.')


def save_record(path: str | os.PathLike, record: Record) -> None:
  """Write a record as a folder of `.npy` files and a `metadata.json`.

  The folder appears complete or not at all.

  Args:
    path: folder to create.
    record: record to write.

  Raises:
    FileExistsError: if the folder exists and is not empty.
    OSError: if the folder cannot be written.

  Example:
    >>> import tempfile
    >>> record = Record(
    ...   'smashed', np.ones((2, 3)), np.array([7, 4]), np.array([0, 1]), {}
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   save_record(f'{folder}/record', record)
    ...   sorted(os.listdir(f'{folder}/record'))
    ['metadata.json', 'sample_ids.npy', 'smashed.npy', 'steps.npy']
  """
  vectors = np.asarray(record.vectors)
  dtype = vectors.dtype
  if dtype == ml_dtypes.bfloat16:  # A type that .npy files do not have.
    vectors = vectors.view(np.uint16)
  metadata = {
    'intermediate': record.intermediate,
    'dtype': dtype.name,
    'metadata': dict(record.metadata),
  }
  with files.creating_folder(path) as folder:
    for name, array in (
      (record.intermediate, vectors),
      ('sample_ids', record.sample_ids),
      ('steps', record.steps),
    ):
      np.save(folder / f'{name}.npy', array, allow_pickle=False)
    text = json.dumps(metadata, indent=2, sort_keys=True, allow_nan=False)
    (folder / 'metadata.json').write_text(text + '\n')


def load_record(path: str | os.PathLike) -> Record:
  """Read a record; its vectors are memory-mapped and read-only.

  Args:
    path: folder that `save_record` wrote.

  Returns:
    The record, checked.

  Raises:
    FileNotFoundError: if the folder or one of its files does not exist.
    ValueError: if the files do not hold a record.

  Example:
    >>> import tempfile
    >>> record = Record(
    ...   'smashed', np.ones((2, 3)), np.array([7, 4]), np.array([0, 1]),
    ...   {'cut': 2},
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   save_record(f'{folder}/record', record)
    ...   loaded = load_record(f'{folder}/record')
    ...   loaded.sample_ids.tolist(), loaded.metadata
    ([7, 4], {'cut': 2})
  """
  folder = pathlib.Path(path)
  try:
    saved = json.loads((folder / 'metadata.json').read_text())
    intermediate, dtype = saved['intermediate'], saved['dtype']
    metadata = saved['metadata']
    if intermediate not in INTERMEDIATES or not isinstance(metadata, dict):
      raise ValueError(f'intermediate {intermediate!r} with {metadata!r}')
  except (KeyError, RecursionError, TypeError, ValueError) as error:
    text = ' '.join(repr(error).split())[:200]
    raise ValueError(f'{folder} must be a record, got {text}.') from error
  vectors = files.open_array(folder / f'{intermediate}.npy')
  expected = 'uint16' if dtype == 'bfloat16' else dtype
  if vectors.dtype.name != expected:
    raise ValueError(
      f'{folder} must hold vectors of {expected}, got {vectors.dtype}.'
    )
  if dtype == 'bfloat16':
    vectors = vectors.view(ml_dtypes.bfloat16)
  ids, steps = (
    np.array(files.open_array(folder / f'{name}.npy'))
    for name in ('sample_ids', 'steps')
  )
  return Record(intermediate, vectors, ids, steps, metadata)
