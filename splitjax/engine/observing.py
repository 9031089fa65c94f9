"""From a data set to what crossed the cuts: trainings with records."""

from collections.abc import Mapping, Sequence
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from splitjax import parallel
from splitjax import training
from splitjax.engine import keys
from splitjax.engine import observed
from splitjax.engine.observed import Observed
from splitjax.engine.problems import Problem
from splitjax.engine.programs import Hyperparameters
from splitjax.engine.programs import Programs
from splitjax.engine.programs import Recipe
from splitjax.engine.progress import Progress
from splitjax.engine.shared_checkpoints import AnyCheckpoint
from splitjax.engine.sketches import kept_shapes
from splitjax.engine.sketches import make_sketch
from splitjax.engine.study import Point
from splitjax.engine.timings import Timings
from splitjax.errors import ConfigError
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.results import identity_of
from splitjax.training import shapes

PyTree = Any


def observe(
  problem: Problem,
  recipe: Recipe,
  points: Sequence[Point],
  key: jax.Array,
  progress: Progress,
  checkpoint: AnyCheckpoint | None = None,
  timings: Timings | None = None,
) -> list[list[Observed]]:
  """Train a problem at every point and seed, and keep what crosses the cuts.

  All runs are one program. As many train side by side as memory allows, and all
  devices share them.

  Args:
    problem: what to train.
    recipe: how.
    points: what differs between the runs, beside their seeds.
    key: random key for everything in the training; all points see the same.
    progress: told of every epoch.
    checkpoint: where finished passes are kept, so that a killed run goes on.
    timings: gets the seconds of training and of evaluation.

  Returns:
    What was observed, by point and seed.

  Raises:
    ConfigError: if a training diverges.
  """
  named = f', {problem.plan.name}' if problem.plan.specs else ''
  progress.start(
    f'training {problem.config.num_seeds * len(points)} models for '
    f'{problem.num_epochs} epochs, batch {recipe.batch_size}{named}'
  )
  timings = timings or Timings()
  try:
    with timings.phase('train'):
      session = _Session(problem, recipe, points, key, progress)
      return session.run(checkpoint, timings)
  except FloatingPointError as error:
    rates = tuple(dict.fromkeys(point.learning_rate for point in points))
    expected = f'one that converges: {error}'
    raise ConfigError('learning_rate', rates, expected) from error


class _Session:
  """One training of many runs, from the first model to the last record."""

  def __init__(
    self,
    problem: Problem,
    recipe: Recipe,
    points: Sequence[Point],
    key: jax.Array,
    progress: Progress,
  ) -> None:
    self._problem, self._recipe = problem, recipe
    self._points, self._progress = points, progress
    dataset, model = problem.dataset, problem.model
    self._keys = keys.of_training(
      key, problem.config.num_seeds, real_targets=dataset.is_real
    )
    self._inputs = jnp.asarray(dataset.train_inputs)
    mesh = parallel.make_mesh()
    run_keys, leaves, self._truth = parallel.pad(self._grid(), mesh)
    self._runs = run_keys, leaves
    self._programs = Programs(
      model,
      recipe,
      make_sketch(self._keys.sketch, model, self._inputs[:1], recipe.width),
      shapes.runs_at_once(model, self._inputs[: recipe.batch_size]),
      mesh,
    )
    self._states = self._programs.init(self._runs, self._inputs[:1])
    self._labels = self._programs.stored_labels(
      (*self._runs, self._states, self._truth), self._inputs
    )

  def _grid(self) -> PyTree:
    """Return key, hyperparameters and labels of runs, points the slowest."""
    leaves = jax.tree.map(
      lambda *x: jnp.asarray(x, jnp.float32),
      *(
        Hyperparameters(point.learning_rate, point.plan.strengths)
        for point in self._points
      ),
    )
    of_seed = self._keys.runs, jnp.asarray(self._problem.trained_labels)
    leaves, (run_keys, labels) = parallel.grid(leaves, of_seed)
    return run_keys, leaves, labels

  def run(
    self, checkpoint: AnyCheckpoint | None, timings: Timings
  ) -> list[list[Observed]]:
    """Train all runs, and return what was observed of each."""
    recipe, untrained = self._recipe, self._states
    done, logs = self._restore(checkpoint)
    num_epochs = self._problem.num_epochs
    first = num_epochs - recipe.num_epochs  # Passes of a first stage.
    for number in range(done + 1, num_epochs + 1):
      epoch = number - first
      if epoch <= 0:
        self._first_stage(number, first)
      else:
        kept = recipe.keeps_gradients(epoch)
        log = self._train(epoch - 1, None, str(epoch), kept)
        if kept:
          logs[epoch] = jax.device_get(log)
      if checkpoint is not None and (checkpoint.due or number == num_epochs):
        current = self._programs.gather((self._states, self._labels))
        checkpoint.save(number, current, logs)
    with timings.phase('evaluate'):
      passes = self._evaluate(untrained)
    clients: PyTree = ((), ())
    if Name.CLIENT in recipe.read:
      states = self._states
      clients = self._programs.gather((states.params[:-1], states.state[:-1]))
    try:
      return self._collect(logs, passes, clients)
    except ValueError as error:  # A record refuses what is not finite.
      raise FloatingPointError(str(error)) from error

  def _restore(
    self, checkpoint: AnyCheckpoint | None
  ) -> tuple[int, dict[int, training.EpochLog]]:
    """Return how many passes are finished, and what was kept of them."""
    if checkpoint is None:
      return 0, {}
    runs = (*self._runs, self._states, self._labels)
    train_fn = functools.partial(self._programs.train, kept=True)
    saved = checkpoint.load(
      runs[-2:], lambda: jax.eval_shape(train_fn, runs, 0, self._inputs)[1]
    )
    if saved is None:
      return 0, {}
    self._states, self._labels = jax.tree.map(jnp.asarray, saved.current)
    self._progress.start(f'going on after pass {saved.number}')
    for _ in range(saved.number):
      self._progress.advance()
    return saved.number, saved.kept

  def _train(
    self, epoch: int, rows: jax.Array | None, name: str, kept: bool = False
  ) -> training.EpochLog:
    """Train all runs for an epoch, on all samples or on some rows."""
    inputs, labels = self._inputs, self._labels
    if rows is not None:
      inputs, labels = inputs[rows], labels[:, rows]
    self._states, log = self._programs.train(
      (*self._runs, self._states, labels), epoch, inputs, kept=kept
    )
    loss = float(jnp.mean(log.losses))
    if not (math.isfinite(loss) or self._recipe.may_diverge):
      raise FloatingPointError(f'the loss is {loss} in epoch {name}')
    self._progress.advance(f'epoch {name}, loss {loss:.3f}')
    return log

  def _first_stage(self, number: int, num_epochs: int) -> None:
    """Train on half of the samples; at last draw the labels of the others."""
    order = jax.random.permutation(self._keys.halves, len(self._inputs))
    first, second = jnp.split(order, [len(self._inputs) // 2])
    epoch = keys.first_stage_epoch(num_epochs, number - 1)
    self._train(epoch, first, f'{number} of the first')
    if number == num_epochs:
      self._labels = self._programs.relabel(
        (*self._runs, self._states, self._labels, self._truth),
        self._inputs[second],
        second,
      )

  def _evaluate(
    self, untrained: training.TrainState
  ) -> dict[tuple[str, str], training.Pass]:
    """Send both parts of the data through the clients that are read."""
    clients = {
      Name.SMASHED: self._states,
      Name.UNTRAINED_SMASHED: untrained,
    }
    sets = {
      Phase.TRAINING: self._inputs,
      Phase.INFERENCE: jnp.asarray(self._problem.dataset.test_inputs),
    }
    return {
      (phase, name): jax.device_get(
        self._programs.evaluate(
          (*self._runs, states), inputs, kept=name in self._recipe.read
        )
      )
      for phase, inputs in sets.items()
      for name, states in clients.items()
      # The trained model says how good it is, whatever is read.
      if name == Name.SMASHED or name in self._recipe.read
    }

  def _collect(
    self,
    logs: Mapping[int, training.EpochLog],
    passes: Mapping[tuple[str, str], training.Pass],
    clients: PyTree,
  ) -> list[list[Observed]]:
    """Cut what was observed of all runs into runs, by point and seed."""
    problem, num_seeds = self._problem, self._problem.config.num_seeds
    common = {**problem.setting._asdict(), **identity_of(problem.config)}
    return [
      [
        observed.collect(
          index * num_seeds + seed,
          logs,
          passes,
          clients,
          problem.dataset,
          problem.model,
          {
            **common,
            'learning_rate': point.learning_rate,
            'strength': point.plan.strength,
            'seed_index': seed,
          },
          shapes=kept_shapes(
            problem.model, self._inputs[:1], self._recipe.width
          ),
          may_diverge=self._recipe.may_diverge,
        )
        for seed in range(num_seeds)
      ]
      for index, point in enumerate(self._points)
    ]
