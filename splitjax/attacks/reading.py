"""How known samples read what vectors say.

In shape descriptions `N` is the number of samples, `A` that of auxiliary
samples and `C` that of classes.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import conditioning
from splitjax.attacks import groupings
from splitjax.attacks import matching
from splitjax.attacks import pass_groups
from splitjax.attacks.evidence import Evidence
from splitjax.attacks.evidence import Sent
from splitjax.attacks.groupings import Grouping
from splitjax.attacks.groupings import Known
from splitjax.attacks.result import AttackResult
from splitjax.training.countering import Channel


@functools.partial(_kernel.jit, static_argnames='num_classes')
def read_evidence(
  evidence: Evidence,
  aux_rows: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
  channel: Channel | None = None,
) -> AttackResult:
  """Label samples, given what no label took part in.

  Args:
    evidence: from `evidence.similarity_evidence` or
      `evidence.gradient_evidence`.
    aux_rows: rows of the auxiliary samples, `[A]`.
    aux_labels: labels of the auxiliary samples, `[A]`.
    num_classes: number of classes `C`.
    channel: the mechanism that labels went through, if there is one.

  Returns:
    An `AttackResult` with labels, logits, groups and `chosen`.
  """
  finite = jnp.all(conditioning.finite_rows(evidence.passes), axis=0)
  aux_labels = conditioning.name_finite(aux_labels, finite[aux_rows])
  result = _read(evidence, Known(aux_rows, aux_labels, num_classes), channel)
  labels = conditioning.name_finite(result.labels, finite)
  return result._replace(labels=labels)


def _read(
  evidence: Evidence, known: Known, channel: Channel | None
) -> AttackResult:
  """Let known samples name groups, and take the labels that are likeliest."""
  passes, found, drawn, other = evidence
  if drawn is not None:
    assert channel is not None
    return pass_groups.decode(
      groupings.named(found, known, 'votes'), drawn, channel
    )
  candidate = 'denoised' if len(passes) == 1 else 'passes'
  result = groupings.better(passes, found, known, candidate)
  if other is not None:
    grouping = other.grouping
    if other.sent is not None:
      grouping = _rematched(grouping, other.sent, result.labels, known)
    named = groupings.named(grouping, known, candidate)
    named = named._replace(chosen=other.candidate)
    result = groupings.where(other.holds, named, result)
  if channel is None:
    return result
  assert result.groups is not None
  return pass_groups.decode(result, result.groups.assignments[None], channel)


def _rematched(
  grouping: Grouping, sent: Sent, labels: jax.Array, known: Known
) -> Grouping:
  """Start from labels as well: a top also fits a large class cut in two."""
  again = matching.match(
    sent.key,
    sent.smashed,
    sent.gradients,
    labels[None],
    num_classes=known.num_classes,
  )
  return groupings.where(again.quality > sent.quality, again.grouping, grouping)
