"""Canaries: training samples whose label a coin chose, to measure epsilon."""

from typing import NamedTuple

import jax
import numpy as np

from splitjax.data.dataset import Dataset
from splitjax.engine import keys
from splitjax.engine.trials import Asked
from splitjax.errors import ConfigError
from splitjax.errors import check_range
from splitjax.records import viewing
from splitjax.records.auxiliary import sample_auxiliary
from splitjax.training.keys import canaries_key

_FEWEST = 8


class Canaries(NamedTuple):
  """Samples whose label one of two candidates is, as a coin says.

  Attributes:
    ids: ids of the samples, the same in every network, `[M]`.
    candidates: the true class and another one, `[S, M, 2]`.
    coins: which of them is trained on, 0 or 1, `[S, M]`.
  """

  ids: np.ndarray
  candidates: np.ndarray
  coins: np.ndarray

  @property
  def labels(self) -> np.ndarray:
    """The labels that are trained on, `[S, M]`."""
    return np.take_along_axis(self.candidates, self.coins[..., None], -1)[
      ..., 0
    ]

  def asked(self, sample_ids: np.ndarray) -> Asked:
    """Return what an attacker is asked who sees samples, `[S, N]`."""
    rows = [viewing.rows_of(self.ids, one)[0] for one in sample_ids]
    return Asked(np.stack(rows).astype(np.int32), self.candidates)


def draw(
  number: int, dataset: Dataset, *, seed: int, num_seeds: int, num_aux: int
) -> Canaries | None:
  """Draw canaries, and flip their coins.

  Args:
    number: how many, `M`.
    dataset: what is trained on.
    seed: of the configuration.
    num_seeds: how many networks, `S`.
    num_aux: at least one sample more of each class is no canary.

  Returns:
    The canaries; None of 0.

  Raises:
    ConfigError: if so many samples cannot be canaries.
  """
  if not number:
    return None
  _check(number, dataset, num_aux)
  drawn_from = (seed, keys.APART)
  kept = sample_auxiliary(
    drawn_from,
    dataset.train_ids,
    dataset.train_labels,
    num_classes=dataset.num_classes,
    num_per_class=num_aux + 1,
  )
  others = np.setdiff1d(dataset.train_ids, kept.ids)
  order = np.random.default_rng(drawn_from).permutation(len(others))
  ids = np.sort(others[order[:number]])
  runs = keys.of_training(keys.from_seed(seed).training, num_seeds).runs

  def draw_labels(run_key: jax.Array) -> tuple[jax.Array, jax.Array]:
    key_coins, key_others = jax.random.split(canaries_key(run_key))
    steps = jax.random.randint(key_others, ids.shape, 1, dataset.num_classes)
    return jax.random.randint(key_coins, ids.shape, 0, 2), steps

  coins, steps = jax.device_get(jax.vmap(draw_labels)(runs))
  true = np.broadcast_to(dataset.train_labels[ids], coins.shape)
  other = (true + steps) % dataset.num_classes
  return Canaries(ids, np.stack([true, other], axis=-1), coins)


def _check(number: int, dataset: Dataset, num_aux: int) -> None:
  """Raise `ConfigError` if so many samples cannot be canaries."""
  if dataset.is_real:
    raise ConfigError('canaries', number, 'none where targets are real')
  left = dataset.num_classes * (num_aux + 1)
  most = len(dataset.train_labels) - left
  what = f'at most all training samples but the {left} known and scored ones'
  check_range('canaries', number, _FEWEST, most, what)
