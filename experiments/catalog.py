"""What the flags of the binaries can name."""

from collections.abc import Callable
import dataclasses

import optax

from splitjax import data
from splitjax import models
from splitjax.models import layering


@dataclasses.dataclass(frozen=True)
class Architecture:
  """A model by name.

  Attributes:
    make_fn: `(num_classes, **options) -> layers`.
    main_cut: where it is cut by default.
    kinds: of data that it takes, see `kind_of`.
    sizes: attributes of the data set that are options of `make_fn`.
    normalized: whether it has normalisation layers, of a kind to choose.
    cuts: that a sweep visits by default; all, if there are none.
  """

  make_fn: Callable[..., tuple[layering.Layer, ...]]
  main_cut: int
  kinds: tuple[str, ...]
  sizes: tuple[str, ...] = ()
  normalized: bool = False
  cuts: tuple[int, ...] = ()


def kind_of(dataset: data.Dataset) -> str:
  """What the inputs of a data set are: 'image', 'numbers', 'table', 'text'."""
  if dataset.vocabulary_size is not None:
    return 'text'
  if dataset.category_sizes:
    return 'table'
  return 'image' if dataset.train_inputs.ndim == 4 else 'numbers'


DATASETS = {
  'digits': data.load_digits,
  'breast_cancer': data.load_breast_cancer,
}
_TABULAR = dict(kinds=('table', 'numbers'), sizes=('category_sizes',))
MODELS = {
  'mlp': Architecture(models.mlp, 7, ('image', 'numbers')),
  'conv_net': Architecture(models.conv_net, 8, ('image',)),
  'simple_net': Architecture(
    models.simple_net,
    50,
    ('image',),
    normalized=True,
    cuts=(4, 10, 14, 18, 24, 29, 33, 37, 42, 46, 50, 54),
  ),
  'resnet18': Architecture(
    models.resnet18,
    12,
    ('image',),
    normalized=True,
    cuts=(4, 6, 8, 10, 12, 14),
  ),
  'vgg16': Architecture(
    models.vgg16,
    46,
    ('image',),
    normalized=True,
    cuts=(7, 14, 24, 34, 44, 46, 49, 52),
  ),
  'text_cnn': Architecture(
    models.text_cnn, 5, ('text',), sizes=('vocabulary_size',)
  ),
  'wide_deep': Architecture(models.wide_deep, 5, **_TABULAR),
  'dlrm': Architecture(models.dlrm, 6, **_TABULAR),
}


# Of those that a learning rate alone makes.
OPTIMIZERS = {
  fn.__name__: fn
  for fn in (
    optax.sgd,
    optax.adabelief,
    optax.adadelta,
    optax.adafactor,
    optax.adagrad,
    optax.adam,
    optax.adamax,
    optax.adamaxw,
    optax.adamw,
    optax.adan,
    optax.amsgrad,
    optax.fromage,
    optax.lamb,
    optax.lars,
    optax.lion,
    optax.novograd,
    optax.radam,
    optax.rmsprop,
    optax.rprop,
    optax.sign_sgd,
    optax.signum,
    optax.sm3,
    optax.yogi,
  )
}
