"""What attacks share that group samples first, and name the groups afterwards.

Gradients alone tell groups up to a permutation of the classes. Samples whose
labels the attacker knows take no part in the fit: they name the groups.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import _validate
from splitjax.attacks import surrogate
from splitjax.attacks.result import AttackResult
from splitjax.attacks.result import Groups


class Known(NamedTuple):
  """Auxiliary samples `[A, D]`, `[A, D]` and `[A]`; None if there are none."""

  smashed: jax.Array | None
  cut_grads: jax.Array | None
  labels: jax.Array | None


def prepare(
  smashed: jax.Array,
  cut_grads: jax.Array,
  known: Known,
  hidden_sizes: tuple[int, ...],
  *,
  num_classes: int,
  num_restarts: int,
  **sizes: int,
) -> tuple[jax.Array, Known]:
  """Checks the arguments, `sizes` as `surrogate.check`, and standardizes."""
  _validate.count('num_classes', num_classes, at_least=2)
  _validate.count('num_restarts', num_restarts)
  given = [x is not None for x in known]
  aux = {}
  if any(given):
    if not all(given):
      raise ValueError(
        'aux_smashed, aux_cut_grads and aux_labels must be given together, got '
        f'{given}.'
      )
    _validate.labels_of('aux_labels', known.labels, known.smashed)
    aux = dict(aux_smashed=known.smashed, aux_cut_grads=known.cut_grads)
  surrogate.check(smashed, cut_grads, hidden_sizes, **sizes, **aux)
  smashed, aux_smashed = surrogate.standardize(
    smashed, aux.get('aux_smashed', smashed[:0])
  )
  return smashed, known._replace(smashed=aux_smashed)


def name_labels(
  logits: jax.Array, losses: jax.Array, top: surrogate.Layers, known: Known
) -> AttackResult:
  """Labels by logits of groups `[N, C]`, and by what `top` makes of the known.

  Without known samples a group has the class of its number.
  """
  num_classes = logits.shape[1]
  names = jnp.arange(num_classes)
  if known.labels is not None:
    found = surrogate.class_mismatches(
      top, known.smashed, surrogate.units_of(known.cut_grads)
    )
    names = name_groups(jnp.argmin(found, axis=1), known.labels, num_classes)
  assignments = jnp.argmax(logits, axis=1)
  return AttackResult(
    labels=names[assignments],
    logits=logits[:, jnp.argsort(names)],
    losses=losses,
    groups=Groups(assignments, names),
  )


def name_groups(
  aux_groups: jax.Array, aux_labels: jax.Array, num_classes: int
) -> jax.Array:
  """The class of each group, `[C]`, that most auxiliary samples agree with.

  One to one; groups without auxiliary samples get the classes left over.
  """
  votes = jax.nn.one_hot(aux_groups, num_classes).T @ jax.nn.one_hot(
    aux_labels, num_classes
  )
  rows, columns = optax.assignment.hungarian_algorithm(-votes)
  return jnp.zeros(num_classes, columns.dtype).at[rows].set(columns)
