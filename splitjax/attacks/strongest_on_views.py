"""The strongest attacker on a view: what it does with all that is granted."""

from typing import Any

import jax
import jax.numpy as jnp

from splitjax import attacks
from splitjax.attacks import groupings
from splitjax.attacks import leave_one_out
from splitjax.attacks.adapting import Draws
from splitjax.attacks.groupings import Grouping
from splitjax.attacks.on_views import own_of
from splitjax.attacks.on_views import with_logits
from splitjax.attacks.result import AttackResult
from splitjax.attacks.transfer import transfer_labels
from splitjax.records.viewing import Own
from splitjax.records.viewing import View

_NUM_FOLDS = 2
_NUM_EPOCHS = 20
# Groups of the features foretell themselves: that proves less.
_SELF_TRUST = 0.75
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
  found = _with_head(key_transfer, view, similar)
  return _with_scores(view, found)


def _with_scores(view: View, found: AttackResult) -> AttackResult:
  """Return what the metrics read: labels, scores and which candidate it is."""
  return with_logits(view, found)._replace(chosen=found.chosen)


def _from_gradients(key: jax.Array, view: View) -> AttackResult:
  """Label the training samples by their gradients."""
  own = own_of(view)
  assert own.aux_rows is not None
  return attacks.gradient_labels(
    key,
    **_passes_of(own),
    aux_rows=own.aux_rows,
    aux_labels=view.aux_labels,
    num_classes=view.num_classes,
  )


def _passes_of(own: Own) -> dict[str, Any]:
  """Return what kernels take of the passes."""
  passes = own.passes
  assert passes is not None
  return dict(
    passes=passes.vectors,
    draws=Draws(passes.steps, passes.partners, passes.weights),
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
  rest: dict[str, None] = {'groups': None, 'confidence': None}
  return found._replace(labels=labels, logits=logits, **rest), sure


def _agreement(
  found: AttackResult, rows: jax.Array, labels: jax.Array
) -> jax.Array:
  """Return how many known samples lie nearest to their own class.

  Nearest without themselves, see `leave_one_out`.
  """
  assert found.logits is not None
  return jnp.mean(jnp.argmax(found.logits[rows], axis=1) == labels)


def _with_head(
  key: jax.Array, view: View, similar: tuple[AttackResult, jax.Array]
) -> AttackResult:
  """Train a head on what gradients gave away, if that holds anything.

  It is trained on groups, once for all draws of known samples, and these name
  its answers. The groups are trusted as far as the known samples lie in their
  own, times how sure they are: by themselves, or by how well a head foretells
  those of samples it was not trained on. Labels that are drawn at random it
  does not foretell.
  """
  own, num_classes = own_of(view), view.num_classes
  assert own.features is not None and own.aux_rows is not None
  key_groups, key_fit = jax.random.split(key)
  found = attacks.gradient_groups(
    key_groups, **_passes_of(own), num_classes=num_classes
  )
  logits, foretold = _fit_heads(key_fit, own, view, found)
  names = leave_one_out.name(
    found.costs[own.aux_rows], view.aux_labels, num_classes
  )
  nearest = names[jnp.argmin(found.costs[own.aux_rows], axis=1)]
  sure = jnp.maximum(
    _recall(foretold, found.groups, num_classes), found.confidence
  )
  sure *= jnp.mean(nearest == view.aux_labels)
  logits = logits[:, jnp.argsort(names)]
  other, other_sure = similar
  head = AttackResult(
    jnp.argmax(logits, axis=1).astype(other.labels.dtype),
    logits=logits,
    chosen=jnp.int32(groupings.CANDIDATES.index('transfer')),
  )
  return jax.tree.map(
    lambda x, y: jnp.where(sure >= _SELF_TRUST * other_sure, x, y), head, other
  )


def _fit_heads(
  key: jax.Array, own: Own, view: View, found: Grouping
) -> tuple[jax.Array, jax.Array]:
  """Train heads on groups: one on all samples, one for each held-out fold.

  Returns:
    The logits of the samples to label, `[M, C]`, and the groups foretold of
    samples that were held out, `[N]`.
  """
  features, num_classes = own.features, view.num_classes
  assert features is not None
  folds = jnp.arange(len(features)) % _NUM_FOLDS

  def fit(fold: jax.Array) -> tuple[jax.Array | None, jax.Array | None]:
    head = transfer_labels(
      jax.random.fold_in(key, fold),
      features,
      features[:1],
      jnp.full(1, num_classes),  # Out of range: no sample is known here.
      view.vectors,
      num_classes=num_classes,
      # Nor are the groups of the fold that is held out.
      pseudo_labels=jnp.where(folds == fold, num_classes, found.groups),
      hidden_size=_HIDDEN_SIZE,
      num_epochs=_NUM_EPOCHS,
    )
    return head.logits, head.train_labels

  # The last one holds out nothing.
  logits, answers = jax.lax.map(fit, jnp.arange(_NUM_FOLDS + 1))
  foretold = jnp.take_along_axis(answers, folds[None], axis=0)[0]
  return logits[-1], foretold


def _recall(found: jax.Array, labels: jax.Array, num_classes: int) -> jax.Array:
  """Return the mean recall over the classes that the labels have."""
  of_class = jax.nn.one_hot(labels, num_classes)
  sizes = jnp.sum(of_class, axis=0)
  right = jnp.sum(of_class * (found == labels)[:, None], axis=0)
  present = sizes > 0
  recalls = jnp.where(present, right / jnp.maximum(sizes, 1), 0)
  return jnp.sum(recalls) / jnp.maximum(jnp.sum(present), 1)
