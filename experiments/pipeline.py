"""From a data set to what crossed the cuts: training with records, for runs."""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import math
import pathlib
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import shapes
from splitjax import data
from splitjax import inference
from splitjax import projection
from splitjax import recording
from splitjax import split
from splitjax import training

# Called after each epoch with its number and the mean loss.
EpochFn = Callable[[int, float], None]
PyTree = Any

PHASES = ('training', 'inference')


@dataclasses.dataclass(frozen=True)
class Observed:
  """What crossed the cuts in one run, and how good the model is.

  Attributes:
    cut_grads: by epoch, counted from 1, a record for each cut.
    smashed: of the training and of the test set through the trained client, by
      phase, a record for each cut.
    untrained_smashed: the same through the client before it was trained.
    logits: the trained model's, of both sets, by phase, `[N, C]`.
  """

  cut_grads: dict[int, tuple[recording.Record, ...]]
  smashed: dict[str, tuple[recording.Record, ...]]
  untrained_smashed: dict[str, tuple[recording.Record, ...]]
  logits: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How to train, and what to keep.

  Attributes:
    optimizer_fn: makes a part's optimizer from the learning rate.
    num_epochs: passes over the training set.
    batch_size: samples of a step.
    recorded_epochs: passes whose cut gradients are kept, from 1.
    keep_smashed: whether smashed data are kept.
    width: of the random projection of what is wider; 0 for none.
    augment_fn: random changes of the inputs, if any.
  """

  optimizer_fn: Callable[[jax.Array], optax.GradientTransformation]
  num_epochs: int
  batch_size: int
  recorded_epochs: tuple[int, ...] = (1,)
  keep_smashed: bool = True
  width: int = 0
  augment_fn: training.AugmentFn | None = None


def observe(
  dataset: data.Dataset,
  model: split.SplitModel,
  recipe: Recipe,
  *,
  key: jax.Array,
  num_seeds: int,
  learning_rates: Sequence[float],
  metadata: dict,
  epoch_fn: EpochFn,
) -> list[list[Observed]]:
  """Trains a model for every learning rate and seed, and keeps what crosses.

  All runs are one program; as many train side by side as memory allows.

  Args:
    dataset: what to train on.
    model: the split model.
    recipe: how to train, and what to keep.
    key: of all draws; each learning rate sees the same.
    num_seeds: models to train for each learning rate.
    learning_rates: of every part.
    metadata: goes into every record.
    epoch_fn: told of every epoch.

  Returns:
    What was observed, by learning rate and seed.

  Raises:
    FloatingPointError: if a training diverges.
  """
  inputs, labels = map(
    jnp.asarray, (dataset.train_inputs, dataset.train_labels)
  )
  key_train, key_project = jax.random.split(key)
  sketch_fn = _make_sketch(key_project, model, inputs[:1], recipe.width)
  rates = jnp.repeat(jnp.asarray(learning_rates, jnp.float32), num_seeds)
  keys = jnp.tile(jax.random.split(key_train, num_seeds), len(learning_rates))
  at_once = shapes.runs_at_once(model, inputs[: recipe.batch_size])
  init_fn, train_fn, evaluate_fn = _programs(model, recipe, sketch_fn, at_once)

  untrained = train_states = init_fn((keys, rates), inputs[:1])
  logs = {}
  for epoch in range(recipe.num_epochs):
    kept = epoch + 1 in recipe.recorded_epochs
    train_states, log = train_fn(
      (keys, rates, train_states), epoch, inputs, labels, kept=kept
    )
    if kept:
      logs[epoch + 1] = jax.device_get(log)
    loss = float(jnp.mean(log.losses))
    if not math.isfinite(loss):
      raise FloatingPointError(f'the loss is {loss} in epoch {epoch + 1}')
    epoch_fn(epoch, loss)

  sets = {'training': inputs, 'inference': jnp.asarray(dataset.test_inputs)}
  passes = {
    (phase, which): jax.device_get(
      evaluate_fn(states, x, kept=recipe.keep_smashed)
    )
    for phase, x in sets.items()
    for which, states in (('trained', train_states), ('untrained', untrained))
    if which == 'trained' or recipe.keep_smashed
  }
  try:
    observed = [
      _observed(index, logs, passes, dataset, model, {**metadata, 'run': index})
      for index in range(len(rates))
    ]
  except ValueError as error:  # A record refuses what is not finite.
    raise FloatingPointError(str(error)) from error
  return [
    observed[first : first + num_seeds]
    for first in range(0, len(observed), num_seeds)
  ]


def _programs(model, recipe, sketch_fn, at_once):
  """What is compiled: to start, to train an epoch, and to evaluate."""

  def optimizers(rate):
    return [recipe.optimizer_fn(rate)] * len(model.bounds)

  def over_runs(fn, runs):
    size = len(jax.tree.leaves(runs)[0])
    if at_once >= size:
      return jax.vmap(fn)(runs)
    return jax.lax.map(fn, runs, batch_size=None if at_once == 1 else at_once)

  @jax.jit
  def init_fn(runs, example):
    one_fn = lambda run: training.init(
      training.init_key(run[0]),
      example,
      model=model,
      optimizers=optimizers(run[1]),
    )
    return over_runs(one_fn, runs)

  @functools.partial(jax.jit, static_argnames='kept')
  def train_fn(runs, epoch, inputs, labels, *, kept):
    def record_fn(exchanges):
      return sketch_fn([exchange.cut_grads for exchange in exchanges])

    def one_fn(run):
      key, rate, train_state = run
      return training.train_epoch(
        training.epoch_key(key, epoch),
        train_state,
        inputs,
        labels,
        model=model,
        optimizers=optimizers(rate),
        batch_size=recipe.batch_size,
        augment_fn=recipe.augment_fn,
        record_fn=record_fn if kept else None,
      )

    return over_runs(one_fn, runs)

  @functools.partial(jax.jit, static_argnames='kept')
  def evaluate_fn(train_states, inputs, *, kept):
    one_fn = lambda state: inference.evaluate(
      state, inputs, model=model, record_fn=sketch_fn if kept else None
    )
    return over_runs(one_fn, train_states)

  return init_fn, train_fn, evaluate_fn


def _make_sketch(key, model, example, width):
  """A function that flattens what crosses the cuts, and projects what is wide.

  The same for gradients and smashed data, for all runs, epochs and phases.
  """
  drawn = []
  for cut, features in zip(
    model.cuts, shapes.cut_widths(model, example), strict=True
  ):
    wide = 0 < width < features
    key_cut = jax.random.fold_in(key, cut)
    drawn.append(
      projection.draw(key_cut, num_features=features, width=width)
      if wide
      else None
    )

  def sketch_fn(vectors):
    return tuple(
      x.reshape(len(x), -1).astype(jnp.float32)
      if one is None
      else projection.project(one, x)
      for one, x in zip(drawn, vectors, strict=True)
    )

  return sketch_fn


def _observed(index, logs, passes, dataset, model, metadata):
  """What was observed of one run."""

  def records(intermediate, vectors, ids, steps, **where):
    return tuple(
      recording.Record(
        intermediate=intermediate,
        vectors=one[index],
        sample_ids=ids,
        steps=steps,
        metadata={**metadata, **where, 'cut': cut},
      )
      for cut, one in zip(model.cuts, vectors, strict=True)
    )

  def smashed(which):
    ids = {'training': dataset.train_ids, 'inference': dataset.test_ids}
    return {
      phase: records(
        'smashed',
        one.recorded,
        ids[phase],
        np.zeros(len(ids[phase]), dtype=np.int32),
        phase=phase,
      )
      for (phase, found), one in passes.items()
      if found == which and one.recorded is not None
    }

  return Observed(
    cut_grads={
      epoch: records(
        'cut_grads',
        log.recorded,
        dataset.train_ids[log.positions[index]],
        log.steps[index],
        phase='training',
        epoch=epoch,
      )
      for epoch, log in logs.items()
    },
    smashed=smashed('trained'),
    untrained_smashed=smashed('untrained'),
    logits={phase: passes[phase, 'trained'].logits[index] for phase in PHASES},
  )


def save(observed: Sequence[Observed], folder: pathlib.Path) -> None:
  """Writes the records of every run, in place of any of the same name.

  Args:
    observed: one for each run.
    folder: where to write, one folder a record.
  """
  for index, one in enumerate(observed):
    found = {
      **{
        f'cut_grads-epoch{key}': value for key, value in one.cut_grads.items()
      },
      **{f'{key}-smashed': value for key, value in one.smashed.items()},
    }
    for name, records in found.items():
      for record in records:
        path = folder / f'{name}-cut{record.metadata["cut"]}-run{index}'
        shutil.rmtree(path, ignore_errors=True)
        recording.save_record(path, record)
