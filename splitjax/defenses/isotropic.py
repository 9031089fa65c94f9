"""Isotropic Gaussian noise on cut gradients."""

import jax
import jax.numpy as jnp


def noise(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array | None,
  *,
  ratio: jax.typing.ArrayLike,
) -> jax.Array:
  r"""Add $N(0, (t \max_j ||g_j||)^2 / d \cdot I)$ to each gradient.

  The baseline "iso" of Li et al. (2021, https://arxiv.org/abs/2102.08504). The
  root mean square norm of the noise is $t$ times the largest gradient norm of
  the batch; $d$ is the width of the cut.

  Args:
    key: random key for the noise.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: not used.
    ratio: the factor $t$, at least 0. At 0 the gradients are unchanged.

  Returns:
    Cut gradients `[B, ...]`, in the type of `cut_grads`.

  Example:
    The gradients have norm 2, so noise of ratio 3 has norms of about 6.

    >>> cut_grads = jnp.full((2, 10_000), 2 / 100)
    >>> noisy = noise(jax.random.key(0), cut_grads, None, ratio=3.0)
    >>> jnp.linalg.norm(noisy - cut_grads, axis=1).round().tolist()
    [6.0, 6.0]
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
  return jnp.where(jnp.asarray(ratio) > 0, noisy, cut_grads)
