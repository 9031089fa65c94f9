"""Rows of arrays that need not fit in memory, some at a time."""

from collections.abc import Iterator
from concurrent import futures
import functools
import mmap

import jax
import numpy as np

from splitjax import checks
from splitjax.attacks import _validate
from splitjax.attacks.kmeans import cluster_sums

_CHUNK_BYTES = 64 << 20


def chunks_of(
  vectors: np.ndarray, chunk_size: int | None
) -> Iterator[tuple[int, np.ndarray]]:
  """Yield chunks and where they start, reading ahead by one chunk.

  Args:
    vectors: rows, in general a memory map, `[N, D]`.
    chunk_size: number of rows read at a time; None for as many as take 64 MiB.

  Yields:
    The first row of a chunk, and a copy of its rows.

  Raises:
    ValueError: if `chunk_size` is below 1.
  """
  row_bytes = max(vectors.itemsize * vectors.shape[1], 1)
  if chunk_size is None:
    chunk_size = max(_CHUNK_BYTES // row_bytes, 1)
    if chunk_size > cluster_sums.BLOCK:
      chunk_size -= chunk_size % cluster_sums.BLOCK
  _validate.count('chunk_size', chunk_size)
  read = functools.partial(_read, vectors, chunk_size)
  starts = range(0, len(vectors), chunk_size)
  with futures.ThreadPoolExecutor(1) as reader:
    coming = reader.submit(read, 0)
    for start in starts:
      chunk = coming.result()
      if start + chunk_size < len(vectors):
        coming = reader.submit(read, start + chunk_size)
      yield start, checks.to_native(chunk)


def type_of(name: str, rows: np.ndarray) -> np.dtype:
  """Return the type that JAX has for the numbers of an array.

  Args:
    name: name of the array, for the message.
    rows: the array.

  Raises:
    ValueError: if it is no array, of which parts can be read.
  """
  if not isinstance(rows, np.ndarray | jax.Array):
    raise ValueError(f'{name} must be an array, got {type(rows).__name__}.')
  return jax.dtypes.canonicalize_dtype(rows.dtype.newbyteorder('='))


def _read(vectors: np.ndarray, chunk_size: int, start: int) -> np.ndarray:
  """Return a copy of some rows; those of a mapped file are not mapped."""
  some = vectors[start : start + chunk_size]
  root = vectors
  while isinstance(root.base, np.ndarray):
    root = root.base
  mapped = isinstance(root, np.memmap) and isinstance(root.base, mmap.mmap)
  if not (mapped and some.flags.c_contiguous):
    return np.array(some)
  before = some.ctypes.data - root.ctypes.data
  read = np.fromfile(
    # pyrefly: ignore[missing-attribute]
    root.filename,
    np.uint8,
    some.nbytes,
    # pyrefly: ignore[missing-attribute]
    offset=root.offset + before,
  )
  return read.view(some.dtype).reshape(some.shape)
