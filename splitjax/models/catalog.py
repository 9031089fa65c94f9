"""Architectures by name: where each is cut, and which data it takes."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

import jax.numpy as jnp

from splitjax import models
from splitjax.data.dataset import Dataset
from splitjax.errors import ConfigError
from splitjax.errors import check_name
from splitjax.errors import check_range
from splitjax.models.layering import Layer

NORMS = ('batch', 'group')
DTYPES = ('float32', 'bfloat16')
OWN = 'own'  # What results call a network that came as layers.
LARGEST_WIDTH = 4096  # Of a hidden layer.


@dataclasses.dataclass(frozen=True)
class Architecture:
  """An architecture by name.

  Attributes:
    make_fn: `(num_classes, **options) -> layers`.
    main_cut: where it is cut by default; from the end if negative.
    kinds: the kinds of data that it takes, as `kind_of` calls them.
    sizes: attributes of the data set that are options of `make_fn`.
    normalized: whether it has normalisation layers, of a kind to choose.
    has_hidden_sizes: whether the widths of its hidden layers can be chosen.
    cuts: the cuts that a sweep visits by default; all, if there are none.
  """

  make_fn: Callable[..., tuple[Layer, ...]]
  main_cut: int
  kinds: tuple[str, ...]
  sizes: tuple[str, ...] = ()
  normalized: bool = False
  has_hidden_sizes: bool = False
  cuts: tuple[int, ...] = ()


def _of_images(
  make_fn: Callable[..., tuple[Layer, ...]], main_cut: int, *cuts: int
) -> Architecture:
  """Make an entry for a network of images with normalisation layers."""
  return Architecture(make_fn, main_cut, ('image',), normalized=True, cuts=cuts)


def _of_tables(
  make_fn: Callable[..., tuple[Layer, ...]], main_cut: int
) -> Architecture:
  """Make an entry for a network of numbers and category ids."""
  return Architecture(
    make_fn, main_cut, ('table', 'numbers'), sizes=('category_sizes',)
  )


MODELS: dict[str, Architecture] = {
  'mlp': Architecture(
    models.mlp, -3, ('image', 'numbers'), has_hidden_sizes=True
  ),
  'conv_net': Architecture(models.conv_net, 8, ('image',)),
  'simple_net': _of_images(
    models.simple_net, 50, 4, 10, 14, 18, 24, 29, 33, 37, 42, 46, 50, 54
  ),
  'resnet18': _of_images(models.resnet18, 12, 4, 6, 8, 10, 12, 14),
  'vgg16': _of_images(models.vgg16, 46, 7, 14, 24, 34, 44, 46, 49, 52),
  'text_cnn': Architecture(
    models.text_cnn, 5, ('text',), sizes=('vocabulary_size',)
  ),
  'wide_deep': _of_tables(models.wide_deep, 5),
  'dlrm': _of_tables(models.dlrm, 6),
}


def kind_of(dataset: Dataset) -> str:
  """Return what inputs are: 'image', 'numbers', 'table' or 'text'."""
  if dataset.vocabulary_size is not None:
    return 'text'
  if dataset.category_sizes:
    return 'table'
  return 'image' if dataset.train_inputs.ndim == 4 else 'numbers'


def options_of(
  model: str,
  dataset: Dataset,
  *,
  norm: str | None,
  dtype: str,
  hidden_sizes: tuple[int, ...] = (),
  extra_outputs: int = 0,
) -> dict[str, Any]:
  """Return the options that make an architecture fit a data set.

  Args:
    model: the architecture's name.
    dataset: the data set it is for.
    norm: kind of normalisation, 'batch' where there is one if None.
    dtype: type of the computation.
    hidden_sizes: widths of the hidden layers; the architecture's own if empty.
    extra_outputs: outputs beside those for the classes or the real target.

  Returns:
    Keyword arguments of the architecture's function, as JSON values.

  Raises:
    ConfigError: naming the field, its value and what was expected.
  """
  check_name('model', model, MODELS)
  check_name('dtype', dtype, DTYPES)
  architecture, kind = MODELS[model], kind_of(dataset)
  if kind not in architecture.kinds:
    fitting = [name for name, one in MODELS.items() if kind in one.kinds]
    expected = f'a model for {kind}: {", ".join(fitting)}'
    raise ConfigError('model', model, expected)
  options: dict[str, Any] = {
    'num_classes': (dataset.num_classes or 1) + extra_outputs
  }
  options |= {name: getattr(dataset, name) for name in architecture.sizes}
  if architecture.normalized:
    options['norm'] = norm or 'batch'
    check_name('norm', options['norm'], NORMS)
  elif norm is not None:
    raise ConfigError('norm', norm, f'no such flag with --model={model}')
  if hidden_sizes and not architecture.has_hidden_sizes:
    expected = f'no such flag with --model={model}'
    raise ConfigError('hidden_sizes', hidden_sizes, expected)
  for size in hidden_sizes:
    check_range('hidden_sizes', size, 1, LARGEST_WIDTH, 'widths')
  if hidden_sizes:
    options['hidden_sizes'] = hidden_sizes
  if dtype != 'float32':
    options['dtype'] = dtype
  return options


def make_layers(model: str, options: Mapping[str, Any]) -> tuple[Layer, ...]:
  """Make the layers of an architecture.

  Args:
    model: its name.
    options: from `options_of`, or read back from JSON.

  Returns:
    The layers.
  """
  # JSON knows no tuples, and layers must be hashable.
  options = {
    k: tuple(v) if isinstance(v, list) else v for k, v in options.items()
  }
  if 'dtype' in options:
    options['dtype'] = jnp.dtype(options['dtype'])
  return MODELS[model].make_fn(**options)


def main_cut(model: str | Sequence[Layer], num_layers: int) -> int:
  """Return where a network is cut by default.

  Args:
    model: an architecture's name, or layers of the user's own, which are cut
      before the last one.
    num_layers: how many layers it has.

  Returns:
    How many layers the client holds.
  """
  cut = MODELS[model].main_cut if isinstance(model, str) else -1
  return cut if cut > 0 else num_layers + cut


def check_cuts(cuts: Sequence[int], num_layers: int, model: str) -> None:
  """Raise `ConfigError` if cuts are not inside a model, in order."""
  for cut in cuts:
    check_range('cuts', cut, 1, num_layers - 1, f'a layer inside {model}')
  if list(cuts) != sorted(set(cuts)):
    raise ConfigError('cuts', tuple(cuts), 'cuts in ascending order')
