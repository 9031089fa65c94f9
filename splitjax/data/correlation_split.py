r"""Parties whose features correlate more or less: VertiBench's beta.

Wu, Hou and He, "VertiBench" (https://arxiv.org/abs/2307.02040). The correlation
of two parties, *Pcor*, is the standard deviation of the singular values of the
block of Spearman correlations between their features, over the square root of
the number of these values. *Icor* is the mean over pairs of different parties
of Pcor between them minus Pcor inside. A split of beta has

$$\text{Icor} = (1 - \beta) \min \text{Icor} + \beta \max \text{Icor},$$

so that at beta 0 correlated features are held by one party and at beta 1 by
different ones. The paper searches with a genetic algorithm; here the minimum,
the maximum and the split are found by annealing, which swaps two features.
"""

from collections.abc import Callable
import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from splitjax import linalg

# A goal of Icor that lies beyond all values; an Icor lies in [-1, 1].
_BEYOND = 2.0
_CHAINS = 4
_STEPS_PER_FEATURE = 40
_HOTTEST, _COLDEST = 0.02, 1e-4


class CorrelationSplit(NamedTuple):
  """A split, and how near it comes to what was asked for.

  Attributes:
    parts: indices of each party's features.
    beta: Icor of the split between the smallest, 0, and the largest, 1.
    icor: Icor of the split.
    min_icor: the smallest Icor found.
    max_icor: the largest Icor found.
  """

  parts: tuple[np.ndarray, ...]
  beta: float
  icor: float
  min_icor: float
  max_icor: float


def spearman(inputs: np.ndarray) -> np.ndarray:
  """Return the rank correlations of features, 0 for those that are constant.

  Args:
    inputs: features of samples, `[N, F]`.

  Returns:
    Correlations `[F, F]`.
  """
  ranks = scipy.stats.rankdata(inputs, axis=0)
  centred = ranks - ranks.mean(0)
  norms = np.linalg.norm(centred, axis=0)
  unit = centred / np.where(norms > 0, norms, 1)
  return unit.T @ unit


def pcor(block: jax.Array) -> jax.Array:
  """Return the correlation of two parties, or inside one.

  Args:
    block: correlations of the features of one with those of the other,
      `[F_i, F_j]`.

  Returns:
    The standard deviation of the singular values over the root of their number;
    0 if there is one only.
  """
  size = min(block.shape)
  if size < 2:
    return jnp.zeros(())
  values = linalg.singular_values(block)
  return jnp.std(values, ddof=1) / jnp.sqrt(size)


def icor(correlations: jax.Array, sizes: tuple[int, ...]) -> jax.Array:
  """Return how much more the parties correlate with each other than inside.

  Args:
    correlations: correlations of all features, `[F, F]`, those of the first
      party first.
    sizes: number of features of each of the parties, two parties at least.

  Returns:
    The mean over pairs of parties of Pcor between them minus Pcor inside.
  """
  edges = (0, *itertools.accumulate(sizes))
  spans = [slice(a, b) for a, b in itertools.pairwise(edges)]
  inside = [pcor(correlations[one, one]) for one in spans]
  between = [
    pcor(correlations[one, other])
    for one, other in itertools.combinations(spans, 2)
  ]
  return jnp.mean(jnp.stack(between)) - jnp.mean(jnp.stack(inside))


def split_by_correlation(
  inputs: np.ndarray, num_parties: int, beta: float, *, seed: int
) -> CorrelationSplit:
  """Divide features so that parties correlate as much as beta says.

  Args:
    inputs: features of samples, `[N, F]`.
    num_parties: number of parties, 2 to `F`, which hold nearly equally many.
    beta: 0 for the smallest correlation between parties, 1 for the largest.
    seed: seed of the search.

  Returns:
    The split that comes nearest among those tried.
  """
  num_features = inputs.shape[1]
  parts = np.array_split(np.arange(num_features), num_parties)
  search = functools.partial(
    _anneal,
    jnp.asarray(spearman(inputs), jnp.float32),
    sizes=tuple(len(part) for part in parts),
    num_steps=_STEPS_PER_FEATURE * num_features,
  )
  keys = jax.random.split(jax.random.key(seed), (3, _CHAINS))
  low_order, low = search(keys[0], -_BEYOND)
  high_order, high = search(keys[1], _BEYOND)
  goal = (1 - beta) * low + beta * high
  between = search(keys[2], goal)
  order, found = min(
    (between, (low_order, low), (high_order, high)),
    key=lambda one: abs(one[1] - goal),
  )
  span = float(high - low)
  return CorrelationSplit(
    tuple(np.sort(np.asarray(order)[part]) for part in parts),
    float(found - low) / span if span > 0 else np.nan,
    float(found),
    float(low),
    float(high),
  )


@functools.partial(jax.jit, static_argnames=('sizes', 'num_steps'))
def _anneal(
  correlations: jax.Array,
  keys: jax.Array,
  goal: jax.typing.ArrayLike,
  *,
  sizes: tuple[int, ...],
  num_steps: int,
) -> tuple[jax.Array, jax.Array]:
  """Search for the order of features whose Icor is nearest to a goal.

  Args:
    correlations: correlations of all features, `[F, F]`.
    keys: a random key for each chain.
    goal: the Icor that is wanted.
    sizes: number of features of each party.
    num_steps: swaps that each chain tries.

  Returns:
    The best order of all chains `[F]`, by which the first features are the
    first party's, and its Icor.
  """
  evaluate = lambda order: icor(correlations[order][:, order], sizes)
  chain = functools.partial(
    _chain, evaluate, goal, len(correlations), num_steps
  )
  orders, values = jax.lax.map(chain, keys)
  best = jnp.argmin(jnp.abs(values - goal))
  return orders[best], values[best]


def _chain(
  evaluate: Callable[[jax.Array], jax.Array],
  goal: jax.typing.ArrayLike,
  num_features: int,
  num_steps: int,
  key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """Anneal from a random order; return the best order met, and its Icor."""
  key_start, key_steps = jax.random.split(key)
  start = jax.random.permutation(key_start, num_features)
  cooling = (_COLDEST / _HOTTEST) ** jnp.linspace(0, 1, num_steps)

  def step(state: tuple, drawn: tuple) -> tuple[tuple, None]:
    (order, value), best = state
    temperature, key = drawn
    key_swap, key_accept = jax.random.split(key)
    pair = jax.random.randint(key_swap, (2,), 0, num_features)
    tried = order.at[pair].set(order[pair[::-1]])
    reached = evaluate(tried)
    worse = jnp.abs(reached - goal) - jnp.abs(value - goal)
    taken = jnp.log(jax.random.uniform(key_accept)) < -worse / temperature
    current = _choose(taken, (tried, reached), (order, value))
    better = jnp.abs(current[1] - goal) < jnp.abs(best[1] - goal)
    return (current, _choose(better, current, best)), None

  first = (start, evaluate(start))
  drawn = (_HOTTEST * cooling, jax.random.split(key_steps, num_steps))
  (_, best), _ = jax.lax.scan(step, (first, first), drawn)
  return best


def _choose(first_if: jax.Array, first: tuple, other: tuple) -> tuple:
  """Return one of two states."""
  return jax.tree.map(lambda a, b: jnp.where(first_if, a, b), first, other)
