"""Gradients of which most entries were not sent, read with own inputs.

Where few entries of a gradient are sent, a class shows in several patterns:
which of its largest entries was sent. The known samples name their own patterns
alone. What the others have in common with them is the inputs, which whoever
receives the gradients has. A sample of which nothing was sent is of a class of
which little was sent, and only its inputs say more.

In shape descriptions `T` is the number of passes, `N` that of samples, `P` the
width of an input, `G` the number of patterns, `A` the number of auxiliary
samples and `C` that of classes.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import conditioning
from splitjax.attacks import denoising
from splitjax.attacks import groupings
from splitjax.attacks import leave_one_out
from splitjax.attacks import similarity
from splitjax.attacks.groupings import Known
from splitjax.attacks.result import AttackResult
from splitjax.attacks.result import Groups

_PATTERNS_A_CLASS = 4
_LEAST_MEMBERS = 8  # Of a pattern, on average.
_NUM_ITERS = 30
_PRIOR = 0.5  # Samples that every class has, spread over all patterns.
# How far above chance the samples of a pattern have to agree on a class, by
# their inputs; else these do not tell the classes.
_LEAST_AGREEMENT = 1 / 3
# If as many entries of a gradient are sent, those of a class share some, and
# gradients alone say more than inputs do.
_MANY_ENTRIES = 3
_FAR = 1e9
_TIES = 0.1
_SHIFTS = (1, 2, 3, 5, 8, 13, 21, 34)  # Pairs whose inputs are compared.


class Patterns(NamedTuple):
  """What of each gradient was sent, as groups that are finer than classes.

  Attributes:
    groups: pattern of each sample in each pass, the last one for samples of
      which nothing was sent, `[T, N]`.
    silent: whether nothing was sent of a sample in any pass, `[N]`.
    num_entries: how many entries are sent in the first pass, on average over
      the samples of which any are, a scalar.
  """

  groups: jax.Array
  silent: jax.Array
  num_entries: jax.Array


def patterns_of(
  key: jax.Array, passes: jax.Array, *, num_classes: int
) -> Patterns:
  """Group each pass's gradients more finely than by class.

  Args:
    key: random key for the search for directions, and for the starts.
    passes: cut gradients of each pass, `[T, N, D]`.
    num_classes: number of classes, `C`.

  Returns:
    The patterns: four times as many as classes, and fewer where samples are
    few.

  Example:
    >>> passes = jnp.array([[[9.0], [-9.0], [0.0], [7.0], [0.0], [-8.0]]])
    >>> found = patterns_of(jax.random.key(0), passes, num_classes=2)
    >>> found.silent.tolist()
    [False, False, True, False, True, False]
  """
  number = _number_of(passes.shape[1], num_classes)

  def one_pass(vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
    key_directions, key_starts = jax.random.split(key)
    points = denoising.denoise(
      key_directions, vectors, num_classes=num_classes, scaled=False
    ).points
    silent = ~jnp.any(vectors != 0, axis=1)
    found = groupings.best_start(key_starts, points, number)
    return jnp.where(silent, number, found), silent

  groups, silent = jax.lax.map(one_pass, passes)
  some = jnp.maximum(jnp.sum(~silent[0]), 1)
  num_entries = jnp.sum(passes[0] != 0) / some
  return Patterns(groups, jnp.all(silent, axis=0), num_entries)


def _number_of(num_samples: int, num_classes: int) -> int:
  """Return how many patterns there are, but for the last one."""
  most = max(num_samples // _LEAST_MEMBERS, num_classes)
  return min(_PATTERNS_A_CLASS * num_classes, most)


@functools.partial(_kernel.jit, static_argnames='num_classes')
def read_missing(
  found: AttackResult,
  patterns: Patterns,
  inputs: jax.Array,
  aux_rows: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
) -> AttackResult:
  """Let patterns and own inputs say the class together.

  A mixture is fitted by EM: each class has shares of the patterns in each pass,
  and a mean of the inputs. Where something was sent, all inputs together weigh
  as much as one coordinate would, so that the samples of a pattern vote on its
  class; where nothing was, they weigh as many as vary independently. The start
  is the known sample that is nearest by inputs. It is fitted once as it is, and
  once with the labels that gradients gave alone held where something was sent;
  the labels that foretell the inputs better are taken. The known samples name
  the classes together, by their patterns where there are any.

  Where the samples of a pattern do not agree on a class at the start, inputs
  say nothing of classes, and gradients are read alone; so they are where three
  entries of a gradient or more are sent.

  Args:
    found: what gradients say alone.
    patterns: what was sent of each sample, from `patterns_of`.
    inputs: the attacker's own inputs, flattened, `[N, P]`.
    aux_rows: rows of the auxiliary samples, `[A]`.
    aux_labels: labels of the auxiliary samples; one that is out of range is not
      known, `[A]`.
    num_classes: number of classes, `C`.

  Returns:
    Labels, logits, groups and `chosen`.
  """
  known = Known(aux_rows, aux_labels, num_classes)
  points = _around_zero(inputs)
  sent = ~patterns.silent
  weights = jnp.where(patterns.silent, _num_independent(points), 1)
  number = _number_of(len(points), num_classes)
  shown = jax.nn.one_hot(patterns.groups, number + 1, dtype=points.dtype)
  # Of what is nothing sent early: of a class; later of samples that are easy.
  shown = shown.at[1:, :, number].set(0)
  start = _nearest_known(points, known)
  alone = jnp.where(sent & (found.labels >= 0), found.labels, start)
  starts = jnp.stack([start, alone.astype(start.dtype)])
  held = jnp.stack([jnp.zeros_like(sent), sent])

  def fit(args: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    logits = _fit(shown, points, weights, known, *args)
    labels = jnp.argmax(logits, axis=1)
    return logits, _explained(points, labels, sent, num_classes)

  logits, shares = jax.lax.map(fit, (starts, held))
  logits = jnp.where(shares[0] > shares[1], logits[0], logits[1])
  labels = jnp.argmax(logits, axis=1).astype(found.labels.dtype)
  names = jnp.arange(num_classes, dtype=labels.dtype)
  joint = found._replace(
    labels=labels,
    logits=logits,
    groups=Groups(labels, names),
    chosen=jnp.int32(groupings.CANDIDATES.index('inputs')),
  )
  # In the first pass classes differ most.
  agreement = _agreement(patterns.groups[0], start, number, num_classes)
  usable = agreement > _LEAST_AGREEMENT
  usable &= patterns.num_entries < _MANY_ENTRIES
  return groupings.where(usable, joint, found)


def _around_zero(inputs: jax.Array) -> jax.Array:
  """Return inputs of one scale around 0; what is not finite is 0."""
  wide = similarity.to_accumulator(inputs)
  found = conditioning.condition(wide, 'euclidean')
  return jnp.where(found.finite[:, None], found.points - found.mean[None], 0)


def _num_independent(points: jax.Array) -> jax.Array:
  """Return how many coordinates of equal variance would vary as these do.

  The square of the covariance's trace over the trace of its square, which is
  the mean square of the products of two samples.
  """
  total = jnp.mean(jnp.sum(points**2, axis=1))
  squares = [
    jnp.mean(jnp.sum(points * jnp.roll(points, by, axis=0), axis=1) ** 2)
    for by in _SHIFTS
  ]
  square = sum(squares) / len(_SHIFTS)
  return jnp.maximum(total**2 / jnp.maximum(square, 1e-30), 1)


def _nearest_known(points: jax.Array, known: Known) -> jax.Array:
  """Return the class of the nearest mean of known samples, by inputs, `[N]`."""
  of_class = jax.nn.one_hot(known.labels, known.num_classes, dtype=points.dtype)
  sums, sizes = leave_one_out.sums_of(points[known.rows], of_class)
  means = sums / jnp.maximum(sizes, 1)[:, None]
  far = _distances(points, means)
  return jnp.argmin(jnp.where(sizes[None] > 0, far, jnp.inf), axis=1)


def _agreement(
  groups: jax.Array, labels: jax.Array, silent: int, num_classes: int
) -> jax.Array:
  """Return how far the samples of patterns agree on a class, 0 for chance.

  Args:
    groups: pattern of each sample, `[N]`.
    labels: class of each by its inputs, `[N]`.
    silent: the pattern of those of which nothing was sent, which do not count.
    num_classes: number of classes.

  Returns:
    The share of samples that are of the most frequent class of their pattern,
    scaled so that the share of the most frequent class of all is 0, and 1 is 1.
  """
  # Of each pattern but the last one, which one-hot leaves out.
  members = jax.nn.one_hot(groups, silent)
  counts = members.T @ jax.nn.one_hot(labels, num_classes)  # [G, C]
  total = jnp.maximum(jnp.sum(counts), 1)
  share = jnp.sum(jnp.max(counts, axis=1)) / total
  chance = jnp.max(jnp.sum(counts, axis=0)) / total
  return (share - chance) / jnp.maximum(1 - chance, 1e-6)


def _distances(points: jax.Array, means: jax.Array) -> jax.Array:
  """Return squared distances, `[N, C]`."""
  squares = jnp.sum(points**2, axis=1, keepdims=True)
  cross = similarity.inner_products(points, means)
  return squares - 2 * cross + jnp.sum(means**2, axis=1)[None]


def _fit(
  patterns: jax.Array,
  points: jax.Array,
  weights: jax.Array,
  known: Known,
  start: jax.Array,
  held: jax.Array,
) -> jax.Array:
  """Fit the mixture, and return log-likelihoods of the classes, `[N, C]`."""
  fixed = jax.nn.one_hot(start, known.num_classes, dtype=points.dtype)

  def score(members: jax.Array) -> tuple[jax.Array, jax.Array]:
    sums, sizes = leave_one_out.sums_of(points, members)
    means = sums / jnp.maximum(sizes, 1e-6)[:, None]
    far = _distances(points, means)
    spread = jnp.maximum(jnp.sum(members * far) / len(points), 1e-30)
    counts = jnp.einsum('nc,tng->tcg', members, patterns)
    counts = counts + _PRIOR / patterns.shape[-1]
    shares = jnp.log(counts / jnp.sum(counts, axis=-1, keepdims=True))
    by_patterns = jnp.einsum('tng,tcg->nc', patterns, shares)
    # Samples that are held stay in their class.
    by_patterns -= _FAR * (held[:, None] & (fixed == 0))
    return by_patterns, -weights[:, None] * far / (2 * spread)

  def move(_: jax.Array, members: jax.Array) -> jax.Array:
    return jax.nn.softmax(sum(score(members)))

  by_patterns, by_inputs = score(jax.lax.fori_loop(0, _NUM_ITERS, move, fixed))
  # Inputs may have misled the start, so that known samples name by patterns:
  # by inputs only where nothing was sent, and where patterns say the same.
  trust = jnp.where(weights > 1, 1, _TIES)[known.rows, None]
  costs = -by_patterns[known.rows] - trust * by_inputs[known.rows]
  names = leave_one_out.name(costs, known.labels, known.num_classes)
  return (by_patterns + by_inputs)[:, jnp.argsort(names)]


def _explained(
  points: jax.Array, labels: jax.Array, sent: jax.Array, num_classes: int
) -> jax.Array:
  """Return what labels foretell of the inputs of samples that were sent."""
  counted = jnp.where(sent[:, None], points, 0)
  mean = jnp.sum(counted, axis=0) / jnp.maximum(jnp.sum(sent), 1)
  counted = jnp.where(sent[:, None], points - mean[None], 0)
  # One group more for those that do not count, whose points are 0.
  of_sent = jnp.where(sent, labels, num_classes)
  return leave_one_out.explained(counted, of_sent, num_classes + 1)
