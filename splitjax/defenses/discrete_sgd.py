"""Discrete SGD: the cut gradient is rounded to a few values.

Fu et al., "Label inference attacks against vertical federated learning" (USENIX
Security 2022).
"""

import numbers

import jax
import jax.numpy as jnp


def discretize(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array,
  *,
  num_bins: jax.typing.ArrayLike,
) -> jax.Array:
  """Rounds every entry to the nearest of `num_bins + 1` equally spaced values.

  They span two standard deviations to each side of the mean, both over all
  entries of the batch; what lies outside goes to the first or the last. Every
  batch has a span of its own, so that the defense has no state.

  Args:
    key: not used; nothing is drawn.
    cut_grads: `[B, ...]`.
    labels: not used.
    num_bins: how many intervals, 6 to 24 in the literature; 0 is off.

  Returns:
    Cut gradients `[B, ...]`; unchanged if all entries are equal.

  Raises:
    ValueError: at trace time, if `num_bins` is negative.
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
