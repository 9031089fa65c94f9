"""Parties that are missing, and what the label party takes instead."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

FILLS = ('zeros', 'mean')

# Smallest weight of a batch in the running mean of what a party sends.
_LEAST_WEIGHT = 0.1
_PRESENCE = 2**31 - 1  # Folded into a key whose other numbers are layers.


class DropOut(NamedTuple):
  """Which parties are missing, and when.

  Attributes:
    rate: chance of each party to be missing in a step of training.
    absent: indices of the parties that are missing in inference.
    fill: what is taken instead: 'zeros', or 'mean' for the running mean of what
      the party sent.
  """

  rate: float = 0.0
  absent: tuple[int, ...] = ()
  fill: str = 'zeros'

  def check(self, num_parties: int) -> None:
    """Raise `ValueError` if what is missing is not one of the parties."""
    if self.fill not in FILLS:
      names = ', '.join(FILLS)
      raise ValueError(f'fill must be one of {names}, got {self.fill!r}.')
    if not all(0 <= party < num_parties for party in self.absent):
      raise ValueError(
        f'absent must be parties from 0 to {num_parties - 1}, got '
        f'{self.absent}.'
      )

  def draw(self, key: jax.Array, num_parties: int) -> jax.Array | None:
    """Draw which parties are there in a step of training.

    Args:
      key: random key of the step.
      num_parties: their number, `P`.

    Returns:
      Whether each is there, `[P]`; None if none is ever missing.
    """
    if not self.rate:
      return None
    key = jax.random.fold_in(key, _PRESENCE)
    return jax.random.bernoulli(key, 1 - self.rate, (num_parties,))

  def in_inference(self, num_parties: int) -> jax.Array | None:
    """Return whether each party is there in inference, `[P]`; None for all."""
    if not self.absent:
      return None
    return jnp.array([x not in self.absent for x in range(num_parties)])


class Means(NamedTuple):
  """Running means of what parties sent, which the label party keeps.

  Attributes:
    values: one for each party, `[...]`.
    counts: in how many steps each party was there, `[P]`.
  """

  values: tuple[jax.Array, ...]
  counts: jax.Array


def start_means(sent: Sequence[jax.Array]) -> Means:
  """Return means before the first step.

  Args:
    sent: an example of what each party sends, `[B, ...]` each.

  Returns:
    Zeros.
  """
  return Means(
    tuple(jnp.zeros(x.shape[1:]) for x in sent), jnp.zeros(len(sent))
  )


def update_means(
  means: Means, sent: Sequence[jax.Array], present: jax.Array | None
) -> Means:
  """Return means with those batches whose party was there.

  Args:
    means: before the step.
    sent: what the parties send in this step, `[B, ...]` each.
    present: whether each is there, `[P]`; None if all are.

  Returns:
    The means after the step.

  Example:
    >>> means = start_means([jnp.zeros((2, 1))])
    >>> means = update_means(means, [jnp.array([[1.0], [3.0]])], None)
    >>> means.values[0].tolist(), means.counts.tolist()
    ([2.0], [1.0])
  """
  if present is None:
    present = jnp.ones(len(sent), bool)
  counts = means.counts + present
  weights = present * jnp.maximum(_LEAST_WEIGHT, 1 / jnp.maximum(counts, 1))
  values = tuple(
    mean + weight * (jax.lax.stop_gradient(x).mean(axis=0) - mean)
    for mean, weight, x in zip(means.values, weights, sent, strict=True)
  )
  return Means(values, counts)


def fill_in(
  sent: Sequence[jax.Array], present: jax.Array | None, means: Means | None
) -> list[jax.Array]:
  """Return what the label party takes of each party.

  Args:
    sent: what the parties send, `[B, ...]` each.
    present: whether each is there, `[P]`; None if all are.
    means: what to take of those that are missing; None for zeros.

  Returns:
    Arrays like those sent.

  Example:
    >>> sent = [jnp.ones((1, 2)), jnp.ones((1, 1))]
    >>> [x.tolist() for x in fill_in(sent, jnp.array([True, False]), None)]
    [[[1.0, 1.0]], [[0.0]]]
  """
  if present is None:
    return list(sent)
  fills: Sequence[Any] = [0.0] * len(sent) if means is None else means.values
  return [
    jnp.where(there, value, fill)
    for there, value, fill in zip(present, sent, fills, strict=True)
  ]
