"""From a data set to what crossed the cut: training with records, for seeds."""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import math
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax

from splitjax import data
from splitjax import recording
from splitjax import split
from splitjax import training

# Called after each epoch with its number and the mean loss.
EpochFn = Callable[[int, float], None]

PHASES = ('training', 'inference')


@dataclasses.dataclass(frozen=True)
class Observed:
  """What crossed the cut in one run, and how good the model is, for one seed.

  Attributes:
    cut_grads: of the first pass over the training set.
    smashed: of the training and of the test set, by phase.
    untrained_smashed: the same through the client before it was trained.
    predictions: the trained model's, of both sets, by phase.
  """

  cut_grads: recording.Record
  smashed: dict[str, recording.Record]
  untrained_smashed: dict[str, recording.Record]
  predictions: dict[str, np.ndarray]


def observe(
  dataset: data.Dataset,
  model: split.SplitModel,
  *,
  optimizer_fn: Callable[[float], optax.GradientTransformation],
  learning_rate: float,
  num_epochs: int,
  batch_size: int,
  key: jax.Array,
  num_seeds: int,
  metadata: dict,
  epoch_fn: EpochFn,
) -> list[Observed]:
  """Trains one model a seed, all at once, and records what crosses the cut.

  Args:
    dataset: what to train on.
    model: the split model.
    optimizer_fn: makes a part's optimizer from the learning rate.
    learning_rate: of every part.
    num_epochs: passes over the training set.
    batch_size: samples of a step.
    key: of all draws.
    num_seeds: models to train.
    metadata: goes into every record.
    epoch_fn: told of every epoch.

  Returns:
    What was observed, one for each seed.

  Raises:
    FloatingPointError: if the training diverges.
  """
  inputs = jnp.asarray(dataset.train_inputs)
  labels = jnp.asarray(dataset.train_labels)
  example = jnp.zeros((1, *inputs.shape[1:]), inputs.dtype)
  optimizers = [optimizer_fn(learning_rate)] * len(model.bounds)
  keys = jax.random.split(key, num_seeds)

  @jax.jit
  @jax.vmap
  def init_fn(key):
    return training.init(
      training.init_key(key), example, model=model, optimizers=optimizers
    )

  @functools.partial(jax.jit, static_argnames='recorded')
  def train_fn(keys, train_states, epoch, inputs, labels, *, recorded):
    one_fn = lambda key, train_state: training.train_epoch(
      training.epoch_key(key, epoch),
      train_state,
      inputs,
      labels,
      model=model,
      optimizers=optimizers,
      batch_size=batch_size,
      record_fn=(lambda exchanges: exchanges[-1].cut_grads)
      if recorded
      else None,
    )
    return jax.vmap(one_fn)(keys, train_states)

  @jax.jit
  def evaluate_fn(train_states, inputs):
    one_fn = lambda state: training.evaluate(state, inputs, model=model)
    return jax.vmap(one_fn)(train_states)

  untrained = train_states = init_fn(keys)
  for epoch in range(num_epochs):
    train_states, log = train_fn(
      keys, train_states, epoch, inputs, labels, recorded=epoch == 0
    )
    if epoch == 0:
      first = jax.device_get(log)
    loss = float(jnp.mean(log.losses))
    if not math.isfinite(loss):
      raise FloatingPointError(f'the loss is {loss} in epoch {epoch + 1}')
    epoch_fn(epoch, loss)

  passes = {
    phase: jax.device_get(
      [evaluate_fn(states, x) for states in (untrained, train_states)]
    )
    for phase, x in zip(
      PHASES, (inputs, jnp.asarray(dataset.test_inputs)), strict=True
    )
  }
  ids = {'training': dataset.train_ids, 'inference': dataset.test_ids}
  try:
    return [
      _observed(index, first, passes, ids, {**metadata, 'seed_index': index})
      for index in range(num_seeds)
    ]
  except ValueError as error:  # A record refuses what is not finite.
    raise FloatingPointError(str(error)) from error


def _observed(index, first, passes, ids, metadata):
  """What was observed of one seed."""

  def smashed(phase, which):
    vectors = passes[phase][which].smashed[index]
    return recording.Record(
      intermediate='smashed',
      vectors=vectors,
      sample_ids=ids[phase],
      steps=np.zeros(len(vectors), dtype=np.int32),
      metadata={**metadata, 'phase': phase},
    )

  cut_grads = recording.Record(
    intermediate='cut_grads',
    vectors=first.recorded[index],
    sample_ids=ids['training'][first.positions[index]],
    steps=first.steps[index],
    metadata={**metadata, 'phase': 'training'},
  )
  return Observed(
    cut_grads=cut_grads,
    smashed={phase: smashed(phase, 1) for phase in PHASES},
    untrained_smashed={phase: smashed(phase, 0) for phase in PHASES},
    predictions={
      phase: passes[phase][1].predictions[index] for phase in PHASES
    },
  )


def save(observed: Sequence[Observed], folder: pathlib.Path) -> None:
  """Writes the records of every seed, in place of any of the same name.

  Args:
    observed: one for each seed.
    folder: where to write, one folder a record.
  """
  for index, one in enumerate(observed):
    records = {
      'training-cut_grads': one.cut_grads,
      **{f'{phase}-smashed': record for phase, record in one.smashed.items()},
    }
    for name, record in records.items():
      path = folder / f'{name}-seed{index}'
      shutil.rmtree(path, ignore_errors=True)
      recording.save_record(path, record)
