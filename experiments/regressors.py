"""Split regressors: training with records of what crosses the cut."""

from collections.abc import Callable, Sequence
import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from splitjax import data
from splitjax import defenses
from splitjax import losses
from splitjax import models
from splitjax import training
from splitjax.records import recording
from splitjax.training import inference
from splitjax.training import protection
from splitjax.training import split

# What an attacker can read, beside raw inputs: by phase and name.
Place = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How to train.

  Attributes:
    hidden_sizes: of the perceptron.
    cut: how many layers the client holds.
    optimizer: of both parties.
    epochs: passes over the training set.
    batch_size: samples of a step.
    recorded_epoch: the pass that is recorded, from 1.
    defense: one of `DEFENSES`.
    num_extra: entries of an extended label.
  """

  hidden_sizes: tuple[int, ...]
  cut: int
  optimizer: optax.GradientTransformation
  epochs: int
  batch_size: int
  recorded_epoch: int
  defense: str = 'none'
  num_extra: int = 0


class Observed(NamedTuple):
  """What one run shows.

  Attributes:
    records: of what crossed, by place. Beside 'cut_grads', 'sent' is the
      smashed data of the recorded pass; 'smashed' is of the trained client.
    answers: the model's standardised predictions, by phase, `[N]`.
  """

  records: dict[Place, recording.Record]
  answers: dict[str, np.ndarray]


def _random_extension(num_extra, scale):
  extension = defenses.label_extension
  return protection.Protection(
    stored_labels=functools.partial(
      extension.extend, num_extra=num_extra, scale=scale
    ),
    answers=extension.answers,
  )


def _adaptive_extension(num_extra, scale):
  extension = defenses.label_extension
  return protection.Protection(
    stored_labels=functools.partial(extension.extend, num_extra=num_extra),
    loss=functools.partial(extension.adaptive_loss, scale=scale),
    answers=extension.answers,
  )


# `(number of extra entries, strength) -> Protection`. Not the paper's, see
# `label_extension`, so not called by the paper's names.
DEFENSES: dict[str, Callable[..., protection.Protection]] = {
  'none': lambda num_extra, scale: protection.Protection(),
  'rle_like': _random_extension,
  'mle_like': _adaptive_extension,
}


def make_model(recipe: Recipe) -> split.SplitModel:
  """The perceptron, with an output for each entry of a label."""
  num_extra = 0 if recipe.defense == 'none' else recipe.num_extra
  layers = models.mlp(1 + num_extra, hidden_sizes=recipe.hidden_sizes)
  return split.SplitModel(layers, (recipe.cut,))


def observe(
  key: jax.Array,
  dataset: data.RegressionDataset,
  recipe: Recipe,
  *,
  num_seeds: int,
  strengths: Sequence[float],
) -> list[list[Observed]]:
  """Trains a regressor for each strength and seed, all in one program.

  Args:
    key: of all draws; each strength sees the same.
    dataset: what to train on.
    recipe: how.
    num_seeds: models for each strength.
    strengths: of the defense.

  Returns:
    What was observed, by strength and seed.

  Raises:
    FloatingPointError: if a training diverges.
  """
  sets = {'training': dataset.train_inputs, 'inference': dataset.test_inputs}
  sets = {phase: jnp.asarray(x) for phase, x in sets.items()}
  run_fn = functools.partial(
    _run, sets, jnp.asarray(dataset.train_targets), recipe
  )
  over_seeds = jax.vmap(run_fn, in_axes=(0, None))
  program = jax.jit(jax.vmap(over_seeds, in_axes=(None, 0)))
  log, passes = jax.device_get(
    program(jax.random.split(key, num_seeds), jnp.asarray(strengths, float))
  )
  ids = {'training': dataset.train_ids, 'inference': dataset.test_ids}
  try:
    return [
      [
        _collect(jax.tree.map(lambda x: x[i, j], (log, passes)), ids)  # noqa: B023
        for j in range(num_seeds)
      ]
      for i in range(len(strengths))
    ]
  except ValueError as error:  # A record refuses what is not finite.
    raise FloatingPointError(str(error)) from error


def _run(sets, targets, recipe, key, strength):
  """One training: the log of the recorded pass, and passes afterwards."""
  model = make_model(recipe)
  protect = DEFENSES[recipe.defense](recipe.num_extra, strength)
  inputs = sets['training']
  labels = protection.draw_stored_labels(key, targets, protect)
  optimizers = [recipe.optimizer] * len(model.bounds)
  state = training.init(
    training.init_key(key), inputs, model=model, optimizers=optimizers
  )

  def epoch(state, index, record_fn=None):
    return training.train_epoch(
      training.epoch_key(key, index),
      state,
      inputs,
      labels,
      batch_size=recipe.batch_size,
      record_fn=record_fn,
      model=model,
      optimizers=optimizers,
      protection=protect,
      loss_fn=losses.squared_error,
    )

  def span(state, first, last):
    if first == last:  # Not compiled for nothing.
      return state
    step = lambda state, index: (epoch(state, index)[0], None)
    return jax.lax.scan(step, state, jnp.arange(first, last))[0]

  state = span(state, 0, recipe.recorded_epoch - 1)
  state, log = epoch(
    state, recipe.recorded_epoch - 1, lambda crossed: crossed[0]
  )
  state = span(state, recipe.recorded_epoch, recipe.epochs)
  passes = {
    phase: inference.evaluate(
      state,
      x,
      model=model,
      record_fn=lambda smashed: smashed[0],
      protection=protect,
    )
    for phase, x in sets.items()
  }
  return log, passes


def _collect(found, ids):
  """What one run shows, out of its arrays."""
  log, passes = found
  made = lambda name, vectors, ids, steps: recording.Record(
    intermediate=name,
    vectors=vectors,
    sample_ids=ids,
    steps=steps,
    metadata={},
  )
  order = ids['training'][log.positions]
  records = {
    ('training', name): made(intermediate, vectors, order, log.steps)
    for name, intermediate, vectors in (
      ('cut_grads', 'cut_grads', log.recorded.cut_grads),
      ('sent', 'smashed', log.recorded.smashed),
    )
  }
  for phase, one in passes.items():
    steps = np.zeros(len(ids[phase]), dtype=np.int32)
    records[phase, 'smashed'] = made('smashed', one.recorded, ids[phase], steps)
  answers = {phase: one.logits[:, 0] for phase, one in passes.items()}
  if not all(np.isfinite(x).all() for x in answers.values()):
    raise ValueError('predictions must be finite.')
  return Observed(records, answers)
