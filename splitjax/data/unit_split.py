"""Features that are divided one by one: in order, at random, by measure."""

from collections.abc import Sequence
import math

import jax
import numpy as np

from splitjax.data import correlation_split
from splitjax.data import importance_split
from splitjax.errors import ConfigError

# With `contiguous` and `segments`, what a party holds stands together.
IN_ORDER = ('contiguous', 'segments')
MEASURED = ('importance', 'correlation')
NAMES = (*IN_ORDER, 'random', *MEASURED)
_FIELD = 'feature_split'
# The search takes singular values of matrices of this size for every swap.
_MOST_CORRELATED = 256
_MOST_SAMPLES = 10_000
_NEAR = 0.02

Units = Sequence[np.ndarray]


def check_parties(num_parties: int, num_units: int) -> None:
  """Raise `ConfigError` if there are more parties than features to hold.

  Args:
    num_parties: number of parties beside the label party.
    num_units: number of features that can be held apart.
  """
  if not 1 <= num_parties <= num_units:
    expected = f'1 to {num_units}, a feature for each party'
    raise ConfigError('parties', num_parties, expected)


def take(
  units: Units, share: float, how: str, seed: int
) -> tuple[np.ndarray, Units]:
  """Take the label party's features, at least one.

  Args:
    units: features, each as the indices of its columns.
    share: share of the features.
    how: the split: the last features are taken if it keeps the order, else
      random ones.
    seed: seed of the draw.

  Returns:
    Indices of the columns taken, increasing, and the features left.
  """
  size = max(1, round(share * len(units)))
  order = np.arange(len(units))
  if how not in IN_ORDER:
    order = np.random.default_rng(seed).permutation(order)
  return join(units, order[-size:]), [units[i] for i in np.sort(order[:-size])]


def divide(
  inputs: np.ndarray, units: Units, num_parties: int, how: str, seed: int
) -> tuple[np.ndarray, ...]:
  """Divide features between parties.

  Args:
    inputs: flattened samples, `[N, F]`, of which correlations are taken.
    units: features, each as the indices of its columns.
    num_parties: number of parties.
    how: one of `NAMES`, with its number, as in 'importance:0.5'.
    seed: seed of what is random.

  Returns:
    Indices of the columns of each party, increasing.

  Raises:
    ConfigError: if the number does not fit, or there are too few features.
  """
  check_parties(num_parties, len(units))
  name, _, number = how.partition(':')
  order = np.arange(len(units))
  if name == 'random':
    order = np.random.default_rng([seed, 1]).permutation(order)
  parts = np.array_split(order, num_parties)
  if name == 'importance':
    alpha = _number(how, number, math.inf)
    key = jax.random.key(seed)
    parties = importance_split.assign(key, len(units), num_parties, alpha)
    parts = [np.flatnonzero(parties == party) for party in range(num_parties)]
  if name == 'correlation':
    parts = _by_correlation(inputs, units, num_parties, how, number, seed)
  return tuple(join(units, part) for part in parts)


def join(units: Units, chosen: np.ndarray) -> np.ndarray:
  """Return the columns of chosen features, increasing."""
  return np.sort(np.concatenate([units[index] for index in chosen]))


def _by_correlation(
  inputs: np.ndarray,
  units: Units,
  num_parties: int,
  how: str,
  number: str,
  seed: int,
) -> tuple[np.ndarray, ...]:
  """Divide features of one column each as beta says, or raise."""
  beta = _number(how, number, 1.0, low=0.0)
  several = any(len(unit) > 1 for unit in units)
  if several or not 4 <= len(units) <= _MOST_CORRELATED or num_parties < 2:
    expected = (
      f'2 parties or more and 4 to {_MOST_CORRELATED} features of one column '
      f'each, not {num_parties} and {len(units)}'
      f'{" of several columns" if several else ""}'
    )
    raise ConfigError(_FIELD, how, expected)
  columns = np.concatenate(units)
  found = correlation_split.split_by_correlation(
    inputs[:_MOST_SAMPLES, columns], num_parties, beta, seed=seed
  )
  if not abs(found.beta - beta) <= _NEAR:
    expected = (
      f'a beta that a split of these {len(units)} features reaches; the '
      f'nearest found is {found.beta:.3f}'
    )
    raise ConfigError(_FIELD, how, expected)
  return found.parts


def _number(
  how: str, text: str, high: float, low: float | None = None
) -> float:
  """Return the number of a split, positive unless there is a smallest one."""
  try:
    number = float(text)
  except ValueError:
    number = math.nan
  in_range = number > 0 if low is None else number >= low
  if not (math.isfinite(number) and in_range and number <= high):
    bounds = 'a positive number' if low is None else f'{low:g} to {high:g}'
    name = how.partition(':')[0]
    raise ConfigError(_FIELD, how, f'{name}:NUMBER, {bounds}')
  return number
