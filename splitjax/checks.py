"""Checks of arrays on the host, before they are recorded or attacked."""

import contextlib
import os
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from splitjax.errors import ConfigError

_ROWS_AT_ONCE = 4096
_GIGABYTE = 1e9
# Where a container says how much memory it may take.
_LIMITS = (
  '/sys/fs/cgroup/memory.max',
  '/sys/fs/cgroup/memory/memory.limit_in_bytes',
)


def vectors(name: str, value: np.ndarray) -> None:
  """Check that an array holds vectors that can be attacked.

  Args:
    name: name of the array, for the message.
    value: array `[N, ...]`; it is read in chunks, so it may be memory-mapped.

  Raises:
    ValueError: if the array has fewer than two axes, is empty, is not of a
      floating type, or holds a NaN or an infinity.

  Example:
    >>> vectors('cut_grads', np.array([[1.0], [np.nan]]))
    Traceback (most recent call last):
    ValueError: cut_grads must be finite, got a NaN or an infinity in row 1.
  """
  shape = np.shape(value)
  if not hasattr(value, 'dtype'):
    raise ValueError(f'{name} must be an array, got {type(value).__name__}.')
  if len(shape) < 2 or 0 in shape:
    raise ValueError(f'{name} must have shape [N, ...], got {shape}.')
  if not jnp.issubdtype(value.dtype, jnp.floating):
    raise ValueError(f'{name} must be of a floating type, got {value.dtype}.')
  for start in range(0, len(value), _ROWS_AT_ONCE):
    chunk = np.asarray(value[start : start + _ROWS_AT_ONCE])
    finite = np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
    if not finite.all():
      raise ValueError(
        f'{name} must be finite, got a NaN or an infinity in row '
        f'{start + int(np.argmin(finite))}.'
      )


def labels(name: str, value: np.ndarray, num_classes: int) -> None:
  """Check that labels are classes.

  Args:
    name: name of the labels, for the message.
    value: labels, of any shape.
    num_classes: number of classes; labels must lie in `[0, num_classes)`.

  Raises:
    ValueError: if the labels are not integers or out of range.

  Example:
    >>> labels('labels', np.array([0, 3]), num_classes=3)
    Traceback (most recent call last):
    ValueError: labels must lie between 0 and 2, got 3.
  """
  value = np.asarray(value)
  if not np.issubdtype(value.dtype, np.integer):
    raise ValueError(f'{name} must be integers, got {value.dtype}.')
  wrong = value[(value < 0) | (value >= num_classes)]
  if wrong.size:
    raise ValueError(
      f'{name} must lie between 0 and {num_classes - 1}, got {wrong[0]}.'
    )


def memory(field: str, value: Any, num_bytes: float) -> None:
  """Raise `ConfigError` if more memory would be taken than the machine has.

  Args:
    field: what asks for it.
    value: what that is set to.
    num_bytes: what would be taken at least, in bytes.

  Example:
    >>> memory('num_seeds', 10**15, 4e15)
    Traceback (most recent call last):
    splitjax.errors.ConfigError: num_seeds=1000000000000000: expected less: ...
  """
  has = total_memory()
  if num_bytes > has:
    raise ConfigError(
      field,
      value,
      f'less: it would take {num_bytes / _GIGABYTE:,.0f} GB of memory at '
      f'least, and there are {has / _GIGABYTE:,.0f} GB',
    )


def total_memory() -> float:
  """Return the bytes that this process may take; infinity if unknown."""
  found = [float('inf')]
  for path in _LIMITS:
    try:
      found.append(float(pathlib.Path(path).read_text()))
    except (OSError, ValueError):  # Not there, or 'max'.
      continue
  with contextlib.suppress(AttributeError, OSError, ValueError):
    # Not every system tells.
    found.append(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES'))
  return min(found)


def regular_file(field: str, path: str | os.PathLike) -> None:
  """Raise `ConfigError` if something is there that is no file to be read whole.

  A pipe would be waited for, and a device never ends. What is not there is left
  to whoever opens it.

  Args:
    field: what names the file.
    path: the file.

  Example:
    >>> regular_file('weights', '/dev/zero')
    Traceback (most recent call last):
    splitjax.errors.ConfigError: weights=/dev/zero: expected a regular file
  """
  path = pathlib.Path(path)
  if path.exists() and not path.is_file():
    raise ConfigError(field, path, 'a regular file')


def to_native(array: np.ndarray) -> np.ndarray:
  """Return an array in the byte order of this machine.

  JAX reads the bytes as they are, so that others would be other numbers.

  Args:
    array: an array, which is not copied if it is native.

  Returns:
    The array.

  Example:
    >>> to_native(np.array([1.0], '>f4')).dtype.isnative
    True
  """
  dtype = array.dtype
  if dtype.isnative:
    return array
  return np.asarray(array).astype(dtype.newbyteorder('='))
