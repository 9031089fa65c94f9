"""Arrays from files: `.npy`, members of `.npz`, shards and passes.

Nothing that could run code is read: no pickled objects.
"""

from collections.abc import Iterator, Sequence
import glob
import hashlib
import math
import mmap
import os
import pathlib
import re
from typing import Any
import zipfile

import ml_dtypes
import numpy as np

from splitjax import files
from splitjax.errors import ConfigError

_ROWS = 1024  # Read at once.
_WILD = re.compile(r'[*?\[]')


def paths_of(field: str, source: str | os.PathLike) -> list[str]:
  """Return the files that a text names, those of a pattern in natural order.

  Args:
    field: the argument, for the message.
    source: a path, `file.npz:name`, or a pattern such as `pass-*.npy`.

  Returns:
    Paths; members of `.npz` files keep their `:name`.

  Raises:
    ConfigError: if nothing has such a name.
  """
  text = os.fspath(source)
  if _WILD.search(text) and not os.path.exists(_file_of(text)):
    path, _, member = text.partition('.npz:')
    pattern = path + '.npz' if member else text
    found = sorted(sorted(glob.glob(pattern)), key=_natural)
    if not found:
      raise ConfigError(field, text, 'a pattern that matches files')
    return [f'{one}:{member}' if member else one for one in found]
  path = _file_of(text)
  if not os.path.isfile(path):
    raise ConfigError(field, text, 'a file that is there')
  return [text]


def _natural(text: str) -> list[Any]:
  """Return a key that sorts pass-2 before pass-10."""
  return [int(x) if x.isdecimal() else x for x in re.split(r'(\d+)', text)]


def _file_of(text: str) -> str:
  """Return the path without the name of a member."""
  path, found, _ = text.partition('.npz:')
  return path + '.npz' if found else text


def load(field: str, source: str) -> np.ndarray:
  """Read one array; of a `.npy` file it is memory-mapped.

  Args:
    field: the argument, for the message.
    source: a path of `paths_of`.

  Returns:
    The array, as it is in the file.

  Raises:
    ConfigError: if it is not there, not an array, or holds pickled objects.
  """
  path, member = _file_of(source), source.partition('.npz:')[2]
  suffix = pathlib.Path(path).suffix.lower()
  try:
    if suffix == '.npz':
      return _member(field, source, path, member)
    if suffix == '.npy':
      return _numbers_of(np.lib.format.open_memmap(path, mode='r'))
  except ConfigError:
    raise
  except files.BROKEN as error:
    text = f'{error}'[:200]
    expected = f'an array in NumPy format: {text}'
    if 'bject' in text:
      expected = 'numbers or text, without Python objects (no pickle is read)'
    raise ConfigError(field, source, expected) from error
  raise ConfigError(field, source, 'a .npy file, or .npz:NAME')


def _member(field: str, source: str, path: str, member: str) -> np.ndarray:
  """Read one array of a `.npz` file."""
  if not zipfile.is_zipfile(path):
    raise ConfigError(field, source, 'an archive of np.savez')
  with (
    open(path, 'rb') as file,
    np.load(file, allow_pickle=False) as archive,
  ):
    names = archive.files
    if not member and len(names) == 1:
      member = names[0]
    if member not in names:
      known = ', '.join(f'{path}:{name}' for name in names) or 'an array'
      raise ConfigError(field, source, f'one of {known}')
    array = archive[member]
  if not isinstance(array, np.ndarray):
    raise ConfigError(field, source, 'a member that is an array')
  return _numbers_of(array)


def _numbers_of(array: np.ndarray) -> np.ndarray:
  """Return an array whose bfloat16 numbers, which files do not name, are so."""
  if array.dtype.kind == 'V' and array.dtype.itemsize == 2:
    return array if array.dtype.names else array.view(ml_dtypes.bfloat16)
  return array


def read(field: str, source: Any) -> tuple[list[np.ndarray], list[str]]:
  """Read what an argument names.

  Args:
    field: the argument, for the message.
    source: a path or pattern, an array, or several of either.

  Returns:
    The arrays, one for each file or array, and the files.

  Raises:
    ConfigError: if something cannot be read.
  """
  if isinstance(source, str | os.PathLike):
    paths = paths_of(field, source)
    return [load(field, path) for path in paths], paths
  if isinstance(source, list | tuple) and source and _is_array(source[0]):
    found = [read(field, one) for one in source]
    return [x for one in found for x in one[0]], [
      y for o in found for y in o[1]
    ]
  if isinstance(source, list | tuple) and source and _is_path(source[0]):
    found = [read(field, one) for one in source]
    return [x for one in found for x in one[0]], [
      y for o in found for y in o[1]
    ]
  return [_to_array(field, source)], []


def _is_array(value: Any) -> bool:
  """Return whether a value is an array of at least one axis."""
  return hasattr(value, 'shape') and len(value.shape) > 0


def _is_path(value: Any) -> bool:
  """Return whether a value names a file."""
  if isinstance(value, os.PathLike):
    return True
  return isinstance(value, str) and _file_of(value).lower().endswith(
    ('.npy', '.npz')
  )


def _to_array(field: str, value: Any) -> np.ndarray:
  """Return an array of any framework as NumPy's."""
  if hasattr(value, 'detach'):  # A PyTorch tensor that a gradient belongs to.
    value = value.detach().cpu()
  try:
    array = np.asarray(value)
  except (TypeError, ValueError) as error:
    expected = f'an array, all rows of one length: {error}'
    raise ConfigError(field, type(value).__name__, expected) from error
  if array.dtype.kind == 'O' and array.size and _all_text(array):
    array = array.astype(np.str_)
  return array


def _all_text(array: np.ndarray) -> bool:
  """Return whether all objects of an array are text."""
  return all(isinstance(one, str) for one in array.ravel())


def digests(paths: Sequence[str]) -> dict[str, str]:
  """Return the SHA-256 of each file."""
  found = {}
  for path in dict.fromkeys(map(_file_of, paths)):
    with open(path, 'rb') as file:
      found[path] = 'sha256:' + hashlib.file_digest(file, 'sha256').hexdigest()
  return found


def largest_of(field: str, array: np.ndarray, chosen: np.ndarray) -> float:
  """Return the largest magnitude in rows of an array, for `to_rows`."""
  parts = _parts(field, array, chosen)
  return max((float(np.abs(x).max()) for x in parts), default=0.0)


def to_rows(
  field: str,
  array: np.ndarray,
  chosen: np.ndarray,
  largest: float | None = None,
) -> np.ndarray:
  """Return rows of an array as finite float32 vectors.

  Args:
    field: the argument, for the message.
    array: `[N, ...]` of any floating type and byte order, or of whole numbers.
    chosen: the rows to take, `[M]`.
    largest: largest magnitude of all arrays that are compared with this one;
      that of these rows by default.

  Returns:
    Vectors `[M, D]`, scaled as a whole by a power of two if float32 could not
    hold their squares.

  Raises:
    ConfigError: if they are no numbers, not finite, or so different in size
      that float32 could not hold the squares of most.
  """
  if largest is None:
    largest = largest_of(field, array, chosen)
  exponent = 0
  if largest and not 1e-18 < largest < 1e18:
    exponent = min(-math.frexp(largest)[1], 1023)
  scale = math.ldexp(1.0, exponent)
  shape = (len(chosen), int(np.prod(array.shape[1:], dtype=np.int64)))
  rows = np.empty(shape, np.float32)
  start, zeros, small = 0, 0, 0
  for part in _parts(field, array, chosen):
    if exponent:
      part = np.multiply(part, scale, dtype=np.float64)
      sizes = np.abs(part).max(axis=1)
      zeros += int((sizes == 0).sum())
      small += int((sizes < 1e-18).sum())
    rows[start : start + len(part)] = part
    start += len(part)
  if small - zeros > (len(rows) - zeros) / 2:
    expected = f'numbers of one scale, got {largest:g} beside much smaller ones'
    raise ConfigError(field, f'{array.shape}', expected)
  return rows


def _parts(
  field: str, array: np.ndarray, chosen: np.ndarray
) -> Iterator[np.ndarray]:
  """Yield some rows after the other, flat and checked, in a native type."""
  if array.dtype.name == 'bfloat16' or array.dtype == ml_dtypes.bfloat16:
    array = array.astype(np.float32)
  if array.dtype.kind not in 'fiub':
    raise ConfigError(field, array.dtype, 'floating numbers')
  wide = array.dtype.itemsize > 4 and array.dtype.kind == 'f'
  for start in range(0, len(chosen), _ROWS):
    part = np.asarray(array[chosen[start : start + _ROWS]])
    part = part.reshape(len(part), -1)
    part = part.astype(np.float64 if wide else np.float32)
    finite = np.isfinite(part).all(axis=1)
    if not finite.all():
      row = chosen[start + int(np.argmin(finite))]
      expected = f'finite numbers, got NaN or infinity in row {row}'
      raise ConfigError(field, f'{array.shape}', expected)
    yield part
    _release(array)


def _release(array: np.ndarray) -> None:
  """Give back the memory of pages of a file that were read.

  A record that is larger than memory would otherwise fill it, since rows that
  are picked at random bring their neighbours along.
  """
  mapped = getattr(array, '_mmap', None)
  if mapped is not None and hasattr(mmap, 'MADV_DONTNEED'):
    mapped.madvise(mmap.MADV_DONTNEED)
