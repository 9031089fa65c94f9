"""How the label party joins what several parties send."""

from collections.abc import Callable, Sequence
import functools
import operator

import jax
import jax.numpy as jnp


class ShapesDifferError(ValueError):
  """What the parties send is not shaped equally, and cannot be added."""


FuseFn = Callable[[Sequence[jax.Array]], jax.Array]


def concat(values: Sequence[jax.Array]) -> jax.Array:
  """Join what the parties send side by side.

  Args:
    values: one array a party, `[B, ...]`.

  Returns:
    All of it along the last axis where the other axes agree, as channels of
    images of one size; else each flattened, `[B, D]`. One array stays as it is.

  Example:
    >>> concat([jnp.zeros((2, 3)), jnp.zeros((2, 5))]).shape
    (2, 8)
  """
  if len(values) == 1:
    return values[0]
  if len({x.shape[:-1] for x in values}) > 1:
    values = [x.reshape(len(x), -1) for x in values]
  return jnp.concatenate(values, axis=-1)


def add(values: Sequence[jax.Array]) -> jax.Array:
  """Add what the parties send.

  Args:
    values: one array a party, `[B, ...]`, equally shaped.

  Returns:
    The sum, `[B, ...]`.

  Raises:
    ShapesDifferError: if the shapes differ.

  Example:
    >>> add([jnp.ones((1, 2)), jnp.ones((1, 2))]).tolist()
    [[2.0, 2.0]]
  """
  shapes = {x.shape[1:] for x in values}
  if len(shapes) > 1:
    found = ', '.join(map(str, sorted(shapes)))
    raise ShapesDifferError(f'only equal shapes can be added, got {found}')
  return functools.reduce(operator.add, values)


def mean(values: Sequence[jax.Array]) -> jax.Array:
  """Average what the parties send.

  Args:
    values: one array a party, `[B, ...]`, equally shaped.

  Returns:
    The mean, `[B, ...]`.

  Raises:
    ShapesDifferError: if the shapes differ.

  Example:
    >>> mean([jnp.ones((1, 2)), 3 * jnp.ones((1, 2))]).tolist()
    [[2.0, 2.0]]
  """
  return add(values) / len(values)


FUSIONS: dict[str, FuseFn] = {'concat': concat, 'sum': add, 'mean': mean}
