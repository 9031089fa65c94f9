"""Gradient averaging: samples of a batch share a part of their cut gradient."""

import numbers

import jax
import jax.numpy as jnp


def average(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array,
  *,
  weight: jax.typing.ArrayLike,
) -> jax.Array:
  """Moves each sample's cut gradient towards the batch's mean.

  A simple baseline: the mean, and with it the sum over the batch, is unchanged.

  >>> average(None, jnp.array([[0.0], [4.0]]), None, weight=0.5).tolist()
  [[1.0], [3.0]]

  Args:
    key: not used.
    cut_grads: `[B, ...]`.
    labels: not used.
    weight: of the mean, in `[0, 1]`; 0 is off, at 1 all rows are equal.

  Returns:
    Cut gradients `[B, ...]`.

  Raises:
    ValueError: at trace time, if `weight` is out of range.
  """
  del key, labels
  if isinstance(weight, numbers.Real) and not 0 <= weight <= 1:
    raise ValueError(f'weight must lie between 0 and 1, got {weight}.')
  grads = cut_grads.astype(jnp.float32)
  # Divided first, since a sum of large numbers would overflow.
  mean = jnp.sum(grads / grads.shape[0], axis=0, keepdims=True)
  moved = ((1 - weight) * grads + weight * mean).astype(cut_grads.dtype)
  return jnp.where(jnp.asarray(weight) <= 0, cut_grads, moved)
