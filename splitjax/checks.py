"""Checks of arrays on the host, before they are recorded or attacked."""

import jax.numpy as jnp
import numpy as np

_ROWS_AT_ONCE = 4096


def vectors(name: str, value: np.ndarray) -> None:
  """Refuses what cannot be clustered.

  Args:
    name: the argument, for the message.
    value: `[N, ...]`; read in chunks, so it may be memory-mapped.

  Raises:
    ValueError: if there is no row, no width, another type than floating, a NaN
      or an infinity.
  """
  shape = np.shape(value)
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
  """Refuses labels that are not classes.

  Args:
    name: the argument, for the message.
    value: of any shape.
    num_classes: they must lie in `[0, num_classes)`.

  Raises:
    ValueError: if they are not integers, or out of range.
  """
  value = np.asarray(value)
  if not np.issubdtype(value.dtype, np.integer):
    raise ValueError(f'{name} must be integers, got {value.dtype}.')
  wrong = value[(value < 0) | (value >= num_classes)]
  if wrong.size:
    raise ValueError(
      f'{name} must lie between 0 and {num_classes - 1}, got {wrong[0]}.'
    )
