"""Parties that attack alone or together: what they hold, and their names."""

from collections.abc import Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from splitjax.data.dataset import Dataset
from splitjax.data.feature_split import FeatureSplit
from splitjax.engine.extractors import ApplyFn
from splitjax.errors import ConfigError
from splitjax.training.party_model import PartyModel

PyTree = Any
Coalition = tuple[int, ...]

EACH, ALL = 'each', 'all'
_FIELD = 'attackers'


def parse(texts: Sequence[str], num_parties: int) -> tuple[Coalition, ...]:
  """Read who attacks.

  Args:
    texts: 'each' for every party alone, 'all' for all together, or indices of
      parties that work together, joined by '+'.
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
  names = text.split('+')
  known = {str(party): party for party in range(num_parties)}
  if set(names) <= set(known) and len(set(names)) == len(names):
    return tuple(sorted(known[name] for name in names))
  expected = f'{EACH}, {ALL}, or different parties of 0 to {num_parties - 1}'
  raise ConfigError(_FIELD, text, f'{expected}, joined by +')


def name_of(parties: Coalition) -> str:
  """Return what results call parties that work together.

  Example:
    >>> name_of((0, 2))
    '0+2'
  """
  return '+'.join(map(str, parties))


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
    if len(sent) == 1:
      return sent[0]
    return jnp.concatenate([x.reshape(len(x), -1) for x in sent], axis=1)

  return apply_fn
