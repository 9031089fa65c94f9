"""The strongest attacker on a view: what it does with all that is granted."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax import attacks
from splitjax.attacks import groupings
from splitjax.attacks import leave_one_out
from splitjax.attacks import merged_on_views
from splitjax.attacks import missing_on_views
from splitjax.attacks.adapting import Draws
from splitjax.attacks.evidence import Evidence
from splitjax.attacks.evidence import confidence_of
from splitjax.attacks.groupings import Grouping
from splitjax.attacks.missing import Patterns
from splitjax.attacks.on_views import own_of
from splitjax.attacks.on_views import ridge
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


class Shared(NamedTuple):
  """What does not depend on which samples are known: found once for all draws.

  Attributes:
    gradients: groups of the gradients; None where there are none.
    similar: groups of the features; None where gradients are what is read.
    logits: what a head trained on the groups of the gradients says of the
      samples to label, `[M, C]`; None where there is no head.
    foretold: the groups that heads foretold of held-out samples, `[N]`.
    patterns: which entries were sent; None where all were.
  """

  gradients: Evidence | None = None
  similar: Evidence | None = None
  logits: jax.Array | None = None
  foretold: jax.Array | None = None
  patterns: Patterns | None = None


def share(key: jax.Array, view: View) -> Shared:
  """Do all that does not depend on which samples are known.

  Args:
    key: random key.
    view: what the attacker knows; auxiliary samples are not read.

  Returns:
    What `strongest` needs beside the view.
  """
  own = own_of(view)
  if not view.num_classes:
    return Shared()
  key_gradients, key_similarity, key_transfer = jax.random.split(key, 3)
  gradients = None
  if merged_on_views.applies(own):
    assert own.passes is not None
    gradients = merged_on_views.group(
      key_gradients, own.passes.num_merged, _passes_of(view)
    )
  elif own.passes is not None:
    gradients = attacks.gradient_evidence(
      key_gradients,
      **_passes_of(view),
      num_classes=view.num_classes,
      sent=own.sent,
    )
  if own.features is None:  # Gradients are what is read.
    assert gradients is not None
    patterns = missing_on_views.group(key_similarity, view, gradients)
    return Shared(gradients, patterns=patterns)
  vectors = own.features
  if own.new_samples:
    vectors = jnp.concatenate([view.vectors, vectors])
  similar = attacks.similarity_evidence(
    key_similarity, vectors, num_classes=view.num_classes
  )
  if gradients is None or merged_on_views.applies(own):
    return Shared(gradients, similar)
  logits, foretold = _fit_heads(key_transfer, own, view, gradients.grouping)
  return Shared(gradients, similar, logits, foretold)


def strongest(
  key: jax.Array, view: View, shared: Shared | None = None
) -> AttackResult:
  """Take the best of several candidates, picked without truth."""
  own = own_of(view)
  if not view.num_classes:
    return _targets(key, view)
  shared = share(key, view) if shared is None else shared
  if shared.similar is None:
    assert shared.gradients is not None and own.aux_rows is not None
    assert own.passes is not None
    if merged_on_views.applies(own):
      return _with_scores(view, merged_on_views.read(view, shared.gradients))
    found = attacks.read_evidence(
      shared.gradients,
      own.aux_rows,
      view.aux_labels,
      num_classes=view.num_classes,
      channel=own.passes.channel,
    )
    found = missing_on_views.read(
      view, shared.gradients, shared.patterns, found
    )
    return _with_scores(view, found)
  similar = _by_similarity(view, shared.similar)
  if shared.gradients is None:
    return _with_scores(view, similar[0])
  if merged_on_views.applies(own):
    head = merged_on_views.read_features(key, view, shared.gradients, similar)
    return _with_scores(view, head)
  return _with_scores(view, _with_head(view, shared, similar))


def _targets(key: jax.Array, view: View) -> AttackResult:
  """Read real targets: of gradients along their directions."""
  own = own_of(view)
  if own.features is not None:
    return ridge(key, view)
  assert own.aux_rows is not None
  return AttackResult(
    attacks.gradient_targets(
      key, view.vectors, own.aux_rows, view.aux_labels, own.sent
    )
  )


def _with_scores(view: View, found: AttackResult) -> AttackResult:
  """Return what the metrics read: labels, scores and which candidate it is."""
  return with_logits(view, found)._replace(chosen=found.chosen)


def _passes_of(view: View) -> dict[str, Any]:
  """Return what kernels take of the passes."""
  passes = own_of(view).passes
  assert passes is not None
  vectors = passes.vectors
  return dict(
    passes=view.vectors[None] if vectors is None else vectors,
    draws=Draws(passes.steps, passes.partners, passes.weights),
    counters=passes.counters,
    channel=passes.channel,
    fresh=passes.fresh_labels,
  )


def _by_similarity(
  view: View, evidence: Evidence
) -> tuple[AttackResult, jax.Array]:
  """Label the view's samples together with the training samples.

  Args:
    view: what the attacker knows.
    evidence: groups of both.

  Returns:
    What is found of the samples to label, and how sure that is.
  """
  own = own_of(view)
  assert own.aux_rows is not None
  rows = own.aux_rows
  if own.new_samples:
    rows = rows + len(view.vectors)
  found = attacks.read_evidence(
    evidence, rows, view.aux_labels, num_classes=view.num_classes
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
  view: View, shared: Shared, similar: tuple[AttackResult, jax.Array]
) -> AttackResult:
  """Take the answers of a head that gradients trained, if they hold anything.

  It was trained on groups, once for all draws of known samples, and these name
  its answers. The groups are trusted as far as the known samples lie in their
  own, times how sure they are: by themselves, or by how well a head foretells
  those of samples it was not trained on. Labels that are drawn at random it
  does not foretell.
  """
  own, num_classes = own_of(view), view.num_classes
  gradients, logits = shared.gradients, shared.logits
  assert gradients is not None and logits is not None
  assert shared.foretold is not None
  assert own.aux_rows is not None and own.passes is not None
  costs = gradients.grouping.costs[own.aux_rows]
  names = leave_one_out.name(costs, view.aux_labels, num_classes)
  nearest = names[jnp.argmin(costs, axis=1)]
  sure = jnp.maximum(
    _recall(shared.foretold, gradients.grouping.groups, num_classes),
    confidence_of(gradients, own.passes.channel),
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
