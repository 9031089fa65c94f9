"""What an extractor is, but for its parameters, and the file that says it."""

import dataclasses
import json
import math
import pathlib
from typing import Any

import jax
import numpy as np

from splitjax.errors import ConfigError
from splitjax.models import catalog as models
from splitjax.training.split import SplitModel

PyTree = Any

PLAN_FILE = 'extractor.json'


@dataclasses.dataclass(frozen=True)
class ExtractorPlan:
  """All of an extractor but its parameters.

  Attributes:
    model: name of the architecture, the first layers of which it is.
    options: keyword arguments of the architecture's function.
    num_layers: how many of its layers.
    input_shape: shape of what it was trained on, without the batch.
    mean: mean of each channel, subtracted from inputs; empty for none.
    deviation: deviation of each channel, by which inputs are then divided.
    source: what it was trained on, in words.
  """

  model: str
  options: dict[str, Any]
  num_layers: int
  input_shape: tuple[int, ...]
  mean: tuple[float, ...] = ()
  deviation: tuple[float, ...] = ()
  source: str = ''

  def split_model(self) -> SplitModel:
    """Return the architecture, cut after the extractor's last layer."""
    layers = models.make_layers(self.model, self.options)
    return SplitModel(layers, (self.num_layers,))


def read_plan(folder: pathlib.Path) -> ExtractorPlan:
  """Read what an extractor is, or raise `ConfigError`."""
  try:
    values = json.loads((folder / PLAN_FILE).read_text())
  except (FileNotFoundError, NotADirectoryError) as error:
    expected = 'client, or a folder that pretrain wrote'
    raise ConfigError('extractor', folder, expected) from error
  except (OSError, ValueError, RecursionError) as error:
    raise ConfigError(
      'extractor', folder, f'{PLAN_FILE} in JSON: {error}'
    ) from error
  try:
    fields: dict[str, Any] = {
      k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
    }
    plan = ExtractorPlan(**fields)
    _check_plan(plan)
    num_layers = len(plan.split_model().layers)
    if plan.num_layers >= num_layers:
      raise ValueError(f'num_layers below {num_layers}')
  except (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
  ) as error:
    expected = f'what pretrain wrote in {PLAN_FILE}: {error!r}'[:300]
    raise ConfigError('extractor', folder, expected) from error
  return plan


def _check_plan(plan: ExtractorPlan) -> None:
  """Raise ValueError for values of another type or range than it says."""
  sizes = (plan.num_layers, *plan.input_shape)
  if not plan.input_shape or not all(
    type(size) is int and size > 0 for size in sizes
  ):
    raise ValueError(f'positive whole sizes, not {sizes}')
  if not isinstance(plan.options, dict):
    raise ValueError(f'options by name, not {plan.options!r}')
  scales = (*plan.mean, *plan.deviation)
  if not all(math.isfinite(x) for x in scales) or 0 in plan.deviation:
    raise ValueError(f'a finite mean and deviation, not {scales}')
  if {len(plan.mean), len(plan.deviation)} - {0, plan.input_shape[-1]} or (
    len(plan.mean) != len(plan.deviation)
  ):
    raise ValueError('a mean and a deviation of every channel')


def variables_of(plan: ExtractorPlan, dtype: Any) -> tuple[PyTree, PyTree]:
  """Return the shapes and types of an extractor's parameters and state.

  Args:
    plan: what it is.
    dtype: type of its inputs.

  Returns:
    A tuple of `jax.ShapeDtypeStruct`, as `save` takes arrays.
  """
  example = np.zeros((1, *plan.input_shape), dtype)
  init = plan.split_model().init
  params, state = jax.eval_shape(init, jax.random.key(0), example)
  return params[0], state[0]
