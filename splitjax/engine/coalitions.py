"""Parties that attack alone or together: what they hold, and their names."""

from collections.abc import Sequence
import functools
import itertools
from typing import Any

import jax
import numpy as np

from splitjax.data.dataset import Dataset
from splitjax.data.feature_split import FeatureSplit
from splitjax.engine.extractors import ApplyFn
from splitjax.errors import ConfigError
from splitjax.training.party_model import PartyModel
from splitjax.training.sending import side_by_side

PyTree = Any
Coalition = tuple[int, ...]

EACH, ALL = 'each', 'all'
_FIELD = 'attackers'
_LONGEST = 3  # Parties in a row that are named one by one.


def parse(texts: Sequence[str], num_parties: int) -> tuple[Coalition, ...]:
  """Read who attacks.

  Args:
    texts: 'each' for every party alone, 'all' for all together, or indices of
      parties that work together, joined by '+', as '0+2' or '0-3+5'.
    num_parties: the number of parties, `P`.

  Returns:
    The indices of each attacker, in the order of the texts, each once.

  Raises:
    ConfigError: if a coalition is not of such parties, or there is none.

  Example:
    >>> parse(['each', '0+2'], 3)
    ((0,), (1,), (2,), (0, 2))
  """
  found: list[Coalition] = []
  for text in texts:
    if text == EACH:
      found += [(party,) for party in range(num_parties)]
    elif text == ALL:
      found.append(tuple(range(num_parties)))
    else:
      found.append(_coalition_of(text, num_parties))
  if not found:
    raise ConfigError(_FIELD, '', f'{EACH}, {ALL}, or parties as 0+1')
  return tuple(dict.fromkeys(found))


def _coalition_of(text: str, num_parties: int) -> Coalition:
  """Return the parties that a text names."""
  known = {str(party): party for party in range(num_parties)}
  found: list[int] = []
  for name in text.split('+'):
    first, dash, last = name.partition('-')
    if first in known and (not dash or last in known):
      found += range(known[first], known[last if dash else first] + 1)
    else:
      found.append(-1)
  if found and -1 not in found and len(set(found)) == len(found):
    return tuple(sorted(found))
  expected = f'{EACH}, {ALL}, or different parties of 0 to {num_parties - 1}'
  raise ConfigError(_FIELD, text, f'{expected}, joined by +')


def name_of(parties: Coalition) -> str:
  """Return what results call parties that work together, in order.

  Example:
    >>> name_of((0, 2)), name_of((0, 1, 2, 3, 5))
    ('0+2', '0-3+5')
  """
  runs = [
    [party for _, party in run]
    for _, run in itertools.groupby(
      enumerate(parties), lambda pair: pair[1] - pair[0]
    )
  ]
  texts = [
    [f'{run[0]}-{run[-1]}'] if len(run) > _LONGEST else map(str, run)
    for run in runs
  ]
  return '+'.join(itertools.chain(*texts))


def columns_of(model: PartyModel, parties: Coalition) -> np.ndarray:
  """Return the features that some parties hold together, in order, `[K]`."""
  found = [model.features.columns[party] for party in parties]
  return np.sort(np.concatenate(found))


@functools.lru_cache(maxsize=4)
def dataset_of(
  dataset: Dataset, model: PartyModel, parties: Coalition
) -> Dataset:
  """Return a data set with the features of some parties alone, `[N, K]`."""
  held = columns_of(model, parties)
  return FeatureSplit((held,), ((len(held),),)).datasets(dataset)[0]


@functools.lru_cache(maxsize=64)
def bottoms_fn(model: PartyModel, parties: Coalition) -> ApplyFn:
  """Return what parties that work together make of their features.

  Args:
    model: the model of several parties.
    parties: their indices.

  Returns:
    A function for `Extractor`, from the features of `columns_of` to what the
    parties send, side by side. Batch statistics stay what they are.
  """
  held = columns_of(model, parties)
  features = FeatureSplit(
    tuple(np.searchsorted(held, model.features.columns[x]) for x in parties),
    tuple(model.features.shapes[x] for x in parties),
  )

  def apply_fn(variables: PyTree, inputs: jax.Array) -> jax.Array:
    sent = [
      model.run_bottom(party, params, jax.lax.stop_gradient(state), x)[0]
      for party, params, state, x in zip(
        parties, *variables, features.apply(inputs), strict=True
      )
    ]
    return sent[0] if len(sent) == 1 else side_by_side(sent)

  return apply_fn
