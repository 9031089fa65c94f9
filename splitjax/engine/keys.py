"""Which key draws what in a run, and the numbers of its epochs.

Everything that the engine draws comes from one seed. The numbers are fixed:
another number gives other results for the same seed. What happens inside of a
run (model, labels, epochs) is named in `splitjax.training.keys`.
"""

from typing import NamedTuple

import jax

from splitjax.records.intermediates import stream_of

APART = 2**31 - 1  # Folded into a key whose splits are in use.


class SeedKeys(NamedTuple):
  """What is drawn from a seed.

  Attributes:
    training: key of everything in the trainings.
    attacks: key of the attacks' draws.
  """

  training: jax.Array
  attacks: jax.Array


class TrainingKeys(NamedTuple):
  """What is drawn from the key of a training.

  Attributes:
    runs: keys of the runs, one for each seed, `[S]`.
    sketch: key of the projections of wide cuts.
    halves: key of the two halves of the data in a training of two stages.
  """

  runs: jax.Array
  sketch: jax.Array
  halves: jax.Array


def of_seed(seed: int) -> jax.Array:
  """Return the key that a configuration's seed starts."""
  return jax.random.key(seed)


def from_seed(seed: int) -> SeedKeys:
  """Return the keys of trainings and attacks for a seed."""
  return SeedKeys(*jax.random.split(of_seed(seed)))


def of_training(
  key: jax.Array, num_seeds: int, *, real_targets: bool = False
) -> TrainingKeys:
  """Return the keys of a training; every point of it sees the same ones.

  Args:
    key: random key of the training.
    num_seeds: how many runs each point has, `S`.
    real_targets: whether the targets are real numbers. Their runs are drawn
      from the key itself, as when they had an engine of their own, so that the
      figures of `docs/regression.md` hold.

  Returns:
    The keys.
  """
  if real_targets:
    others = jax.random.split(jax.random.fold_in(key, APART))
    return TrainingKeys(jax.random.split(key, num_seeds), *others)
  runs, sketch, halves = jax.random.split(key, 3)
  return TrainingKeys(jax.random.split(runs, num_seeds), sketch, halves)


def of_place(key: jax.Array, phase: str, intermediate: str) -> jax.Array:
  """Return the key of all attacks on a place, whatever else is measured."""
  return jax.random.fold_in(key, stream_of(phase, intermediate))


def first_stage_epoch(num_epochs: int, epoch: int) -> int:
  """Return the number of an epoch of the first of two stages.

  Args:
    num_epochs: passes of one stage.
    epoch: the epoch within the first stage, from 0.

  Returns:
    A number after those of the second stage, which are `0` to
    `num_epochs - 1`, as in a training of one stage.
  """
  return num_epochs + epoch


def relabel_epoch(num_epochs: int) -> int:
  """Return the epoch number whose key draws the labels of the second stage."""
  return 2 * num_epochs
