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
  known = _norms(aux_vectors)
  positive = (aux_labels == 1).astype(known.dtype)
  mean = lambda weights: (
    jnp.sum(known * weights) / jnp.maximum(jnp.sum(weights), 1)
  )
  high, low = mean(positive), mean(1 - positive)
  return (_norms(vectors) - (high + low) / 2) * jnp.where(high < low, -1, 1)


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


def _check(vectors, aux_vectors, aux_labels):
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  _validate.labels_of('aux_labels', aux_labels, aux_vectors)


def _norms(vectors):
  wide = similarity.to_accumulator(vectors)
  largest = jnp.max(jnp.abs(wide), axis=1)
  scale = jnp.where(largest > 0, largest, 1)
  return scale * jnp.sqrt(jnp.sum((wide / scale[:, None]) ** 2, axis=1))
