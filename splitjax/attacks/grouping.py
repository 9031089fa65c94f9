"""What attacks share that group samples first, and name the groups afterwards.

Gradients alone tell groups up to a permutation of the classes. Samples whose
labels the attacker knows take no part in the fit: they name the groups.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import surrogate
from splitjax.attacks import whole_rows
from splitjax.attacks.result import AttackResult
from splitjax.attacks.result import Groups


class Known(NamedTuple):
  """The auxiliary samples, or None three times if there are none.

  Attributes:
    smashed: smashed data of the auxiliary samples, `[A, D]`.
    cut_grads: cut gradients received for them, `[A, D]`.
    labels: their labels, `[A]`.
  """

  smashed: jax.Array | None
  cut_grads: jax.Array | None
  labels: jax.Array | None


class Prepared(NamedTuple):
  """What an attack fits to.

  Attributes:
    smashed: standardized smashed data, `[N, D]`.
    cut_grads: cut gradients, `[N, D]`.
    known: auxiliary samples.
    finite: which samples were finite, `[N]`; others stand in for the rest.
  """

  smashed: jax.Array
  cut_grads: jax.Array
  known: Known
  finite: jax.Array


def prepare(
  smashed: jax.Array,
  cut_grads: jax.Array,
  known: Known,
  hidden_sizes: tuple[int, ...],
  *,
  num_classes: int,
  num_restarts: int,
  **sizes: int,
) -> Prepared:
  """Check the arguments of an attack, and standardize smashed data.

  Others stand in for samples that are not finite, see `whole_rows.fill`.

  Args:
    smashed: smashed data, `[N, D]`.
    cut_grads: cut gradients received for them, `[N, D]`.
    known: the auxiliary samples, if any.
    hidden_sizes: widths of the linear layers inside the surrogate.
    num_classes: number of classes, at least 2.
    num_restarts: number of surrogates to try.
    **sizes: `num_epochs` and `batch_size`, see `surrogate.check`.

  Returns:
    Smashed data that is standardized, gradients, and the auxiliary samples with
    smashed data shifted and scaled by the same numbers.

  Raises:
    ValueError: if a shape, type or number is not as above, or if some but not
      all of `known` are None.
  """
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
    # pyrefly: ignore[bad-argument-type]
    _validate.labels_of('aux_labels', known.labels, known.smashed)
    aux = dict(aux_smashed=known.smashed, aux_cut_grads=known.cut_grads)
  # pyrefly: ignore[bad-argument-type]
  surrogate.check(smashed, cut_grads, hidden_sizes, **sizes, **aux)
  (smashed, cut_grads), finite = whole_rows.fill(smashed, cut_grads)
  if aux:
    # pyrefly: ignore[bad-argument-type]
    known = Known(*whole_rows.fill(*known)[0])
  smashed, aux_smashed = surrogate.standardize(
    smashed,
    # pyrefly: ignore[bad-argument-type]
    known.smashed if aux else smashed[:0],
  )
  known = known._replace(smashed=aux_smashed)
  return Prepared(smashed, cut_grads, known, finite)


def name_labels(
  logits: jax.Array,
  losses: jax.Array,
  top: surrogate.Layers,
  prepared: Prepared,
) -> AttackResult:
  """Name the groups that a fit found, by what its top model makes of the known.

  Without known samples a group has the class of its own number.

  Args:
    logits: logits of the groups, `[N, C]`.
    losses: mean loss of each epoch of the fit, `[T]`.
    top: fitted top model, whose outputs are the groups.
    prepared: what `prepare` returned.

  Returns:
    An `AttackResult` with labels, logits of the classes, losses and groups.
  """
  num_classes = logits.shape[1]
  names, known = jnp.arange(num_classes), prepared.known
  if known.labels is not None:
    found = surrogate.class_mismatches(
      top,
      # pyrefly: ignore[bad-argument-type]
      known.smashed,
      # pyrefly: ignore[bad-argument-type]
      surrogate.units_of(known.cut_grads),
    )
    names = name_groups(jnp.argmin(found, axis=1), known.labels, num_classes)
  assignments = jnp.argmax(logits, axis=1)
  return AttackResult(
    labels=conditioning.name_finite(names[assignments], prepared.finite),
    logits=logits[:, jnp.argsort(names)],
    losses=losses,
    groups=Groups(assignments, names),
  )


def name_groups(
  aux_groups: jax.Array, aux_labels: jax.Array, num_classes: int
) -> jax.Array:
  """Assign classes to groups so that most auxiliary samples agree.

  Args:
    aux_groups: group of each auxiliary sample, in `[0, C)`, `[A]`.
    aux_labels: label of each auxiliary sample, `[A]`; samples with a label
      outside of `[0, C)` are ignored.
    num_classes: number of classes and of groups `C`.

  Returns:
    The class of each group, a permutation of all classes, `[C]`. Groups without
    auxiliary samples get the classes left over, always in the same way.
  """
  votes = jax.nn.one_hot(aux_groups, num_classes).T @ jax.nn.one_hot(
    aux_labels, num_classes
  )
  rows, columns = optax.assignment.hungarian_algorithm(-votes)
  return jnp.zeros(num_classes, columns.dtype).at[rows].set(columns)
