"""Attacks by name, and for what each is defined."""

from collections.abc import Sequence
import dataclasses

import jax
import jax.numpy as jnp

from experiments import common
from splitjax import attacks
from splitjax import evaluation

ANYTHING = ('cut_grads', 'smashed', 'untrained_smashed', 'raw_inputs')
_GRADIENTS = ('cut_grads',)
_FEATURES = ('smashed', 'untrained_smashed', 'raw_inputs')


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


def _by_score(score_fn, text):
  def attack(key, view):
    del key
    scores = score_fn(view.vectors, view.aux_vectors, view.aux_labels)
    return evaluation.Answer((scores > 0).astype(jnp.int32), scores)

  attack.__doc__ = text
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


def _transfer(key, view, pseudo_labels=None):
  result = attacks.transfer_labels(
    key,
    view.own.features,
    view.aux_vectors,
    view.aux_labels,
    view.vectors,
    num_classes=view.num_classes,
    pseudo_labels=pseudo_labels,
  )
  return _answer(view, result.labels, lambda: result.logits)


def transfer(key, view):
  """A head on smashed data, trained on what gradients gave away before."""
  key_cluster, key_fit = jax.random.split(key)
  clusters = attacks.cluster_labels(
    key_cluster,
    view.own.cut_grads,
    view.own.cut_grads[view.own.aux_rows],
    view.aux_labels,
    num_classes=view.num_classes,
  )
  return _transfer(key_fit, view, clusters.labels)


def transfer_similarity(key, view):
  """A head on smashed data, trained on the nearest known sample's label."""
  return _transfer(key, view)


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

  def lacks(self, num_classes: int, cut_widths: Sequence[int]) -> str:
    """What a problem lacks for the attack to be defined, in words.

    Args:
      num_classes: of the problem.
      cut_widths: how many numbers cross each cut.

    Returns:
      Nothing, if it lacks nothing.
    """
    if self.two_classes and num_classes != 2:
      return f'data of two classes (--classes picks them), not {num_classes}'
    if self.logits and set(cut_widths) != {num_classes}:
      return (
        f'a cut that the {num_classes} logits cross, after the last layer with '
        f'weights; {list(cut_widths)} numbers do'
      )
    return ''


ATTACKS = {
  'distance': Attack(distance),
  'clustering': Attack(clustering),
  'clustering_paper': Attack(clustering_paper),
  'clustering_hungarian': Attack(clustering_hungarian),
  'spectral': Attack(spectral),
  'norm': Attack(
    _by_score(
      attacks.norm_scores, 'The length of the gradient: how wrong the model is.'
    ),
    _GRADIENTS,
    two_classes=True,
  ),
  'direction': Attack(
    _by_score(
      attacks.direction_scores,
      'The cosine to the known samples of the second class.',
    ),
    _GRADIENTS,
    two_classes=True,
  ),
  'inner_product': Attack(
    _by_score(
      attacks.inner_product_scores,
      'The inner product with the known samples of the second class.',
    ),
    _GRADIENTS,
    two_classes=True,
  ),
  'direct': Attack(direct, _GRADIENTS, logits=True),
  'transfer': Attack(transfer, ('smashed',), granted=('features', 'cut_grads')),
  'transfer_similarity': Attack(
    transfer_similarity, _FEATURES, granted=('features',)
  ),
}


def find_attacks(
  names: Sequence[str], num_classes: int, cut_widths: Sequence[int]
) -> tuple[str, ...]:
  """The attacks named, or of all those that are defined for a problem.

  Args:
    names: of attacks, or 'all' alone: the others are then warned of.
    num_classes: of the problem.
    cut_widths: how many numbers cross each cut.

  Returns:
    Their names.

  Raises:
    common.FlagError: if one that is named is not defined for the problem.
  """
  lacking = {
    name: attack.lacks(num_classes, cut_widths)
    for name, attack in ATTACKS.items()
  }
  if tuple(names) == ('all',):
    for name, expected in lacking.items():
      if expected:
        common.warn(f'{name} does not apply: it needs {expected}')
    return tuple(name for name, expected in lacking.items() if not expected)
  for name in names:
    if lacking[name]:
      raise common.FlagError('attacks', name, lacking[name])
  return tuple(names)
