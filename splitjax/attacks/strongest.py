"""The strongest attacker on record: several candidates, picked without truth.

It groups samples without any label, in ways that survive noise, wide cuts,
turning directions and known defenses; keeps the grouping that foretells the
vectors best; and lets the known samples name the groups. No label that is to be
found takes part.

In shape descriptions `T` is the number of passes, `N` that of samples, `D` the
width of the cut, `A` the number of auxiliary samples and `C` that of classes.
"""

from collections.abc import Sequence
import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks.adapting import Draws
from splitjax.attacks.evidence import gradient_evidence
from splitjax.attacks.evidence import similarity_evidence
from splitjax.attacks.reading import read_evidence
from splitjax.attacks.result import AttackResult
from splitjax.training.countering import Channel
from splitjax.training.countering import Counter


@functools.partial(_kernel.jit, static_argnames='num_classes')
def similarity_labels(
  key: jax.Array,
  vectors: jax.Array,
  aux_rows: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
) -> AttackResult:
  """Label vectors by the best of several groupings.

  Two are the nearest auxiliary vector (`nearest_labels`) and K-means from these
  (`cluster_labels`). The others are the best of twelve K-means runs in the
  strongest directions (`denoise`), of scaled coordinates and of unscaled ones,
  whose members are then moved to the group that is nearest without themselves,
  and whose groups the auxiliary samples name together. Kept is the grouping
  whose members lie nearest to their own group, compared with the others
  (`leave_one_out.margin`).

  Args:
    key: random key for the search for directions, and for the starts.
    vectors: cut gradients or smashed data, the auxiliary samples' too, `[N,
      D]`.
    aux_rows: rows of the auxiliary samples, `[A]`.
    aux_labels: labels of the auxiliary samples, `[A]`.
    num_classes: number of classes `C`.

  Returns:
    An `AttackResult` with labels (-1 for none), logits, groups and `chosen`.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> vectors = jnp.array([[9.0, 1.0], [-9.0, 1.0], [7.0, 0.0], [-8.0, 0.0]])
    >>> similarity_labels(
    ...   jax.random.key(0), vectors, jnp.array([0, 1]), jnp.array([1, 0]),
    ...   num_classes=2,
    ... ).labels.tolist()
    [1, 0, 1, 0]
  """
  _check(vectors, aux_rows, aux_labels, num_classes)
  evidence = similarity_evidence(key, vectors, num_classes=num_classes)
  return read_evidence(evidence, aux_rows, aux_labels, num_classes=num_classes)


@functools.partial(
  _kernel.jit, static_argnames=('num_classes', 'counters', 'fresh')
)
def gradient_labels(
  key: jax.Array,
  passes: jax.Array,
  draws: Draws,
  aux_rows: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
  counters: Sequence[Counter] = (),
  channel: Channel | None = None,
  fresh: bool = False,
  sent: jax.Array | None = None,
) -> AttackResult:
  """Label samples by their cut gradients of one pass or of several.

  The defense at work is known. What can be undone of it is undone (`counters`);
  one pass is then read as `similarity_labels` does. Several passes are a
  mixture whose means may turn (`passes.fit`), started from the groups of the
  first pass, from these carried on from pass to pass, and from the passes'
  average; the likeliest fit is kept. Labels that are drawn anew in every pass
  put a sample into another group each time: its groups are votes. A known
  channel of the labels is inverted with its prior.

  Args:
    key: random key for the search for directions, and for the starts.
    passes: cut gradients of each pass, rows in the same order, `[T, N, D]`.
    draws: steps, and partners and weights where samples were mixed.
    aux_rows: rows of the auxiliary samples, `[A]`.
    aux_labels: labels of the auxiliary samples, `[A]`.
    num_classes: number of classes `C`.
    counters: what to undo.
    channel: the mechanism that labels went through, if there is one.
    fresh: whether it draws labels anew in every pass.
    sent: smashed data that a single pass answers, `[N, D]`, if known; late in a
      training it says what gradients alone do not, see `gradient_evidence`.

  Returns:
    An `AttackResult` with labels (-1 for none), logits, groups and `chosen`.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> passes = jnp.array([[[9.0, 1.0], [-9.0, 1.0], [7.0, 0.0]]] * 2)
    >>> draws = Draws(steps=jnp.zeros((2, 3), int))
    >>> gradient_labels(
    ...   jax.random.key(0), passes, draws, jnp.array([0, 1]),
    ...   jnp.array([1, 0]), num_classes=2,
    ... ).labels.tolist()
    [1, 0, 1]
  """
  _check(passes[0], aux_rows, aux_labels, num_classes)
  evidence = gradient_evidence(
    key,
    passes,
    draws,
    num_classes=num_classes,
    counters=counters,
    channel=channel,
    fresh=fresh,
    sent=sent,
  )
  return read_evidence(
    evidence, aux_rows, aux_labels, num_classes=num_classes, channel=channel
  )


def _check(
  vectors: jax.Array,
  aux_rows: jax.Array,
  aux_labels: jax.Array,
  num_classes: int,
) -> None:
  """Check the arguments of an attack."""
  _validate.matrices(vectors=vectors)
  _validate.automatic(vectors=vectors)
  _validate.count('num_classes', num_classes, at_least=2, at_most=len(vectors))
  _validate.labels_of('aux_labels', aux_labels, aux_rows)
  if not jnp.issubdtype(aux_rows.dtype, jnp.integer):
    raise ValueError(f'aux_rows must be integers, got {aux_rows.dtype}.')
