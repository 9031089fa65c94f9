"""Gradient compression: entries of small magnitude are not sent.

Lin et al., "Deep gradient compression" (2018, https://arxiv.org/abs/1712.01887)
without its residual, which would mix samples at the cut.
"""

import numbers

import jax
import jax.numpy as jnp


def per_batch(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array,
  *,
  ratio: jax.typing.ArrayLike,
) -> jax.Array:
  """Zeroes the smallest entries of the whole batch's cut gradient.

  Rows of small norm may become zero altogether; `per_sample` keeps a part of
  each.

  >>> grads = jnp.array([[0.1, -3.0], [2.0, 0.0]])
  >>> per_batch(None, grads, None, ratio=0.5).tolist()
  [[0.0, -3.0], [2.0, 0.0]]

  Args:
    key: not used.
    cut_grads: `[B, ...]`.
    labels: not used.
    ratio: the share of the `n` entries to drop, in `[0, 1]`, read to a
      millionth; `floor(ratio * n)` are, but never all of them. Of equal
      magnitudes the first are dropped. 0 is off.

  Returns:
    Cut gradients `[B, ...]`; what is kept is unchanged.

  Raises:
    ValueError: at trace time, if `ratio` is out of range.
  """
  del key, labels
  _check(ratio)
  keep = _keep_largest(cut_grads.reshape(-1), ratio)
  return jnp.where(keep.reshape(cut_grads.shape), cut_grads, 0)


def per_sample(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array,
  *,
  ratio: jax.typing.ArrayLike,
) -> jax.Array:
  """Zeroes the smallest entries of each sample's cut gradient.

  Args:
    key: not used.
    cut_grads: `[B, ...]`.
    labels: not used.
    ratio: as in `per_batch`, of the entries of each sample.

  Returns:
    Cut gradients `[B, ...]`; what is kept is unchanged.

  Raises:
    ValueError: at trace time, if `ratio` is out of range.
  """
  del key, labels
  _check(ratio)
  rows = cut_grads.reshape(cut_grads.shape[0], -1)
  keep = jax.vmap(_keep_largest, (0, None))(rows, ratio)
  return jnp.where(keep.reshape(cut_grads.shape), cut_grads, 0)


def _keep_largest(entries, ratio):
  """Marks all but the dropped share of a vector, `[n]`."""
  order = jnp.argsort(jnp.abs(entries), stable=True)
  is_kept = jnp.arange(entries.size) >= _num_dropped(ratio, entries.size)
  return jnp.zeros(entries.size, bool).at[order].set(is_kept)


def _num_dropped(ratio, size):
  """`floor(ratio * size)`, less than `size`; exact for ratios like 0.9.

  0.9 is less than 0.9 in float32, and sizes beyond 2**24 are not in it at all.
  So this is a long multiplication of integers, none of which leaves int32.
  """
  millionths = jnp.round(jnp.asarray(ratio, jnp.float32) * 1e6)
  millionths = millionths.astype(jnp.int32)
  thousands, units = jnp.divmod(millionths, 1000)
  whole, part = divmod(size, 10**6)
  carried = thousands * part + units * part // 1000
  dropped = millionths * whole + carried // 1000
  return jnp.clip(dropped, 0, size - 1)


def _check(ratio):
  """Refuses a static ratio that has no meaning."""
  if isinstance(ratio, numbers.Real) and not 0 <= ratio <= 1:
    raise ValueError(f'ratio must lie between 0 and 1, got {ratio}.')
