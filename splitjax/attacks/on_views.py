"""What attacks answer: kernels as functions of a key and a view."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from splitjax import attacks
from splitjax.engine import trials


def _answer(view, labels, score_fn):
  """Labels, and between two classes how much more likely the second is."""
  if view.num_classes != 2:
    return trials.Answer(labels)
  scores = score_fn()
  return trials.Answer(labels, scores[:, 1] - scores[:, 0])


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


def online(key, view):
  """Clusters found batch by batch while the gradients came, none stored."""
  del key
  labels = attacks.name_online(
    view.own.online[:, 0].astype(jnp.int32),
    view.own.aux_rows,
    view.aux_labels,
    num_classes=view.num_classes,
  )
  # It is sure of every sample, or of none.
  return _answer(view, labels, lambda: jax.nn.one_hot(labels, 2))


def by_score(
  score_fn: Callable[[jax.Array, jax.Array, jax.Array], jax.Array], text: str
) -> trials.AttackFn:
  """An attack that takes positive scores for the second class.

  Args:
    score_fn: `(vectors, aux_vectors, aux_labels) -> scores`.
    text: what it does.

  Returns:
    The attack.
  """

  def attack(key, view):
    del key
    scores = score_fn(view.vectors, view.aux_vectors, view.aux_labels)
    return trials.Answer((scores > 0).astype(jnp.int32), scores)

  attack.__doc__ = text
  return attack


def spectral(key, view):
  """The directions in which vectors differ most."""
  args = key, view.vectors, view.aux_vectors, view.aux_labels
  if view.num_classes > 2:
    return trials.Answer(
      attacks.spectral_labels(*args, num_classes=view.num_classes)
    )
  scores = attacks.spectral_scores(*args)
  return trials.Answer((scores > 0).astype(jnp.int32), scores)


def direct(key, view):
  """The negative entry of the logits' gradient."""
  del key
  return _answer(
    view,
    attacks.direct_labels(view.vectors),
    lambda: -view.vectors,
  )


def _new_head(fn, key, view, **kwargs):
  """Attacks that train a head on frozen features."""
  result = fn(
    key,
    view.own.features,
    view.aux_vectors,
    view.aux_labels,
    view.vectors,
    num_classes=view.num_classes,
    **kwargs,
  )
  return _answer(view, result.labels, lambda: result.logits)


def _tuned(fn, key, view, **kwargs):
  """The same, with what makes the features trained along."""
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
    **kwargs,
  )
  return _answer(view, result.labels, lambda: result.logits)


def _from_gradients(key, view):
  """The labels that clustering reads from the gradients of the training."""
  return attacks.cluster_labels(
    key,
    view.own.cut_grads,
    view.own.cut_grads[view.own.aux_rows],
    view.aux_labels,
    num_classes=view.num_classes,
  ).labels


def transfer(key, view, **kwargs):
  """A head on features, trained on the labels that gradients gave away."""
  key_cluster, key_fit = jax.random.split(key)
  guess = _from_gradients(key_cluster, view)
  return _new_head(
    attacks.transfer_labels, key_fit, view, pseudo_labels=guess, **kwargs
  )


def transfer_hidden(key, view):
  """As `transfer`, with a hidden layer: for cuts before any nonlinearity."""
  return transfer(key, view, hidden_size=64)


def transfer_tuned(key, view):
  """As `transfer`, and what makes the features is trained along."""
  key_cluster, key_fit = jax.random.split(key)
  guess = _from_gradients(key_cluster, view)
  return _tuned(attacks.fine_tuned_labels, key_fit, view, pseudo_labels=guess)


def transfer_similarity(key, view):
  """A head on features, trained on the nearest known sample's label."""
  return _new_head(attacks.transfer_labels, key, view)


def model_completion(key, view):
  """A head on features, trained on the few known labels by MixMatch."""
  return _new_head(attacks.complete_model, key, view)


def model_completion_tuned(key, view):
  """As `model_completion`, and what makes the features is trained along."""
  return _tuned(attacks.fine_tuned_completion, key, view)


def _match_gradients(fn, key, view, *args):
  """Attacks that fit a top model to smashed data and what came back."""
  result = fn(
    key,
    view.own.sent,
    view.vectors,
    *args,
    view.own.sent[view.own.aux_rows],
    view.aux_vectors,
    view.aux_labels,
    num_classes=view.num_classes,
  )
  return _answer(view, result.labels, lambda: result.logits)


def unsplit(key, view):
  """UnSplit: the label whose gradient through a cloned top fits best."""
  return _match_gradients(attacks.unsplit_labels, key, view)


def exploit(key, view):
  """ExPLoit: labels and a top fitted to gradients, classes equally frequent."""
  prior = jnp.full(view.num_classes, 1 / view.num_classes)
  return _match_gradients(attacks.exploit_labels, key, view, prior)


def learning_based(key, view):
  """Dummy labels and a top fitted to gradients, those of known samples too."""
  return _match_gradients(attacks.learning_based_labels, key, view)


def gramssat(key, view):
  """GRAMSSAT: a top fitted to gradients, with nearest known labels."""
  return _match_gradients(attacks.gramssat_labels, key, view)
