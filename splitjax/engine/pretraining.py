"""Makes networks for an attacker to own: trained here, or converted."""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from splitjax import checks
from splitjax import models
from splitjax.engine import extractors
from splitjax.engine import keys
from splitjax.engine import memory
from splitjax.engine import observing
from splitjax.engine import recipes
from splitjax.engine import scoring
from splitjax.engine.config import Config
from splitjax.engine.extractors import ExtractorPlan
from splitjax.engine.problems import Problem
from splitjax.engine.problems import check
from splitjax.engine.progress import SILENT
from splitjax.engine.progress import Progress
from splitjax.engine.shared_checkpoints import AnyCheckpoint
from splitjax.engine.study import Training
from splitjax.engine.study import point_of
from splitjax.engine.workplace import digest_of_data
from splitjax.errors import ConfigError
from splitjax.models import catalog
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.results import identity_of

_CONVERTERS = {
  'resnet18': (models.resnet18_trunk, 12),
  'vgg16': (models.vgg16_trunk, 44),
}


def problem_of(config: Config) -> Problem:
  """Look up what is to be trained, before any long work starts.

  Args:
    config: on what to train, and how; one seed is trained.

  Returns:
    The problem.

  Raises:
    ConfigError: naming the field, its value and what was expected.
  """
  if not isinstance(config.model, str):
    expected = 'a name: layers of your own cannot be read back'
    raise ConfigError('model', catalog.OWN, expected)
  problem = check(dataclasses.replace(config, num_seeds=1))
  memory.check([Training(problem, (point_of(problem),), ())])
  return problem


def identity_of_problem(problem: Problem) -> Mapping[str, Any]:
  """Return what makes two trainings of an extractor the same."""
  data = digest_of_data(problem.dataset)
  return {'binary': 'pretrain', **identity_of(problem.config), 'read': data}


def train(
  problem: Problem,
  progress: Progress = SILENT,
  checkpoint: AnyCheckpoint | None = None,
) -> tuple[ExtractorPlan, tuple]:
  """Train a network, and cut its head off.

  Args:
    problem: from `problem_of`.
    progress: told of every epoch.
    checkpoint: where finished passes are kept, so that a killed run goes on.

  Returns:
    What the extractor is, and its parameters and state.

  Raises:
    ConfigError: naming the field, its value and what was expected.
  """
  config, dataset = problem.config, problem.dataset
  recipe = recipes.recipe_of(problem)
  recipe = dataclasses.replace(recipe, read=frozenset({Name.CLIENT}))
  assert isinstance(config.model, str)  # `problem_of` checked it.
  # The whole seed is the training's: nothing is attacked.
  key = keys.of_seed(config.seed)
  [[observed]] = observing.observe(
    problem, recipe, [point_of(problem)], key, progress, checkpoint
  )
  found = scoring.score_model(dataset, Phase.INFERENCE, [observed])
  name, factor = ('r2', 1) if dataset.is_real else ('accuracy', 100)
  value = factor * float(np.mean(found.measures[name]))
  plan = ExtractorPlan(
    model=config.model,
    options=catalog.options_of(
      config.model,
      dataset,
      norm=config.norm,
      dtype=config.dtype,
      hidden_sizes=config.hidden_sizes,
    ),
    num_layers=problem.model.cuts[0],
    input_shape=dataset.train_inputs.shape[1:],
    source=f'{dataset.name}, test {name} {value:.{1 if factor > 1 else 2}f}'
    + ('%' if factor > 1 else ''),
  )
  return plan, observed.client(0)


def convert(path: pathlib.Path, model: str) -> tuple[ExtractorPlan, tuple]:
  """Read torchvision's weights.

  Args:
    path: a `.safetensors` file.
    model: the name of the network that they are of.

  Returns:
    What the extractor is, and its parameters and state.

  Raises:
    ConfigError: naming the field, its value and what was expected.
  """
  if model not in _CONVERTERS:
    names = ' or '.join(_CONVERTERS)
    raise ConfigError('model', model, f'{names} with --weights')
  checks.regular_file('weights', path)
  convert_fn, num_layers = _CONVERTERS[model]
  try:
    variables = convert_fn(safetensors_numpy.load_file(path))
  except FileNotFoundError as error:
    raise ConfigError('weights', path, 'a file that is there') from error
  except (
    OSError,
    LookupError,
    TypeError,
    ValueError,
    safetensors.SafetensorError,
  ) as error:
    expected = f'a state dict of {model}: {error}'
    raise ConfigError('weights', path, expected) from error
  plan = ExtractorPlan(
    model=model,
    options={'num_classes': 1000, 'norm': 'batch'},
    num_layers=num_layers,
    input_shape=(224, 224, 3),
    mean=models.IMAGENET_MEAN,
    deviation=models.IMAGENET_DEVIATION,
    source=path.name,
  )
  wanted = extractors.variables_of(plan, np.float32)
  wrong = extractors.find_misfit(variables, wanted)
  if wrong:
    raise ConfigError('weights', path, f'a state dict of {model} of {wrong}')
  return plan, variables
