"""Isotropic Gaussian noise on cut gradients."""

import jax
import jax.numpy as jnp


def noise(
  key: jax.Array, cut_grads: jax.Array, labels: jax.Array, *, ratio: jax.Array
) -> jax.Array:
  r"""Adds $N(0, (t \max_j ||g_j||)^2 / d \cdot I)$ to each gradient.

  The baseline "iso" of Li et al. (2021, https://arxiv.org/abs/2102.08504): the
  noise's root mean square norm is t times the batch's largest norm.

  Args:
    key: the random key.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: unused.
    ratio: t; 0 is off.

  Returns:
    `[B, ...]` in the type of `cut_grads`.
  """
  del labels
  dtype = jnp.promote_types(cut_grads.dtype, jnp.float32)
  rows = jax.lax.stop_gradient(cut_grads).astype(dtype)
  rows = rows.reshape(len(rows), -1)
  # The squares of small gradients would underflow.
  scale = jnp.max(jnp.abs(rows))
  rows = rows / jnp.where(scale > 0, scale, 1)
  largest = jnp.sqrt(jnp.max(jnp.sum(rows**2, axis=1))) * scale
  deviation = ratio * largest / jnp.sqrt(rows.shape[1])
  drawn = deviation * jax.random.normal(key, cut_grads.shape, dtype)
  noisy = (cut_grads.astype(dtype) + drawn).astype(cut_grads.dtype)
  return jnp.where(ratio > 0, noisy, cut_grads)
