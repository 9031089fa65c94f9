"""Discrete SGD: the cut gradient is rounded to a few values.

Fu et al., "Label inference attacks against vertical federated learning" (USENIX
Security 2022).
"""

import numbers

import jax
import jax.numpy as jnp


def discretize(
  key: jax.Array | None,
  cut_grads: jax.Array,
  labels: jax.Array | None,
  *,
  num_bins: jax.typing.ArrayLike,
) -> jax.Array:
  """Round every entry to the nearest of `num_bins + 1` equally spaced values.

  The values reach from two standard deviations below the mean to two above it,
  both computed over all entries of the batch. Entries outside of this range are
  moved to its nearest end. Each batch has its own range, so the defense keeps
  no state between batches.

  Args:
    key: not used, since nothing is drawn.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: not used.
    num_bins: number of intervals between the values, at least 0; 6 to 24 in
      the literature. At 0 the gradients are unchanged.

  Returns:
    Cut gradients `[B, ...]`, in the type of `cut_grads`. They are unchanged if
    all entries are equal.

  Raises:
    ValueError: at trace time, if `num_bins` is negative.

  Example:
    The mean is 0 and the standard deviation 1, so the values are -2, 0 and 2.

    >>> cut_grads = jnp.array([[-1.2, -0.8], [0.8, 1.2]]) / jnp.sqrt(1.04)
    >>> discretize(None, cut_grads, None, num_bins=2).round(3).tolist()
    [[-2.0, 0.0], [0.0, 2.0]]
  """
  del key, labels
  if isinstance(num_bins, numbers.Real) and not num_bins >= 0:
    raise ValueError(f'num_bins must be at least 0, got {num_bins}.')
  grads = cut_grads.astype(jnp.float32)
  # Squares of small or large gradients would leave float32.
  scale = jnp.max(jnp.abs(grads))
  scaled = grads / jnp.where(scale > 0, scale, 1)
  mean, reach = jnp.mean(scaled), 2 * jnp.std(scaled)
  is_off = jnp.asarray(num_bins) <= 0
  is_off |= (jnp.min(grads) == jnp.max(grads)) | (reach <= 0)

  bins = jnp.maximum(num_bins, 1)
  # The position in the span, from 0 to 1.
  position = (scaled - mean) / jnp.where(reach > 0, 2 * reach, 1) + 0.5
  rounded = jnp.round(jnp.clip(position, 0, 1) * bins) / bins
  values = (mean + (2 * rounded - 1) * reach) * scale
  # Only next to the largest number can the span end beyond it.
  limit = jnp.finfo(cut_grads.dtype).max.astype(jnp.float32)
  values = jnp.clip(values, -limit, limit).astype(cut_grads.dtype)
  return jnp.where(is_off, cut_grads, values)
