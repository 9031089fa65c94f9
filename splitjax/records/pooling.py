"""Sums over neighbouring positions, for images too wide to keep.

A class shifts the gradients of neighbouring positions alike, and their noise
differs: a sum keeps the one and averages the other. On SimpleNet's cut 24 a
random projection of the same width loses half of what such sums keep.
"""

import math

import jax
import jax.numpy as jnp


def factor_for(shape: tuple[int, ...], width: int) -> int:
  """Return how many positions to sum up along each side.

  Args:
    shape: shape of a sample, `(height, width, channels)` if it has positions.
    width: how many numbers may be kept; 0 for all.

  Returns:
    The smallest power of 2 with which it fits, or the one that leaves a single
    position; 1 for what has no positions.

  Example:
    >>> factor_for((16, 16, 128), 8192), factor_for((300,), 100)
    (2, 1)
  """
  factor = 1
  if len(shape) != 3 or not width:
    return factor
  while math.prod(pooled_shape(shape, factor)) > width and factor < max(
    shape[:2]
  ):
    factor *= 2
  return factor


def pooled_shape(shape: tuple[int, ...], factor: int) -> tuple[int, ...]:
  """Return the shape after the sums.

  Args:
    shape: shape of a sample.
    factor: from `factor_for`.

  Returns:
    The shape; sides that do not divide are rounded up.

  Example:
    >>> pooled_shape((5, 8, 3), 2)
    (3, 4, 3)
  """
  if len(shape) != 3:
    return shape
  height, width, channels = shape
  return -(-height // factor), -(-width // factor), channels


def sum_neighbours(x: jax.Array, factor: int) -> jax.Array:
  """Sum over squares of positions.

  Args:
    x: images `[N, height, width, channels]`; others only with a factor of 1.
    factor: positions along each side of a square.

  Returns:
    The sums, in float32 or wider; `x` itself with a factor of 1.

  Example:
    >>> sum_neighbours(jnp.arange(4.0).reshape(1, 2, 2, 1), 2).tolist()
    [[[[6.0]]]]
  """
  if factor == 1:
    return x
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  num, height, width, channels = x.shape
  x = jnp.pad(x, ((0, 0), (0, -height % factor), (0, -width % factor), (0, 0)))
  blocks = x.reshape(
    num, -(-height // factor), factor, -(-width // factor), factor, channels
  )
  return jnp.sum(blocks, axis=(2, 4))
