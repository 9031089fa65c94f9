"""The strongest attacker on a view: what it does with all that is granted."""

import jax
import jax.numpy as jnp

from splitjax import attacks
from splitjax.attacks import groupings
from splitjax.attacks.adapting import Draws
from splitjax.attacks.on_views import own_of
from splitjax.attacks.on_views import to_result
from splitjax.attacks.result import AttackResult
from splitjax.attacks.transfer import transfer_labels
from splitjax.records.viewing import View

_NUM_FOLDS = 2
_FOLD_EPOCHS = 10
_HIDDEN_SIZE = 64


def strongest(key: jax.Array, view: View) -> AttackResult:
  """Take the best of several candidates, picked without truth."""
  own = own_of(view)
  key_gradients, key_similarity, key_transfer = jax.random.split(key, 3)
  if own.features is None:  # Gradients are what is read.
    found = _from_gradients(key_gradients, view)
    return _with_scores(view, found)
  similar = _by_similarity(key_similarity, view)
  if own.passes is None:
    return _with_scores(view, similar[0])
  guess = _from_gradients(key_gradients, view)
  found = _with_head(key_transfer, view, guess, similar)
  return _with_scores(view, found)


def _with_scores(view: View, found: AttackResult) -> AttackResult:
  """Return what the metrics read: labels, scores and which candidate it is."""
  scored = to_result(view, found.labels, lambda: found.logits)
  return scored._replace(chosen=found.chosen)


def _from_gradients(key: jax.Array, view: View) -> AttackResult:
  """Label the training samples by their gradients."""
  own = own_of(view)
  passes = own.passes
  assert passes is not None and own.aux_rows is not None
  return attacks.gradient_labels(
    key,
    passes.vectors,
    Draws(passes.steps, passes.partners, passes.weights),
    own.aux_rows,
    view.aux_labels,
    num_classes=view.num_classes,
    counters=passes.counters,
    channel=passes.channel,
    fresh=passes.fresh_labels,
  )


def _by_similarity(
  key: jax.Array, view: View
) -> tuple[AttackResult, jax.Array]:
  """Label the view's samples together with the training samples.

  Args:
    key: random key.
    view: what the attacker knows.

  Returns:
    What is found of the samples to label, and how sure that is.
  """
  own = own_of(view)
  assert own.features is not None and own.aux_rows is not None
  vectors, rows = own.features, own.aux_rows
  if own.new_samples:
    vectors = jnp.concatenate([view.vectors, vectors])
    rows = rows + len(view.vectors)
  found = attacks.similarity_labels(
    key, vectors, rows, view.aux_labels, num_classes=view.num_classes
  )
  assert found.logits is not None
  nearest = jnp.argmax(found.logits, axis=1)
  sure = _recall(nearest, found.labels, view.num_classes)
  sure *= _agreement(found, rows, view.aux_labels)
  own_part = jax.tree.map(
    lambda x: x[: len(view.vectors)], (found.labels, found.logits)
  )
  labels, logits = own_part
  return found._replace(labels=labels, logits=logits, groups=None), sure


def _agreement(
  found: AttackResult, rows: jax.Array, labels: jax.Array
) -> jax.Array:
  """Return how many known samples lie nearest to their own class.

  Nearest without themselves, see `leave_one_out`.
  """
  assert found.logits is not None
  return jnp.mean(jnp.argmax(found.logits[rows], axis=1) == labels)


def _with_head(
  key: jax.Array,
  view: View,
  guess: AttackResult,
  similar: tuple[AttackResult, jax.Array],
) -> AttackResult:
  """Train a head on what gradients gave away, if that holds anything.

  What gradients say is trusted as far as the known samples lie in their own
  groups, times how well a head foretells the labels of samples it was not
  trained on: labels that are drawn at random it does not foretell.
  """
  own = own_of(view)
  assert own.features is not None and own.aux_rows is not None
  key_folds, key_fit = jax.random.split(key)
  known = view.aux_vectors, view.aux_labels
  fit = lambda key, labels, new, **settings: transfer_labels(
    key,
    own.features,
    *known,
    new,
    num_classes=view.num_classes,
    pseudo_labels=labels,
    hidden_size=_HIDDEN_SIZE,
    **settings,
  )
  head = fit(key_fit, guess.labels, view.vectors)
  held_out = jnp.arange(len(own.features)) % _NUM_FOLDS

  def fold_fn(fold: jax.Array) -> jax.Array:
    is_held = held_out == fold
    known_only = jnp.where(is_held, view.num_classes, guess.labels)
    key = jax.random.fold_in(key_folds, fold)
    found = fit(key, known_only, own.features[:1], num_epochs=_FOLD_EPOCHS)
    return jnp.where(is_held, found.train_labels, 0)

  foretold = jnp.sum(jax.lax.map(fold_fn, jnp.arange(_NUM_FOLDS)), axis=0)
  sure = _recall(foretold, guess.labels, view.num_classes)
  sure *= _agreement(guess, own.aux_rows, view.aux_labels)
  other, other_sure = similar
  chosen = jnp.int32(groupings.CANDIDATES.index('transfer'))
  head = AttackResult(head.labels, logits=head.logits, chosen=chosen)
  return jax.tree.map(
    lambda x, y: jnp.where(sure >= other_sure, x, y), head, other
  )


def _recall(found: jax.Array, labels: jax.Array, num_classes: int) -> jax.Array:
  """Return the mean recall over the classes that the labels have."""
  of_class = jax.nn.one_hot(labels, num_classes)
  sizes = jnp.sum(of_class, axis=0)
  right = jnp.sum(of_class * (found == labels)[:, None], axis=0)
  present = sizes > 0
  recalls = jnp.where(present, right / jnp.maximum(sizes, 1), 0)
  return jnp.sum(recalls) / jnp.maximum(jnp.sum(present), 1)
