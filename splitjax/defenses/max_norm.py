"""Max-norm: noise along each cut gradient that equalises expected norms."""

import jax
import jax.numpy as jnp


def noise(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array,
  *,
  strength: jax.Array = 1.0,
) -> jax.Array:
  r"""Stretches each gradient at random, so that norms do not tell classes.

  Of Li et al. (2021, https://arxiv.org/abs/2102.08504): each $g_j$ becomes $g_j
  (1 + \sigma_j n)$ with one $n \sim N(0, 1)$ a sample and $\sigma_j^2 = \max_k
  ||g_k||^2 / ||g_j||^2 - 1$, so that all have the expected squared norm of the
  largest. Being parallel to the gradient, it does not hide its line.

  Args:
    key: the random key.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: unused.
    strength: multiplies sigma; 0 is off, 1 the paper's.

  Returns:
    `[B, ...]` in the type of `cut_grads`; zero rows stay zero.
  """
  del labels
  dtype = jnp.promote_types(cut_grads.dtype, jnp.float32)
  rows = jax.lax.stop_gradient(cut_grads).astype(dtype)
  rows = rows.reshape(len(rows), -1)
  # Each row has a scale of its own: it may be far smaller than the largest.
  scales = jnp.max(jnp.abs(rows), axis=1)
  rows = rows / jnp.where(scales > 0, scales, 1)[:, None]
  lengths = jnp.sqrt(jnp.sum(rows**2, axis=1))
  units = rows / jnp.where(lengths > 0, lengths, 1)[:, None]
  norms = lengths * scales
  largest = jnp.max(norms)
  # sigma_j ||g_j||, without a ratio or a square that leaves the range.
  deviations = jnp.sqrt(largest - norms) * jnp.sqrt(largest + norms)
  normal = jax.random.normal(key, norms.shape, dtype)
  drawn = (strength * deviations * normal)[:, None] * units
  noisy = cut_grads.astype(dtype) + drawn.reshape(cut_grads.shape)
  return jnp.where(strength > 0, noisy.astype(cut_grads.dtype), cut_grads)
