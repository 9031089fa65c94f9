"""Max-norm: noise along each cut gradient that equalises expected norms."""

import jax
import jax.numpy as jnp


def noise(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array | None,
  *,
  strength: jax.typing.ArrayLike = 1.0,
) -> jax.Array:
  r"""Stretch each gradient at random, so that norms do not reveal classes.

  The defense "max_norm" of Li et al. (2021, https://arxiv.org/abs/2102.08504):
  each $g_j$ becomes $g_j (1 + \sigma_j n)$ with one $n \sim N(0, 1)$ for each
  sample and $\sigma_j^2 = \max_k ||g_k||^2 / ||g_j||^2 - 1$. All gradients
  then have the expected squared norm of the largest one. The noise is parallel
  to the gradient, so it does not hide the gradient's direction up to its sign.

  Args:
    key: random key for the noise.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: not used.
    strength: factor of $\sigma_j$, at least 0. At 0 the gradients are
      unchanged; 1 is the paper's defense.

  Returns:
    Cut gradients `[B, ...]`, in the type of `cut_grads`. Zero rows stay zero.

  Example:
    The largest row is kept; the other one is stretched along its direction.

    >>> cut_grads = jnp.array([[0.0, 5.0], [1.0, 0.0]])
    >>> noisy = noise(jax.random.key(0), cut_grads, None)
    >>> noisy[0].tolist()
    [0.0, 5.0]
    >>> bool(noisy[1, 0] != 1), float(noisy[1, 1])
    (True, 0.0)
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
  is_on = jnp.asarray(strength) > 0
  return jnp.where(is_on, noisy.astype(cut_grads.dtype), cut_grads)
