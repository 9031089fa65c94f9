"""What the flags of the binaries can name."""

from collections.abc import Callable
import dataclasses

import jax.numpy as jnp
import optax

from splitjax import attacks
from splitjax import data
from splitjax import evaluation
from splitjax import layering
from splitjax import models


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


def _answer(view, labels, score_fn):
  """Labels, and between two classes how much more likely the second is."""
  if view.num_classes != 2:
    return evaluation.Answer(labels)
  scores = score_fn()
  return evaluation.Answer(labels, scores[:, 1] - scores[:, 0])


def distance(key, view):
  """The label of the nearest auxiliary vector."""
  del key
  args = view.vectors, view.aux_vectors, view.aux_labels
  return _answer(
    view,
    attacks.nearest_labels(*args),
    lambda: attacks.nearest_scores(*args, num_classes=view.num_classes),
  )


def _clustering(key, view, **kwargs):
  clusters = attacks.cluster_labels(
    key,
    view.vectors,
    view.aux_vectors,
    view.aux_labels,
    num_classes=view.num_classes,
    **kwargs,
  )
  return _answer(
    view,
    clusters.labels,
    lambda: attacks.cluster_scores(view.vectors, clusters),
  )


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


ANYTHING = ('cut_grads', 'smashed', 'untrained_smashed', 'raw_inputs')
_GRADIENTS = ('cut_grads',)


def _by_score(score_fn):
  def attack(key, view):
    del key
    scores = score_fn(view.vectors, view.aux_vectors, view.aux_labels)
    return evaluation.Answer((scores > 0).astype(jnp.int32), scores)

  return attack


def spectral(key, view):
  """The directions in which vectors differ most."""
  args = key, view.vectors, view.aux_vectors, view.aux_labels
  if view.num_classes > 2:
    return evaluation.Answer(
      attacks.spectral_labels(*args, num_classes=view.num_classes)
    )
  scores = attacks.spectral_scores(*args)
  return evaluation.Answer((scores > 0).astype(jnp.int32), scores)


def direct(key, view):
  """The negative entry of the logits' gradient."""
  del key
  return _answer(
    view,
    attacks.direct_labels(view.vectors),
    lambda: -view.vectors,
  )


@dataclasses.dataclass(frozen=True)
class Attack:
  """An attack by name.

  Attributes:
    fn: what it does.
    reads: the intermediates that it is defined for.
    two_classes: whether it is defined for two classes only.
    logits: whether it is defined for a cut that logits cross, only.
    granted: what it knows beside a view, fields of `viewing.Own`.
    active: whether the attacker leaves the protocol, for the documentation.
  """

  fn: evaluation.AttackFn
  reads: tuple[str, ...] = ANYTHING
  two_classes: bool = False
  logits: bool = False
  granted: tuple[str, ...] = ()
  active: bool = False


ATTACKS = {
  'distance': Attack(distance),
  'clustering': Attack(clustering),
  'clustering_paper': Attack(clustering_paper),
  'clustering_hungarian': Attack(clustering_hungarian),
  'spectral': Attack(spectral),
  'norm': Attack(_by_score(attacks.norm_scores), _GRADIENTS, two_classes=True),
  'direction': Attack(
    _by_score(attacks.direction_scores), _GRADIENTS, two_classes=True
  ),
  'inner_product': Attack(
    _by_score(attacks.inner_product_scores), _GRADIENTS, two_classes=True
  ),
  'direct': Attack(direct, _GRADIENTS, logits=True),
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
