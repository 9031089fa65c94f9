"""The distance attack: the label of the nearest auxiliary vector."""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _validate
from splitjax.attacks import similarity


@functools.partial(jax.jit, static_argnames=('metric', 'precision'))
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
  auxiliary vectors the first counts; a zero vector has cosine 0 to all.

  Args:
    vectors: cut gradients or smashed data to label, `[N, D]`; they are not
      rescaled, so their norms should lie between 1e-30 and 1e30.
    aux_vectors: cut gradients or smashed data of the auxiliary samples,
      `[A, D]`.
    aux_labels: labels of the auxiliary samples, integers, `[A]`.
    metric: how near vectors are, by 'cosine' or 'euclidean' distance.
    precision: precision of the factors of the product, 'highest', 'high' or
      'default'; below 'highest' a GPU may round float32 to TensorFloat32.

  Returns:
    Labels `[N]`, in the type of `aux_labels`.

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
  targets, offsets = _targets(aux_vectors, metric)
  nearest, _ = similarity.largest_product(vectors, targets, offsets, precision)
  return aux_labels[nearest]


@functools.partial(jax.jit, static_argnames=('num_classes', 'metric'))
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
    aux_labels: labels of the auxiliary samples in `[0, C)`, `[A]`.
    num_classes: number of classes `C`.
    metric: how near vectors are, by 'cosine' or 'euclidean' distance.

  Returns:
    Scores `[N, C]` in float32 or wider: the largest cosine to an auxiliary
    vector of the class, or a number that ranks as minus the smallest Euclidean
    distance; minus infinity for a class without auxiliary vectors.

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
  targets, offsets = _targets(aux_vectors, metric)
  scores = similarity.inner_products(vectors, targets) - offsets[None]
  if metric == 'cosine':
    wide = similarity.to_accumulator(vectors)
    lengths = jnp.linalg.norm(wide, axis=1, keepdims=True)
    scores = scores / jnp.where(lengths > 0, lengths, 1)
  return jax.ops.segment_max(scores.T, aux_labels, num_classes).T


def _targets(
  aux_vectors: jax.Array, metric: str
) -> tuple[jax.Array, jax.Array]:
  """Return targets and offsets whose products rank by nearness."""
  targets = similarity.to_accumulator(aux_vectors)
  if metric == 'cosine':
    # The length of a vector does not change which cosine is the largest.
    return similarity.unit_normalize(targets), jnp.zeros_like(targets[:, 0])
  return similarity.shift(targets, jnp.mean(targets, axis=0))
