"""Gradient averaging: samples of a batch share a part of their cut gradient."""

import numbers

import jax
import jax.numpy as jnp


def average(
  key: jax.Array | None,
  cut_grads: jax.Array,
  labels: jax.Array | None,
  *,
  weight: jax.typing.ArrayLike,
) -> jax.Array:
  """Move each sample's cut gradient towards the mean of the batch.

  A simple baseline of ours. The mean over the batch does not change, and so
  neither does the sum.

  Args:
    key: not used.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: not used.
    weight: weight of the batch's mean, in `[0, 1]`. At 0 the gradients are
      unchanged; at 1 all rows are equal.

  Returns:
    Cut gradients `[B, ...]`, in the type of `cut_grads`.

  Raises:
    ValueError: at trace time, if `weight` is out of range.

  Example:
    >>> cut_grads = jnp.array([[0.0], [4.0]])
    >>> average(None, cut_grads, None, weight=0.5).tolist()
    [[1.0], [3.0]]
  """
  del key, labels
  if isinstance(weight, numbers.Real) and not 0 <= weight <= 1:
    raise ValueError(f'weight must lie between 0 and 1, got {weight}.')
  grads = cut_grads.astype(jnp.float32)
  # Each term is divided before the sum, which would overflow otherwise.
  mean = jnp.sum(grads / grads.shape[0], axis=0, keepdims=True)
  moved = ((1 - weight) * grads + weight * mean).astype(cut_grads.dtype)
  return jnp.where(jnp.asarray(weight) <= 0, cut_grads, moved)
