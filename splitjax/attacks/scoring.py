"""Attacks on two classes that score each gradient: its norm, its direction.

Of Li et al. (https://arxiv.org/abs/2102.08504). They are passive, and know some
labelled samples; a threshold on the scores makes labels.
"""

import jax
import jax.numpy as jnp

from splitjax.attacks import _validate
from splitjax.attacks import similarity


@jax.jit
def norm_scores(
  vectors: jax.Array, aux_vectors: jax.Array, aux_labels: jax.Array
) -> jax.Array:
  """How much longer a gradient is than half way between the two classes.

  A gradient is the longer, the more wrong the model is, and it is mostly wrong
  about the rarer class. Which of the two that is, the known samples tell.

  Args:
    vectors: cut gradients, `[N, D]`.
    aux_vectors: those of the known samples, of both classes, `[A, D]`.
    aux_labels: their classes, 0 or 1, `[A]`.

  Returns:
    Scores `[N]`, float32; positive for class 1.

  Raises:
    ValueError: at trace time, if a shape or type is another.
  """
  _check(vectors, aux_vectors, aux_labels)
  return from_half_way(_norms(vectors), _norms(aux_vectors), aux_labels)


def from_half_way(
  values: jax.Array, aux_values: jax.Array, aux_labels: jax.Array
) -> jax.Array:
  """Values from half way between the known means of two classes.

  Args:
    values: `[N]`.
    aux_values: those of the known samples, `[A]`.
    aux_labels: their classes, 0 or 1, `[A]`.

  Returns:
    `[N]`, turned so that class 1 is the positive one.
  """
  positive = (aux_labels == 1).astype(aux_values.dtype)
  mean_of = lambda chosen: (
    jnp.sum(aux_values * chosen) / jnp.maximum(jnp.sum(chosen), 1)
  )
  high, low = mean_of(positive), mean_of(1 - positive)
  return (values - (high + low) / 2) * jnp.where(high < low, -1, 1)


@jax.jit
def direction_scores(
  vectors: jax.Array, aux_vectors: jax.Array, aux_labels: jax.Array
) -> jax.Array:
  """The mean cosine to the known samples of class 1; the others are not used.

  Early in training, gradients of one class point the same way and those of two
  classes opposite ways.

  Args:
    vectors: cut gradients, `[N, D]`.
    aux_vectors: those of the known samples, `[A, D]`.
    aux_labels: their classes, 0 or 1, `[A]`.

  Returns:
    Scores in [-1, 1], `[N]`, float32; positive for class 1.

  Raises:
    ValueError: at trace time, if a shape or type is another.
  """
  _check(vectors, aux_vectors, aux_labels)
  hints = similarity.unit_normalize(similarity.to_accumulator(aux_vectors))
  positive = (aux_labels == 1).astype(hints.dtype)
  target = positive @ hints / jnp.maximum(jnp.sum(positive), 1)
  units = similarity.unit_normalize(vectors)
  return similarity.inner_products(units, target[None])[:, 0]


@jax.jit
def inner_product_scores(
  vectors: jax.Array, aux_vectors: jax.Array, aux_labels: jax.Array
) -> jax.Array:
  """The mean inner product with the known samples of class 1.

  The direction and the norm at once: a long gradient counts for more.

  Args:
    vectors: cut gradients, `[N, D]`.
    aux_vectors: those of the known samples, `[A, D]`.
    aux_labels: their classes, 0 or 1, `[A]`.

  Returns:
    Scores `[N]`, float32, divided by the largest entries of both arguments;
    positive for class 1.

  Raises:
    ValueError: at trace time, if a shape or type is another.
  """
  _check(vectors, aux_vectors, aux_labels)
  # Gradients are small: their products would leave float32.
  vectors, hints = map(_to_unit_range, (vectors, aux_vectors))
  positive = (aux_labels == 1).astype(hints.dtype)
  target = positive @ hints / jnp.maximum(jnp.sum(positive), 1)
  return similarity.inner_products(vectors, target[None])[:, 0]


def _to_unit_range(x):
  wide = similarity.to_accumulator(x)
  largest = jnp.max(jnp.abs(wide))
  return wide / jnp.where(largest > 0, largest, 1)


def _check(vectors, aux_vectors, aux_labels):
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  _validate.labels_of('aux_labels', aux_labels, aux_vectors)


def _norms(vectors):
  wide = similarity.to_accumulator(vectors)
  largest = jnp.max(jnp.abs(wide), axis=1)
  scale = jnp.where(largest > 0, largest, 1)
  return scale * jnp.sqrt(jnp.sum((wide / scale[:, None]) ** 2, axis=1))
