"""Samples that are not finite numbers: others stand in for them in a fit."""

import jax
import jax.numpy as jnp


def fill(*arrays: jax.Array) -> tuple[tuple[jax.Array, ...], jax.Array]:
  """Replace samples that are not finite by whole ones, so that a fit can run.

  The last whole sample before it stands in for one, so that each stands for
  about as many as it would in a part of the record drawn at random.

  Args:
    *arrays: what is known of the samples, `[N, ...]` each.

  Returns:
    The arrays, and which samples were whole in all of them, `[N]`. Without any
    whole sample the arrays are what they were.

  Example:
    >>> (filled,), finite = fill(jnp.array([[jnp.nan], [1.0], [jnp.inf]]))
    >>> filled[:, 0].tolist(), finite.tolist()
    ([1.0, 1.0, 1.0], [False, True, False])
  """
  finite = jnp.ones(len(arrays[0]), bool)
  for x in arrays:
    finite &= jnp.all(jnp.isfinite(x), axis=tuple(range(1, x.ndim)))
  rows = jnp.where(finite, jnp.arange(len(finite)), jnp.argmax(finite))
  rows = jax.lax.cummax(rows)
  return tuple(x[rows] for x in arrays), finite
