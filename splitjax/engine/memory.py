"""How much memory a study takes at least, before it takes any."""

from collections.abc import Sequence
import math

import jax
import jax.numpy as jnp

from splitjax import checks
from splitjax.engine import recipes
from splitjax.engine.problems import Problem
from splitjax.engine.sketches import kept_shapes
from splitjax.engine.study import Training
from splitjax.records.intermediates import Name

_FLOAT = 4  # Bytes.
# Parameters, their gradients, and what the optimizer keeps: at least two.
_COPIES = 2
# What is predicted of a sample in a trial, and whether it counts.
_ANSWER = 5


def check(trainings: Sequence[Training]) -> None:
  """Raise `ConfigError` if a study needs more memory than the machine has.

  The field is named that makes the most of it.

  Args:
    trainings: what is trained, one after the other.
  """
  for training in trainings:
    config = training.problem.config
    needed = bytes_of(training, config.num_seeds, config.num_aux_draws)
    if needed <= checks.total_memory():
      continue
    without = {
      'num_seeds': bytes_of(training, 1, config.num_aux_draws),
      'num_aux_draws': bytes_of(training, config.num_seeds, 1),
    }
    field = min(without, key=lambda name: without[name])
    if without[field] > needed / 2:
      field = _field_of_model(training.problem)
    checks.memory(field, getattr(config, field), needed)


def bytes_of(training: Training, num_seeds: int, num_draws: int) -> float:
  """Return the memory that a training takes at least, in bytes.

  Args:
    training: what is trained.
    num_seeds: how many models of each point.
    num_draws: draws of the attacker's samples.
  """
  problem = training.problem
  dataset, example = problem.dataset, problem.dataset.train_inputs[:1]
  num_runs = num_seeds * len(training.points)
  params = jax.eval_shape(problem.model.init, jax.random.key(0), example)
  numbers = _COPIES * sum(math.prod(x.shape) for x in jax.tree.leaves(params))
  width = sum(map(math.prod, _shapes_of(problem)))
  recipe = recipes.recipe_of(
    problem, baseline=training.baseline, optional=training.optional
  )
  num_train, num_test = len(dataset.train_labels), len(dataset.test_labels)
  for name in (Name.CUT_GRADS, Name.SENT):
    if name in recipe.read:
      numbers += len(training.recorded_epochs) * num_train * width
  for name in (Name.SMASHED, Name.UNTRAINED_SMASHED):
    if name in recipe.read:
      numbers += (num_train + num_test) * width
  assert problem.config.num_aux is not None
  num_known = problem.config.num_aux * max(dataset.num_classes, 1)
  trials = num_seeds * num_draws
  answers = trials * (num_train * _ANSWER + num_known * _FLOAT)
  return num_runs * numbers * _FLOAT + answers


def _shapes_of(problem: Problem) -> list[tuple[int, ...]]:
  """Return the shapes in which a sample of each cut is kept."""
  example = jnp.asarray(problem.dataset.train_inputs[:1])
  return kept_shapes(problem.model, example, problem.config.project_to)


def _field_of_model(problem: Problem) -> str:
  """Return the field that makes the network, or its inputs, large."""
  for name in ('hidden_sizes', 'image_size'):
    if getattr(problem.config, name):
      return name
  dataset = problem.dataset
  if dataset.vocabulary_size is not None:
    return 'vocabulary_size'
  return 'num_buckets' if dataset.category_sizes else 'model'
