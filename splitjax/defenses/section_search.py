"""A search of a fixed number of steps for where a predicate changes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

# Each round divides the interval by the first number; 12 rounds give 60 bits.
_NUM_SECTIONS = 32
_NUM_ROUNDS = 12


def search(
  predicate: Callable[[jax.Array], jax.Array], low: jax.Array, high: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Narrow the interval in which a predicate turns from true to false.

  Like bisection, but each round tests many points side by side, which takes
  accelerators no longer than one.

  Args:
    predicate: function of a scalar; true below some point and false from there
      on.
    low: lower end of the interval, a scalar.
    high: upper end of the interval, in the type of `low`.

  Returns:
    The ends of a narrower interval. The predicate is true at its lower end and
    false at its upper end, unless that end is an end of the given interval.

  Example:
    >>> below, above = search(
    ...   lambda x: x**2 < 2, jnp.array(0.0), jnp.array(2.0)
    ... )
    >>> print(f'{below:.4f} {above:.4f}')
    1.4142 1.4142
  """
  fractions = jnp.arange(1, _NUM_SECTIONS, dtype=low.dtype) / _NUM_SECTIONS
  Ends = tuple[jax.Array, jax.Array]

  def narrow(_: jax.Array, ends: Ends) -> Ends:
    low, high = ends
    inner = low + (high - low) * fractions
    points = jnp.concatenate([low[None], inner, high[None]])
    index = jnp.sum(jax.vmap(predicate)(inner))
    return points[index], points[index + 1]

  return jax.lax.fori_loop(0, _NUM_ROUNDS, narrow, (low, high))
