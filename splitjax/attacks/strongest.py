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

from splitjax.attacks import _validate
from splitjax.attacks import adapting
from splitjax.attacks import groupings
from splitjax.attacks import passes as over_passes
from splitjax.attacks import similarity
from splitjax.attacks import spectral
from splitjax.attacks.adapting import Draws
from splitjax.attacks.groupings import Grouping
from splitjax.attacks.groupings import Known
from splitjax.attacks.result import AttackResult
from splitjax.training.countering import Channel
from splitjax.training.countering import Counter

_LEAST_PROBABILITY = 1e-6


@functools.partial(jax.jit, static_argnames='num_classes')
def similarity_labels(
  key: jax.Array,
  vectors: jax.Array,
  aux_rows: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
) -> AttackResult:
  """Label vectors by the better of two groupings.

  One is K-means from the auxiliary vectors (`cluster_labels`). The other is the
  best of twelve K-means runs in the strongest directions (`denoise`), whose
  members are then moved to the group that is nearest without themselves, and
  whose groups the auxiliary samples name together. Kept is the grouping that
  foretells the vectors better, each from the others (`explained`).

  Args:
    key: random key for the search for directions, and for the starts.
    vectors: cut gradients or smashed data, the auxiliary samples' too, `[N,
      D]`.
    aux_rows: rows of the auxiliary samples, `[A]`.
    aux_labels: labels of the auxiliary samples, `[A]`.
    num_classes: number of classes `C`.

  Returns:
    An `AttackResult` with labels, logits, groups and `chosen`.

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
  _, found = groupings.denoised(key, vectors, num_classes)
  # Gradients differ by class before all else, so that the groups that explain
  # most are the classes. Other vectors differ in much else, which scaled
  # coordinates overrate: they are compared as they are.
  plain = similarity.unit_normalize(similarity.to_accumulator(vectors))
  plain = plain - jnp.mean(plain, axis=0, keepdims=True)
  return groupings.better(
    plain, vectors, found, Known(aux_rows, aux_labels, num_classes)
  )


@functools.partial(
  jax.jit, static_argnames=('num_classes', 'counters', 'fresh')
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

  Returns:
    An `AttackResult` with labels, logits, groups and `chosen`.

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
  key_adapt, key = jax.random.split(key)
  known = Known(aux_rows, aux_labels, num_classes)
  passes = adapting.adapt(
    key_adapt, passes, draws, counters, num_classes=num_classes
  )
  units, first = groupings.denoised(key, passes[0], num_classes)
  if channel is not None and fresh and len(passes) > 1:
    drawn = over_passes.carry_on(
      _points_of(key, passes), first.groups, num_classes
    )
    return _voted(drawn, channel, known)
  if len(passes) == 1:
    found = groupings.better(units, passes[0], first, known)
  else:
    several = _over_passes(key, passes, first.groups, num_classes)
    found = groupings.named(several, known, 'passes')
    found = found._replace(confidence=_probability(found))
  if channel is None:
    return found
  assert found.groups is not None
  return _decode(found, found.groups.assignments[None], channel)


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


def _points_of(key: jax.Array, passes: jax.Array) -> jax.Array:
  """Return each pass's unit vectors, along few directions, `[T, N, k]`."""
  units = jax.vmap(similarity.unit_normalize)(passes)
  if units.shape[-1] <= over_passes.MOST_COORDINATES:
    return units

  def along(x: jax.Array) -> jax.Array:
    directions = spectral.top_directions(
      key, x, num_directions=over_passes.MOST_COORDINATES
    )
    return similarity.inner_products(x, directions)

  return jax.lax.map(along, units)


def _over_passes(
  key: jax.Array, passes: jax.Array, first: jax.Array, num_classes: int
) -> Grouping:
  """Return the likeliest groups over all passes."""
  points = _points_of(key, passes)
  num_passes = len(passes)
  units = jax.vmap(similarity.unit_normalize)(passes)
  mean_squares = jnp.mean(jnp.sum(passes**2, axis=-1), axis=-1)
  scales = jnp.sqrt(jnp.where(mean_squares > 0, mean_squares, 1))
  means = [
    jnp.mean(units, axis=0),
    jnp.mean(passes / scales[:, None, None], axis=0),
  ]
  alone = [
    first,
    *(groupings.denoised(key, x, num_classes)[1].groups for x in means),
  ]
  starts = [
    jnp.broadcast_to(x, (num_passes, len(x))).astype(jnp.int32) for x in alone
  ]
  carried = over_passes.carry_on(points, first, num_classes)
  starts.append(carried.astype(jnp.int32))
  found = over_passes.best_fit(points, jnp.stack(starts), num_classes)
  costs = -found.log_likelihoods
  return Grouping(jnp.argmin(costs, axis=1), costs)


def _voted(drawn: jax.Array, channel: Channel, known: Known) -> AttackResult:
  """Name the groups that labels fell into pass by pass, and decode them.

  Args:
    drawn: group of each sample in each pass, `[T, N]`.
    channel: how labels were drawn.
    known: the auxiliary samples.

  Returns:
    What the votes say.
  """
  num_classes = known.num_classes
  # Which group is which class is not known yet: all but the same are alike.
  kept = jnp.sum(channel.prior * jnp.diagonal(channel.probabilities))
  kept = jnp.clip(kept, 1 / num_classes, 1 - _LEAST_PROBABILITY)
  other = (1 - kept) / (num_classes - 1)
  votes = jnp.sum(jax.nn.one_hot(drawn, num_classes), axis=0)
  costs = -votes * jnp.log(kept / other)
  found = Grouping(jnp.argmin(costs, axis=1), costs)
  named = groupings.named(found, known, 'votes')
  decoded = _decode(named._replace(confidence=jnp.ones(())), drawn, channel)
  return decoded._replace(confidence=_probability(decoded))


def _decode(
  found: AttackResult, drawn: jax.Array, channel: Channel
) -> AttackResult:
  """Return the likeliest true labels, given labels that were released.

  Args:
    found: names of the groups.
    drawn: group of each sample in each draw, `[T, N]`.
    channel: how labels were drawn.

  Returns:
    The result with the labels that the channel and its prior make likeliest.
  """
  assert found.groups is not None and found.logits is not None
  released = found.groups.labels[drawn]
  least = _LEAST_PROBABILITY
  log_channel = jnp.log(jnp.maximum(channel.probabilities, least))
  log_prior = jnp.log(jnp.maximum(channel.prior, least))
  logits = log_prior[None] + jnp.sum(log_channel.T[released], axis=0)
  # What the gradients say beside decides among equals.
  spread = jnp.max(jnp.abs(found.logits))
  logits += 1e-3 * found.logits / jnp.where(spread > 0, spread, 1)
  labels = jnp.argmax(logits, axis=1).astype(found.labels.dtype)
  # Sure of a released label, it is as sure of the true one as labels are kept.
  assert found.confidence is not None
  kept = jnp.sum(channel.prior * jnp.diagonal(channel.probabilities))
  confidence = found.confidence * kept
  return found._replace(labels=labels, logits=logits, confidence=confidence)


def _probability(found: AttackResult) -> jax.Array:
  """Return how probable the labels are, on average."""
  assert found.logits is not None
  return jnp.mean(jnp.max(jax.nn.softmax(found.logits), axis=1))
