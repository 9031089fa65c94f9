"""What the flags of the binaries can name."""

from collections.abc import Callable
import dataclasses

import optax

from splitjax import attacks
from splitjax import data
from splitjax import layering
from splitjax import models


@dataclasses.dataclass(frozen=True)
class Architecture:
  """A model by name.

  Attributes:
    make_fn: `num_classes -> layers`.
    main_cut: where it is cut by default.
    input_rank: axes of one input; any, if None.
  """

  make_fn: Callable[[int], tuple[layering.Layer, ...]]
  main_cut: int
  input_rank: int | None = None


DATASETS = {
  'digits': data.load_digits,
  'breast_cancer': data.load_breast_cancer,
}
MODELS = {
  'mlp': Architecture(models.mlp, main_cut=7),
  'conv_net': Architecture(models.conv_net, main_cut=8, input_rank=3),
}


def distance(key, view):
  """The label of the nearest auxiliary vector."""
  del key
  return attacks.nearest_labels(view.vectors, view.aux_vectors, view.aux_labels)


def _clustering(key, view, **kwargs):
  return attacks.cluster_labels(
    key,
    view.vectors,
    view.aux_vectors,
    view.aux_labels,
    num_classes=view.num_classes,
    **kwargs,
  ).labels


def clustering(key, view):
  """Clusters that start from the auxiliary vectors and keep their labels."""
  return _clustering(key, view)


def clustering_paper(key, view):
  """The paper's mode: k-means++ ten times, Hungarian assignment."""
  return _clustering(
    key, view, init='kmeans++', matching='hungarian', num_restarts=10
  )


def clustering_hungarian(key, view):
  """The paper's mode for smashed data: auxiliary start, Hungarian."""
  return _clustering(key, view, matching='hungarian')


ATTACKS = {
  'distance': distance,
  'clustering': clustering,
  'clustering_paper': clustering_paper,
  'clustering_hungarian': clustering_hungarian,
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
