"""The strongest attacker where entries of gradients are not sent.

Part of `strongest_on_views`: gradients are read with the attacker's own inputs,
where it has them.
"""

import jax
import jax.numpy as jnp

from splitjax.attacks import conditioning
from splitjax.attacks import missing
from splitjax.attacks.evidence import Evidence
from splitjax.attacks.missing import Patterns
from splitjax.attacks.on_views import own_of
from splitjax.attacks.result import AttackResult
from splitjax.records.viewing import View
from splitjax.training.countering import Counter


def group(key: jax.Array, view: View, gradients: Evidence) -> Patterns | None:
  """Find which entries were sent, if own inputs can say more of them.

  Args:
    key: random key for the search for directions, and for the starts.
    view: what the attacker knows; auxiliary samples are not read.
    gradients: what gradients say before any label is known.

  Returns:
    The patterns; None where nothing is missing, or there are no inputs.
  """
  passes = own_of(view).passes
  if passes is None or passes.inputs is None:
    return None
  if Counter.MISSING not in passes.counters:
    return None
  vectors = gradients.passes
  return missing.patterns_of(
    key,
    jnp.where(jnp.isfinite(vectors), vectors, 0),
    num_classes=view.num_classes,
  )


def read(
  view: View,
  gradients: Evidence,
  patterns: Patterns | None,
  found: AttackResult,
) -> AttackResult:
  """Read patterns with own inputs, if there are any.

  Args:
    view: what the attacker knows.
    gradients: what gradients say before any label is known.
    patterns: from `group`.
    found: what gradients say alone.

  Returns:
    The result of `missing.read_missing`, or what gradients say alone.
  """
  own = own_of(view)
  if patterns is None:
    return found
  assert own.passes is not None and own.passes.inputs is not None
  assert own.aux_rows is not None
  finite = jnp.all(conditioning.finite_rows(gradients.passes), axis=0)
  result = missing.read_missing(
    found,
    patterns,
    own.passes.inputs,
    own.aux_rows,
    conditioning.name_finite(view.aux_labels, finite[own.aux_rows]),
    num_classes=view.num_classes,
  )
  labels = conditioning.name_finite(result.labels, finite)
  return result._replace(labels=labels)
