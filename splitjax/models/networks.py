"""Networks by name: their options, their layers, and whether data fit them."""

from collections.abc import Mapping, Sequence
import math
from typing import Any

import jax
import jax.numpy as jnp

from experiments import catalog
from experiments import common
from splitjax import data
from splitjax.models import layering
from splitjax.training import shapes
from splitjax.training import split


def options_of(
  model: str, dataset: data.Dataset, *, norm: str | None, dtype: str
) -> dict[str, Any]:
  """The options that make an architecture fit a data set; JSON values.

  Args:
    model: the architecture's name.
    dataset: what it is for.
    norm: kind of normalisation, 'batch' where there is one if None.
    dtype: of the computation.

  Returns:
    Keyword arguments of the architecture's function.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  common.check_name('model', model, catalog.MODELS)
  common.check_name('dtype', dtype, ('float32', 'bfloat16'))
  architecture, kind = catalog.MODELS[model], catalog.kind_of(dataset)
  if kind not in architecture.kinds:
    fitting = [n for n, one in catalog.MODELS.items() if kind in one.kinds]
    raise common.FlagError(
      'model', model, f'a model for {kind}: {", ".join(fitting)}'
    )
  options = {'num_classes': dataset.num_classes}
  options |= {name: getattr(dataset, name) for name in architecture.sizes}
  if architecture.normalized:
    options['norm'] = norm or 'batch'
    common.check_name('norm', options['norm'], ('batch', 'group'))
  elif norm is not None:
    raise common.FlagError('norm', norm, f'no such flag with --model={model}')
  if dtype != 'float32':
    options['dtype'] = dtype
  return options


def make_layers(
  model: str, options: Mapping[str, Any]
) -> tuple[layering.Layer, ...]:
  """The layers of an architecture.

  Args:
    model: its name.
    options: see `options_of`; from JSON, too.

  Returns:
    The layers.
  """
  # JSON knows no tuples, and layers must be hashable.
  options = {
    k: tuple(v) if isinstance(v, list) else v for k, v in options.items()
  }
  if 'dtype' in options:
    options['dtype'] = jnp.dtype(options['dtype'])
  return catalog.MODELS[model].make_fn(**options)


def check_cuts(
  cuts: Sequence[int], layers: Sequence[layering.Layer], model: str
) -> None:
  """Raises `FlagError` if cuts are not inside a model, in order."""
  for cut in cuts:
    common.check_range(
      'cuts', cut, 1, len(layers) - 1, f'a layer inside {model}'
    )
  if list(cuts) != sorted(set(cuts)):
    text = ','.join(str(cut) for cut in cuts)
    raise common.FlagError('cuts', text, 'cuts in ascending order')


def check_inputs(
  flag: str, value: str, model: split.SplitModel, example: jax.Array
) -> None:
  """Raises `FlagError` if inputs do not fit through a model."""
  shape = example.shape[1:]
  try:
    found = shapes.layer_shapes(model, example)
    if not all(math.prod(one) for one in found):
      raise ValueError('a layer leaves nothing of them')
  except (TypeError, ValueError, ZeroDivisionError) as error:
    hint = ' (--image_size enlarges images)' if len(shape) == 3 else ''
    raise common.FlagError(
      flag, value, f'a model for inputs of shape {shape}: {error}{hint}'
    ) from error
