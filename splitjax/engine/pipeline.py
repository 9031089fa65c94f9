"""From a data set to what crossed the cuts: training with records, for runs."""

from collections.abc import Callable, Mapping, Sequence
import math
from typing import Any

import jax
import jax.numpy as jnp

from experiments import common
from splitjax import data
from splitjax import parallel
from splitjax.defenses import plan as defense_plan
from splitjax.engine import observations
from splitjax.engine import problems
from splitjax.engine import programs
from splitjax.training import shapes
from splitjax.training import split

# Called after each epoch with its name and the mean loss.
EpochFn = Callable[[str, float], None]


def observe(
  problem: problems.Problem,
  recipe: programs.Recipe,
  key: jax.Array,
  progress: common.Progress,
  *,
  learning_rates: Sequence[float] | None = None,
  plans: Sequence[defense_plan.Plan] | None = None,
) -> list[list[observations.Observed]]:
  """Trains, and keeps what crosses the cuts.

  Args:
    problem: what to train.
    recipe: how.
    key: of all draws.
    progress: told of every epoch.
    learning_rates: the configuration's own by default.
    plans: the problem's defenses at one or more strengths; its own by default.

  Returns:
    What was observed, by learning rate or plan, and by seed.

  Raises:
    common.FlagError: if a training diverges.
  """
  config = problem.config
  rates = learning_rates or (config.learning_rate,)
  plans = plans or (problem.plan,)
  points = [
    programs.Point(rate, plan.strengths()) for plan in plans for rate in rates
  ]
  common_metadata = {**problem.setting._asdict(), **common.identity(config)}
  metadata = [
    {**common_metadata, 'learning_rate': rate, 'strength': plan.strength}
    for plan in plans
    for rate in rates
  ]
  progress.start(
    f'training {config.num_seeds * len(points)} models for '
    f'{problem.num_epochs} epochs, batch {recipe.batch_size}'
    + (f', {problem.plan.name}' if problem.plan.specs else '')
  )
  try:
    return train_runs(
      problem.dataset,
      problem.model,
      recipe,
      key=key,
      num_seeds=config.num_seeds,
      points=points,
      metadata=metadata,
      epoch_fn=lambda epoch, loss: progress.advance(
        f'epoch {epoch}, loss {loss:.3f}'
      ),
    )
  except FloatingPointError as error:
    raise common.FlagError(
      'learning_rate',
      ','.join(str(rate) for rate in rates),
      f'one that converges: {error}',
    ) from error


def train_runs(
  dataset: data.Dataset,
  model: split.SplitModel,
  recipe: programs.Recipe,
  *,
  key: jax.Array,
  num_seeds: int,
  points: Sequence[programs.Point],
  metadata: Sequence[Mapping[str, Any]],
  epoch_fn: EpochFn,
) -> list[list[observations.Observed]]:
  """Trains a model for every point and seed, and keeps what crosses.

  All runs are one program; as many train side by side as memory allows, and
  all devices share them.

  Args:
    dataset: what to train on.
    model: the split model.
    recipe: how to train, and what to keep.
    key: of all draws; each point sees the same.
    num_seeds: models to train for each point.
    points: what differs.
    metadata: goes into every record, one for each point.
    epoch_fn: told of every epoch.

  Returns:
    What was observed, by point and seed.

  Raises:
    FloatingPointError: if a training diverges.
  """
  inputs, labels = map(
    jnp.asarray, (dataset.train_inputs, dataset.train_labels)
  )
  key_train, key_project, key_halves = jax.random.split(key, 3)
  sketch_fn = programs.make_sketch(key_project, model, inputs[:1], recipe.width)
  mesh = parallel.make_mesh()
  leaves = jax.tree.map(lambda *x: jnp.asarray(x, jnp.float32), *points)
  leaves, keys = parallel.grid(leaves, jax.random.split(key_train, num_seeds))
  runs = parallel.pad((keys, leaves), mesh)
  at_once = shapes.runs_at_once(model, inputs[: recipe.batch_size])
  compiled = programs.Programs(model, recipe, sketch_fn, at_once, mesh)

  truth = labels
  labels = compiled.stored_labels(runs, truth)
  untrained = states = compiled.init(runs, inputs[:1])

  def train(states, epoch, rows, name, kept=False):
    some = labels if rows is None else labels[:, rows]
    states, log = compiled.train(
      (*runs, states, some),
      epoch,
      inputs if rows is None else inputs[rows],
      kept=kept,
    )
    loss = float(jnp.mean(log.losses))
    if not (math.isfinite(loss) or recipe.may_diverge):
      raise FloatingPointError(f'the loss is {loss} in epoch {name}')
    epoch_fn(name, loss)
    return states, log

  if recipe.relabel_fn is not None:
    order = jax.random.permutation(key_halves, len(inputs))
    first, second = jnp.split(order, [len(inputs) // 2])
    for epoch in range(recipe.num_epochs):
      # Epochs of their own: their numbers follow those of the second stage.
      states, _ = train(
        states, recipe.num_epochs + epoch, first, f'{epoch + 1} of the first'
      )
    labels = compiled.relabel(
      (*runs, states, labels), inputs[second], truth, second
    )
  logs = {}
  for epoch in range(recipe.num_epochs):
    kept = 'cut_grads' in recipe.read and epoch + 1 in recipe.recorded_epochs
    states, log = train(states, epoch, None, str(epoch + 1), kept)
    if kept:
      logs[epoch + 1] = jax.device_get(log)

  sets = {'training': inputs, 'inference': jnp.asarray(dataset.test_inputs)}
  clients = {'smashed': states, 'untrained_smashed': untrained}
  passes = {
    (phase, name): jax.device_get(
      compiled.evaluate((*runs, states), x, kept=name in recipe.read)
    )
    for phase, x in sets.items()
    for name, states in clients.items()
    # The trained model says how good it is, whatever is read.
    if name == 'smashed' or name in recipe.read
  }
  clients = ((), ())
  if 'client' in recipe.read:
    clients = compiled.gather((states.params[:-1], states.state[:-1]))
  try:
    return [
      [
        observations.collect(
          index * num_seeds + seed,
          logs,
          passes,
          clients,
          dataset,
          model,
          {**metadata[index], 'seed_index': seed},
          may_diverge=recipe.may_diverge,
        )
        for seed in range(num_seeds)
      ]
      for index in range(len(points))
    ]
  except ValueError as error:  # A record refuses what is not finite.
    raise FloatingPointError(str(error)) from error
