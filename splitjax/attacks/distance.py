"""The distance attack: the label of the nearest auxiliary vector."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import similarity


@functools.partial(_kernel.jit, static_argnames=('metric', 'precision'))
def nearest_labels(
  vectors: jax.Array,
  aux_vectors: jax.Array,
  aux_labels: jax.Array,
  *,
  metric: str = 'cosine',
  precision: str = 'highest',
) -> jax.Array:
  """Label each vector as the auxiliary vector that is nearest to it.

  The Euclidean-distance attack of Liu et al.
  (https://arxiv.org/abs/2203.05222), one matrix product. The attacker knows
  the labels of the auxiliary vectors and nothing else. Of equally near
  auxiliary vectors the first counts; a zero vector has cosine 0 to all. A
  vector that is not finite gets no label, and an auxiliary one gives none.

  The cosine is that of the vectors as they are. Where these share an offset
  that is much larger than their differences, all cosines are almost 1; their
  order is found from vectors that the offset is subtracted from.

  Args:
    vectors: cut gradients or smashed data to label, `[N, D]`, with norms
      between 1e-30 and 1e30, and an offset of at most 1e6 times their spread.
    aux_vectors: cut gradients or smashed data of the auxiliary samples,
      `[A, D]`.
    aux_labels: labels of the auxiliary samples, integers, `[A]`.
    metric: how near vectors are, by 'cosine' or 'euclidean' distance.
    precision: precision of the factors of the product, 'highest', 'high' or
      'default'; below 'highest' a GPU may round float32 to TensorFloat32.

  Returns:
    Labels `[N]`, in the type of `aux_labels`; -1, the largest number of an
    unsigned type, for a vector that is not finite.

  Raises:
    ValueError: at trace time, if a shape, type or name is not as above.

  Example:
    >>> vectors = jnp.array([[2.0, 0.1], [-0.1, 5.0]])
    >>> nearest_labels(vectors, jnp.eye(2), jnp.array([7, 3])).tolist()
    [7, 3]
  """
  _validate.known_samples(vectors, aux_vectors, aux_labels)
  _validate.choice('metric', metric, similarity.METRICS)
  _validate.choice('precision', precision, similarity.PRECISIONS)

  known = _read(aux_vectors, metric)
  find = functools.partial(similarity.largest_product, precision=precision)

  def find_far() -> tuple[jax.Array, jax.Array]:
    points, targets = _around_zero(vectors, known, metric)
    nearest, value = find(points, *targets)
    first = jnp.argmax(known.finite).astype(nearest.dtype)
    return jnp.where(_is_zero(vectors, metric), first, nearest), value

  nearest, value = jax.lax.cond(
    known.is_far,
    find_far,
    lambda: find(vectors, *_targets(known, metric)),
  )
  # No product with a row that is not finite is finite.
  return conditioning.name_finite(aux_labels[nearest], jnp.isfinite(value))


@functools.partial(_kernel.jit, static_argnames=('num_classes', 'metric'))
def nearest_scores(
  vectors: jax.Array,
  aux_vectors: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
  metric: str = 'cosine',
) -> jax.Array:
  """Score each class by its auxiliary vector that is nearest to a vector.

  The class with the largest score is the label of `nearest_labels`.

  Args:
    vectors: cut gradients or smashed data to score, `[N, D]`.
    aux_vectors: cut gradients or smashed data of the auxiliary samples,
      `[A, D]`.
    aux_labels: labels of the auxiliary samples in `[0, C)`, `[A]`; samples with
      any other label are ignored.
    num_classes: number of classes `C`.
    metric: how near vectors are, by 'cosine' or 'euclidean' distance.

  Returns:
    Scores `[N, C]` in float32 or wider: the largest cosine to an auxiliary
    vector of the class, or a number that ranks as minus the smallest Euclidean
    distance; minus infinity for a class without auxiliary vectors, and NaN for
    a vector that is not finite. Where all vectors share an offset of more than
    32 times their spread, the cosine to a direction amid them is subtracted:
    all would be 1 in float32.

  Raises:
    ValueError: at trace time, if a shape, type or name is not as above.

  Example:
    >>> vectors = jnp.array([[0.0, 5.0], [3.0, 0.0]])
    >>> nearest_scores(
    ...   vectors, jnp.eye(2), jnp.array([1, 0]), num_classes=2
    ... ).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
  """
  _validate.known_samples(vectors, aux_vectors, aux_labels)
  _validate.choice('metric', metric, similarity.METRICS)
  _validate.count('num_classes', num_classes)
  known = _read(aux_vectors, metric)

  def score(
    points: jax.Array, targets: tuple[jax.Array, jax.Array]
  ) -> jax.Array:
    rows, offsets = targets
    return similarity.inner_products(points, rows) - offsets[None]

  def score_far() -> jax.Array:
    scores = score(*_around_zero(vectors, known, metric))
    if metric == 'cosine':
      scores = scores + _common_cosine(vectors, known)[:, None]
    zero = jnp.where(known.finite, 0, -jnp.inf)[None]
    return jnp.where(_is_zero(vectors, metric)[:, None], zero, scores)

  def score_near() -> jax.Array:
    scores = score(vectors, _targets(known, metric))
    if metric == 'euclidean':
      return scores
    return conditioning.divide_by_length(scores, vectors)

  scores = jax.lax.cond(known.is_far, score_far, score_near)
  # A label outside of [0, C) is that of no class.
  classes = jnp.where(
    (aux_labels >= 0) & (aux_labels < num_classes), aux_labels, num_classes
  )
  best = jax.ops.segment_max(scores.T, classes, num_classes).T
  finite = jnp.any(jnp.isfinite(scores), axis=1)[:, None]
  return jnp.where(finite, best, jnp.nan)


class _Known(NamedTuple):
  """The auxiliary vectors.

  Attributes:
    rows: the vectors, times a power of two or scaled to length 1; 0 where they
      are not finite, `[A, D]`.
    finite: whether each is, `[A]`.
    unit: the power of two, a scalar.
    mean: mean of the rows, `[D]`.
    is_far: whether they lie far from 0, a scalar.
  """

  rows: jax.Array
  finite: jax.Array
  unit: jax.Array
  mean: jax.Array
  is_far: jax.Array


def _read(aux_vectors: jax.Array, metric: str) -> _Known:
  """Bring auxiliary vectors to about unit size."""
  rows = similarity.to_accumulator(aux_vectors)
  largest = jnp.max(jnp.abs(rows), axis=1)
  finite = jnp.isfinite(largest)
  unit = jnp.ones((), rows.dtype)
  if metric == 'cosine':
    rows = similarity.unit_normalize(rows)
  else:
    unit = conditioning.power_of_two(jnp.max(jnp.where(finite, largest, 0)))
    rows = rows * unit
  rows = jnp.where(finite[:, None], rows, 0)
  mean, is_far = conditioning.centre_of(rows, finite)
  return _Known(rows, finite, unit, mean, conditioning.is_any(is_far))


def _targets(known: _Known, metric: str) -> tuple[jax.Array, jax.Array]:
  """Return targets and offsets whose products with vectors rank by nearness.

  Vectors are multiplied as they are, whatever their size: both sides of the
  comparison are divided by the size of the targets.
  """
  if metric == 'cosine':
    # The length of a vector does not change which cosine is the largest.
    offsets = jnp.zeros_like(known.unit)
    return known.rows, jnp.where(known.finite, offsets, jnp.inf)
  targets, offsets = similarity.shift(known.rows, known.mean)
  return _without_unknown(targets, offsets / known.unit, known.finite)


def _around_zero(
  vectors: jax.Array, known: _Known, metric: str
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  """Return vectors moved to 0, and targets and offsets to compare them with."""
  points = similarity.to_accumulator(vectors)
  if metric == 'cosine':
    points = similarity.unit_normalize(points)
  points = points * known.unit
  finite = jnp.all(jnp.isfinite(points), axis=1)
  # Of the vectors, which are the same for all draws of auxiliary ones.
  amid = jnp.sum(jnp.where(finite[:, None], points, 0), axis=0)
  amid = amid / jnp.maximum(jnp.sum(finite), 1)
  targets = known.rows - amid[None]
  targets, offsets = similarity.shift(targets, known.mean - amid)
  targets = _without_unknown(targets, offsets, known.finite)
  return points - amid[None], targets


def _common_cosine(vectors: jax.Array, known: _Known) -> jax.Array:
  """Return what scores around zero lack to be cosines, `[N]`.

  It is 0 where the vectors lie far from 0, too: a cosine of almost 1 would
  leave nothing of what is added to it.
  """
  units = similarity.unit_normalize(similarity.to_accumulator(vectors))
  finite = conditioning.finite_rows(units)
  counted = jnp.where(finite[:, None], units, 0)
  is_far = conditioning.is_any(conditioning.centre_of(counted, finite)[1])
  to_mean = similarity.inner_products(units, known.mean[None])[:, 0]
  return jnp.where(is_far, 0, to_mean + (1 - jnp.sum(known.mean**2)) / 2)


def _without_unknown(
  targets: jax.Array, offsets: jax.Array, finite: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Put targets that are not finite infinitely far away."""
  targets = jnp.where(finite[:, None], targets, 0)
  return targets, jnp.where(finite, offsets, jnp.inf)


def _is_zero(vectors: jax.Array, metric: str) -> jax.Array:
  """Return which vectors have the same cosine to all, `[N]`."""
  if metric == 'euclidean':
    return jnp.zeros(len(vectors), bool)
  return jnp.all(vectors == 0, axis=1)
