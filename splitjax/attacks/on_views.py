"""Attacks on a view: each a kernel, given what the view grants it.

An attack is `(key, view, **settings) -> AttackResult`, where the settings are
keyword arguments of its kernel. It cannot reach the truth, which no view holds.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from splitjax import attacks
from splitjax.attacks.result import AttackResult
from splitjax.records.viewing import View

AttackFn = Callable[..., AttackResult]
ScoreFn = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def _result(
  view: View, labels: jax.Array, logits_fn: Callable[[], jax.Array]
) -> AttackResult:
  """Return labels and, between two classes, how much more likely class 1 is."""
  if view.num_classes != 2:
    return AttackResult(labels)
  logits = logits_fn()
  return AttackResult(labels, scores=logits[:, 1] - logits[:, 0])


def distance(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Take the label of the nearest auxiliary vector."""
  del key
  known = view.vectors, view.aux_vectors, view.aux_labels
  metric = {k: v for k, v in settings.items() if k == 'metric'}
  return _result(
    view,
    attacks.nearest_labels(*known, **settings),
    lambda: attacks.nearest_scores(
      *known, num_classes=view.num_classes, **metric
    ),
  )


def clustering(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Cluster from the auxiliary vectors; clusters keep their labels."""
  clusters = attacks.cluster_labels(
    key,
    view.vectors,
    view.aux_vectors,
    view.aux_labels,
    num_classes=view.num_classes,
    **settings,
  )
  return _result(
    view,
    clusters.labels,
    lambda: attacks.cluster_scores(
      view.vectors, clusters, metric=settings.get('metric', 'cosine')
    ),
  )


def clustering_paper(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """Cluster as the paper: k-means++ ten times, Hungarian assignment."""
  mode = {'init': 'kmeans++', 'matching': 'hungarian', 'num_restarts': 10}
  return clustering(key, view, **(mode | settings))


def clustering_hungarian(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """Cluster as the paper does smashed data: auxiliary start, Hungarian."""
  return clustering(key, view, **({'matching': 'hungarian'} | settings))


def online(key: jax.Array, view: View) -> AttackResult:
  """Name clusters that were found batch by batch, with no gradient stored."""
  del key
  labels = attacks.online_labels(
    view.own.online[:, 0].astype(jnp.int32),
    view.own.aux_rows,
    view.aux_labels,
    num_classes=view.num_classes,
  )
  # It is sure of every sample, or of none.
  return _result(view, labels, lambda: jax.nn.one_hot(labels, 2))


def by_score(score_fn: ScoreFn, text: str) -> AttackFn:
  """Make an attack that takes positive scores for the second class.

  Args:
    score_fn: `(vectors, aux_vectors, aux_labels) -> scores`.
    text: what the attack does, for its docstring.

  Returns:
    The attack.
  """

  def attack(key: jax.Array, view: View) -> AttackResult:
    del key
    scores = score_fn(view.vectors, view.aux_vectors, view.aux_labels)
    return AttackResult((scores > 0).astype(jnp.int32), scores=scores)

  attack.__doc__ = text
  return attack


def spectral(key: jax.Array, view: View) -> AttackResult:
  """Cluster along the directions in which the vectors differ most."""
  known = key, view.vectors, view.aux_vectors, view.aux_labels
  if view.num_classes > 2:
    return AttackResult(
      attacks.spectral_labels(*known, num_classes=view.num_classes)
    )
  scores = attacks.spectral_scores(*known)
  return AttackResult((scores > 0).astype(jnp.int32), scores=scores)


def direct(key: jax.Array, view: View) -> AttackResult:
  """Take the class whose entry of the logits' gradient is negative."""
  del key
  labels = attacks.direct_labels(view.vectors)
  return _result(view, labels, lambda: -view.vectors)


def _new_head(
  fn: Callable[..., AttackResult], key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """Train a head on frozen features."""
  result = fn(
    key,
    view.own.features,
    view.aux_vectors,
    view.aux_labels,
    view.vectors,
    num_classes=view.num_classes,
    **settings,
  )
  return _result(view, result.labels, lambda: result.logits)


def _tuned(
  fn: Callable[..., AttackResult], key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """Train a head, and the network that makes its features along."""
  extractor = view.own.extractor
  result = fn(
    key,
    extractor.apply_fn,
    extractor.params,
    extractor.inputs,
    extractor.inputs[view.own.aux_rows],
    view.aux_labels,
    extractor.new_inputs,
    num_classes=view.num_classes,
    **settings,
  )
  return _result(view, result.labels, lambda: result.logits)


def _from_gradients(key: jax.Array, view: View) -> jax.Array:
  """Return the labels that clustering reads from the training's gradients."""
  return attacks.cluster_labels(
    key,
    view.own.cut_grads,
    view.own.cut_grads[view.own.aux_rows],
    view.aux_labels,
    num_classes=view.num_classes,
  ).labels


def transfer(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Train a head on features, with the labels that gradients gave away."""
  key_cluster, key_fit = jax.random.split(key)
  guess = _from_gradients(key_cluster, view)
  return _new_head(
    attacks.transfer_labels, key_fit, view, pseudo_labels=guess, **settings
  )


def transfer_hidden(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """As `transfer`, with a hidden layer: for cuts before any nonlinearity."""
  return transfer(key, view, **({'hidden_size': 64} | settings))


def transfer_tuned(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """As `transfer`, and what makes the features is trained along."""
  key_cluster, key_fit = jax.random.split(key)
  guess = _from_gradients(key_cluster, view)
  return _tuned(
    attacks.tuned_transfer_labels,
    key_fit,
    view,
    pseudo_labels=guess,
    **settings,
  )


def transfer_similarity(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """Train a head on features, with the nearest known sample's label."""
  return _new_head(attacks.transfer_labels, key, view, **settings)


def model_completion(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """Train a head on features, with the few known labels, by MixMatch."""
  return _new_head(attacks.completion_labels, key, view, **settings)


def model_completion_tuned(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """As `model_completion`, and what makes the features is trained along."""
  return _tuned(attacks.tuned_completion_labels, key, view, **settings)


def _match_gradients(
  fn: Callable[..., AttackResult],
  key: jax.Array,
  view: View,
  *args: jax.Array,
  **settings: Any,
) -> AttackResult:
  """Fit a top model to smashed data and to what came back."""
  result = fn(
    key,
    view.own.sent,
    view.vectors,
    *args,
    view.own.sent[view.own.aux_rows],
    view.aux_vectors,
    view.aux_labels,
    num_classes=view.num_classes,
    **settings,
  )
  return _result(view, result.labels, lambda: result.logits)


def unsplit(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Take the label whose gradient through a cloned top fits best (UnSplit)."""
  return _match_gradients(attacks.unsplit_labels, key, view, **settings)


def exploit(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Fit labels and a top to gradients, classes equally frequent (ExPLoit)."""
  prior = jnp.full(view.num_classes, 1 / view.num_classes)
  return _match_gradients(attacks.exploit_labels, key, view, prior, **settings)


def gramssat(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Fit a top to gradients, with nearest known labels (GRAMSSAT)."""
  return _match_gradients(attacks.gramssat_labels, key, view, **settings)


def learning_based(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Fit dummy labels and a top to gradients, those of known samples too."""
  if view.num_classes:
    return _match_gradients(
      attacks.learning_based_labels, key, view, **settings
    )
  return attacks.learning_based_targets(
    key,
    view.own.sent,
    view.vectors,
    view.own.sent[view.own.aux_rows],
    view.aux_vectors,
    view.aux_labels,
    **settings,
  )


def nearest(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Take the real target of the nearest known sample, by distance."""
  del key
  which = attacks.nearest_labels(
    view.vectors,
    view.aux_vectors,
    jnp.arange(len(view.aux_labels)),
    **({'metric': 'euclidean'} | settings),
  )
  return AttackResult(view.aux_labels[which])


def ridge(key: jax.Array, view: View) -> AttackResult:
  """Regress on the known samples; of gradients beside what they answered."""
  del key
  vectors, aux_vectors = view.vectors, view.aux_vectors
  if view.own is not None:
    aux_sent = view.own.sent[view.own.aux_rows]
    vectors = jnp.concatenate([view.own.sent, vectors], axis=1)
    aux_vectors = jnp.concatenate([aux_sent, aux_vectors], axis=1)
  return AttackResult(
    attacks.ridge_targets(vectors, aux_vectors, view.aux_labels)
  )
