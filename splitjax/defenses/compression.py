"""Gradient compression: entries of small magnitude are not sent.

Lin et al., "Deep gradient compression" (2018, https://arxiv.org/abs/1712.01887)
without its residual, which would mix samples at the cut.
"""

import numbers

import jax
import jax.numpy as jnp


def per_batch(
  key: jax.Array | None,
  cut_grads: jax.Array,
  labels: jax.Array | None,
  *,
  ratio: jax.typing.ArrayLike,
) -> jax.Array:
  """Set the smallest entries of the whole batch's cut gradient to zero.

  Rows of small norm may become zero altogether; `per_sample` keeps a part of
  each.

  Args:
    key: not used.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`, with `n` entries in all.
    labels: not used.
    ratio: share of the entries to drop, in `[0, 1]`, rounded to a millionth.
      The number of dropped entries is `floor(ratio * n)`, but at most `n - 1`.
      Among entries of equal magnitude the first are dropped. At 0 the gradients
      are unchanged.

  Returns:
    Cut gradients `[B, ...]`; entries that are kept are unchanged.

  Raises:
    ValueError: at trace time, if `ratio` is out of range.

  Example:
    >>> cut_grads = jnp.array([[0.1, -3.0], [2.0, 0.0]])
    >>> per_batch(None, cut_grads, None, ratio=0.5).tolist()
    [[0.0, -3.0], [2.0, 0.0]]
  """
  del key, labels
  _check(ratio)
  keep = _keep_largest(cut_grads.reshape(-1), ratio)
  return jnp.where(keep.reshape(cut_grads.shape), cut_grads, 0)


def per_sample(
  key: jax.Array | None,
  cut_grads: jax.Array,
  labels: jax.Array | None,
  *,
  ratio: jax.typing.ArrayLike,
) -> jax.Array:
  """Set the smallest entries of each sample's cut gradient to zero.

  Args:
    key: not used.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`, with `n` entries a sample.
    labels: not used.
    ratio: share of each sample's entries to drop, in `[0, 1]`, rounded to a
      millionth. The number of dropped entries is `floor(ratio * n)`, but at
      most `n - 1`. At 0 the gradients are unchanged.

  Returns:
    Cut gradients `[B, ...]`; entries that are kept are unchanged.

  Raises:
    ValueError: at trace time, if `ratio` is out of range.

  Example:
    >>> cut_grads = jnp.array([[0.1, -3.0], [2.0, 0.0]])
    >>> per_sample(None, cut_grads, None, ratio=0.5).tolist()
    [[0.0, -3.0], [2.0, 0.0]]
  """
  del key, labels
  _check(ratio)
  rows = cut_grads.reshape(cut_grads.shape[0], -1)
  keep = jax.vmap(_keep_largest, (0, None))(rows, ratio)
  return jnp.where(keep.reshape(cut_grads.shape), cut_grads, 0)


def _keep_largest(entries: jax.Array, ratio: jax.typing.ArrayLike) -> jax.Array:
  """Mark the entries of a vector `[n]` that are kept, `[n]`."""
  order = jnp.argsort(jnp.abs(entries), stable=True)
  is_kept = jnp.arange(entries.size) >= _num_dropped(ratio, entries.size)
  return jnp.zeros(entries.size, bool).at[order].set(is_kept)


def _num_dropped(ratio: jax.typing.ArrayLike, size: int) -> jax.Array:
  """Return `floor(ratio * size)`, but at most `size - 1`.

  The number is exact for ratios such as 0.9, which float32 rounds downwards,
  and for sizes beyond 2**24, which float32 cannot hold. This is a long
  multiplication of integers, all of which fit into int32.
  """
  millionths = jnp.round(jnp.asarray(ratio, jnp.float32) * 1e6)
  millionths = millionths.astype(jnp.int32)
  thousands, units = jnp.divmod(millionths, 1000)
  whole, part = divmod(size, 10**6)
  carried = thousands * part + units * part // 1000
  dropped = millionths * whole + carried // 1000
  return jnp.clip(dropped, 0, size - 1)


def _check(ratio: jax.typing.ArrayLike) -> None:
  """Raise ValueError if a ratio that is not traced is out of range."""
  if isinstance(ratio, numbers.Real) and not 0 <= ratio <= 1:
    raise ValueError(f'ratio must lie between 0 and 1, got {ratio}.')
