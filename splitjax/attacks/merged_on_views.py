"""The strongest attacker where classes were merged before the training.

Part of `strongest_on_views`: groups of the gradients are of merged labels, and
own inputs tell the classes of one group apart.
"""

from typing import Any

import jax
import jax.numpy as jnp

from splitjax import attacks
from splitjax.attacks import conditioning
from splitjax.attacks import groupings
from splitjax.attacks.evidence import Evidence
from splitjax.attacks.groupings import Grouping
from splitjax.attacks.on_views import own_of
from splitjax.attacks.result import AttackResult
from splitjax.attacks.transfer import transfer_labels
from splitjax.records.viewing import Own
from splitjax.records.viewing import View

# Known samples that seeded the groups prove less than others would.
_TRUST = 0.75
_NUM_EPOCHS = 20
_HIDDEN_SIZE = 64


def applies(own: Own) -> bool:
  """Return whether classes were merged and own inputs can tell them apart.

  Args:
    own: what the attacker knows beside the vectors to label.
  """
  passes = own.passes
  if passes is None or passes.inputs is None:
    return False
  return bool(passes.num_merged)


def group(key: jax.Array, num_merged: int, known: dict[str, Any]) -> Evidence:
  """Group gradients by the merged labels.

  Args:
    key: random key for the search for directions, and for the starts.
    num_merged: number of merged labels.
    known: keyword arguments of `attacks.gradient_evidence`.

  Returns:
    As many groups as there are merged labels.
  """
  if num_merged > 1:
    return attacks.gradient_evidence(key, num_classes=num_merged, **known)
  num_samples = known['passes'].shape[1]
  alone = Grouping(
    jnp.zeros(num_samples, jnp.int32),
    jnp.zeros((num_samples, 1)),
    jnp.float32(1),
  )
  return Evidence(known['passes'], alone)


def read(view: View, gradients: Evidence) -> AttackResult:
  """Label the training samples by merged labels and own inputs.

  Args:
    view: what the attacker knows.
    gradients: groups of the gradients, from `group`.

  Returns:
    The result of `attacks.read_merged`.
  """
  own = own_of(view)
  assert own.passes is not None and own.passes.inputs is not None
  assert own.aux_rows is not None
  finite = jnp.all(conditioning.finite_rows(gradients.passes), axis=0)
  result = attacks.read_merged(
    gradients.grouping,
    own.passes.inputs,
    own.aux_rows,
    conditioning.name_finite(view.aux_labels, finite[own.aux_rows]),
    num_classes=view.num_classes,
  )
  labels = conditioning.name_finite(result.labels, finite)
  return result._replace(labels=labels)


def read_features(
  key: jax.Array,
  view: View,
  gradients: Evidence,
  similar: tuple[AttackResult, jax.Array],
) -> AttackResult:
  """Label what an attacker computes with what gradients and own inputs read.

  Training samples are read as they are. For others a head learns, from features
  and own inputs, the labels read of the training samples. It is taken if known
  samples are read right, and the groups of the gradients are sure.

  Args:
    key: random key for the fit of the head.
    view: what the attacker knows.
    gradients: groups of the gradients, from `group`.
    similar: what the features alone say, and how sure that is.

  Returns:
    The result of the head, or of the features alone.
  """
  own = own_of(view)
  assert own.aux_rows is not None
  found = read(view, gradients)
  other, other_sure = similar
  right = jnp.mean(found.labels[own.aux_rows] == view.aux_labels)
  sure = gradients.grouping.confidence * right
  labels, logits = found.labels, found.logits
  if own.new_samples:
    labels, logits = _fit(key, view, found.labels)
  head = AttackResult(
    labels.astype(other.labels.dtype), logits=logits, chosen=found.chosen
  )
  return groupings.where(sure >= _TRUST * other_sure, head, other)


def _fit(
  key: jax.Array, view: View, labels: jax.Array
) -> tuple[jax.Array, jax.Array | None]:
  """Return labels and logits of new samples, by a head of those trained on."""
  own = own_of(view)
  assert own.features is not None and own.passes is not None
  parts = [(own.features, view.vectors)]
  if own.passes.new_inputs is not None:
    assert own.passes.inputs is not None
    parts.append((own.passes.inputs, own.passes.new_inputs))
  scales = [jnp.sqrt(jnp.mean(known**2) + 1e-12) for known, _ in parts]
  features, vectors = (
    jnp.concatenate(
      [part[which] / scale for part, scale in zip(parts, scales, strict=True)],
      axis=1,
    )
    for which in (0, 1)
  )
  found = transfer_labels(
    key,
    features,
    features[:1],
    jnp.full(1, view.num_classes),  # Out of range: no sample is known here.
    vectors,
    num_classes=view.num_classes,
    pseudo_labels=labels,
    hidden_size=_HIDDEN_SIZE,
    num_epochs=_NUM_EPOCHS,
  )
  return found.labels, found.logits
