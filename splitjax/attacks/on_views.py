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
from splitjax.records.viewing import Own
from splitjax.records.viewing import View

AttackFn = Callable[..., AttackResult]
ScoreFn = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def own_of(view: View) -> Own:
  """Return what a client knows beside what it labels, which must be granted."""
  assert view.own is not None, 'The attack is granted nothing.'
  return view.own


def to_result(
  view: View, labels: jax.Array, logits_fn: Callable[[], jax.Array | None]
) -> AttackResult:
  """Return labels and, between two classes, how much more likely class 1 is."""
  if view.num_classes != 2:
    return AttackResult(labels)
  logits = logits_fn()
  assert logits is not None
  return AttackResult(labels, scores=logits[:, 1] - logits[:, 0])


def with_logits(view: View, result: AttackResult) -> AttackResult:
  """Return what the metrics read of an attack that has logits."""
  found = to_result(view, result.labels, lambda: result.logits)
  return found._replace(logits=result.logits)


def distance(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Take the label of the nearest auxiliary vector."""
  del key
  known = view.vectors, view.aux_vectors, view.aux_labels
  metric = {k: v for k, v in settings.items() if k == 'metric'}
  return to_result(
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
  return to_result(
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
  own = own_of(view)
  assert own.online is not None and own.aux_rows is not None
  labels = attacks.online_labels(
    own.online[:, 0].astype(jnp.int32),
    own.aux_rows,
    view.aux_labels,
    num_classes=view.num_classes,
  )
  # It is sure of every sample, or of none.
  return to_result(view, labels, lambda: jax.nn.one_hot(labels, 2))


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
  return to_result(view, labels, lambda: -view.vectors)


def _sent_of(view: View) -> tuple[jax.Array, jax.Array]:
  """Return the smashed data that was sent, and the auxiliary samples' part."""
  own = own_of(view)
  assert own.sent is not None and own.aux_rows is not None
  return own.sent, own.sent[own.aux_rows]


def _match_gradients(
  fn: Callable[..., AttackResult],
  key: jax.Array,
  view: View,
  *args: jax.Array,
  **settings: Any,
) -> AttackResult:
  """Fit a top model to smashed data and to what came back."""
  sent, aux_sent = _sent_of(view)
  result = fn(
    key,
    sent,
    view.vectors,
    *args,
    aux_sent,
    view.aux_vectors,
    view.aux_labels,
    num_classes=view.num_classes,
    **settings,
  )
  return with_logits(view, result)


def unsplit(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Take the label whose gradient through a cloned top fits best (UnSplit)."""
  return _match_gradients(attacks.unsplit_labels, key, view, **settings)


def exploit(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Fit labels and a top to gradients, with the classes' shares (ExPLoit)."""
  prior = own_of(view).shares
  assert prior is not None
  return _match_gradients(attacks.exploit_labels, key, view, prior, **settings)


def gramssat(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Fit a top to gradients, with nearest known labels (GRAMSSAT)."""
  return _match_gradients(attacks.gramssat_labels, key, view, **settings)


def gramssat_gradients(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """As `gramssat`, with labels of nearest gradients: for the first pass."""
  return gramssat(key, view, **({'nearest_by': 'cut_grads'} | settings))


def learning_based(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Fit dummy labels and a top to gradients, those of known samples too."""
  if view.num_classes:
    return _match_gradients(
      attacks.learning_based_labels, key, view, **settings
    )
  sent, aux_sent = _sent_of(view)
  return attacks.learning_based_targets(
    key,
    sent,
    view.vectors,
    aux_sent,
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
  targets = view.aux_labels[which]
  return AttackResult(jnp.where(which >= 0, targets, jnp.nan))


def ridge(key: jax.Array, view: View) -> AttackResult:
  """Regress on the known samples; of gradients beside what they answered."""
  del key
  vectors, aux_vectors = view.vectors, view.aux_vectors
  if view.own is not None and view.own.sent is not None:
    sent, aux_sent = _sent_of(view)
    vectors = jnp.concatenate([sent, vectors], axis=1)
    aux_vectors = jnp.concatenate([aux_sent, aux_vectors], axis=1)
  return AttackResult(
    attacks.ridge_targets(vectors, aux_vectors, view.aux_labels)
  )
