"""Attacks on two classes that score each gradient: its norm, its direction.

Of Li et al. (https://arxiv.org/abs/2102.08504). They are passive, and know some
labelled samples; a threshold on the scores makes labels. A vector that is not
finite has the score NaN.
"""

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import similarity


@_kernel.jit
def norm_scores(
  vectors: jax.Array, aux_vectors: jax.Array, aux_labels: jax.Array
) -> jax.Array:
  """Score gradients by their length, from half way between the two classes.

  A gradient is the longer, the more wrong the model is, and the model is mostly
  wrong about the rarer class. The known samples tell which of the two that is.

  Args:
    vectors: cut gradients to score, `[N, D]`.
    aux_vectors: cut gradients of the known samples, of both classes, `[A, D]`.
    aux_labels: classes of the known samples, 0 or 1, `[A]`.

  Returns:
    Scores `[N]`, float32; positive for class 1.

  Raises:
    ValueError: at trace time, if a shape or type is not as above.

  Example:
    >>> vectors = jnp.array([[3.0, 4.0], [0.0, -1.0], [0.0, 3.0]])
    >>> norm_scores(vectors, vectors[:2], jnp.array([1, 0])).tolist()
    [2.0, -2.0, 0.0]
  """
  _check(vectors, aux_vectors, aux_labels)
  return from_half_way(_norms(vectors), _norms(aux_vectors), aux_labels)


def from_half_way(
  values: jax.Array, aux_values: jax.Array, aux_labels: jax.Array
) -> jax.Array:
  """Measure values from half way between the known means of two classes.

  Args:
    values: values to score, `[N]`.
    aux_values: values of the known samples, `[A]`.
    aux_labels: classes of the known samples, 0 or 1, `[A]`; samples with any
      other label, or a value that is not finite, are ignored.

  Returns:
    Differences to the middle, `[N]`, positive on the side of class 1.
  """
  finite = jnp.isfinite(aux_values)
  mean_of = lambda chosen: (
    jnp.sum(jnp.where(chosen, aux_values, 0)) / jnp.maximum(jnp.sum(chosen), 1)
  )
  high, low = (mean_of((aux_labels == y) & finite) for y in (1, 0))
  return (values - (high + low) / 2) * jnp.where(high < low, -1, 1)


@_kernel.jit
def direction_scores(
  vectors: jax.Array, aux_vectors: jax.Array, aux_labels: jax.Array
) -> jax.Array:
  """Score gradients by their mean cosine to the known samples of class 1.

  Known samples of class 0 are not used. Early in training, gradients of one
  class point the same way and those of two classes opposite ways.

  Args:
    vectors: cut gradients to score, `[N, D]`.
    aux_vectors: cut gradients of the known samples, `[A, D]`.
    aux_labels: classes of the known samples, 0 or 1, `[A]`.

  Returns:
    Scores in [-1, 1], `[N]`, float32; positive for class 1.

  Raises:
    ValueError: at trace time, if a shape or type is not as above.

  Example:
    >>> vectors = jnp.array([[0.0, 2.0], [0.0, -1.0], [3.0, 0.0]])
    >>> direction_scores(vectors, vectors[:2], jnp.array([1, 0])).tolist()
    [1.0, -1.0, 0.0]
  """
  _check(vectors, aux_vectors, aux_labels)
  hints = similarity.unit_normalize(similarity.to_accumulator(aux_vectors))
  return _mean_products(similarity.unit_normalize(vectors), hints, aux_labels)


@_kernel.jit
def inner_product_scores(
  vectors: jax.Array, aux_vectors: jax.Array, aux_labels: jax.Array
) -> jax.Array:
  """Score gradients by their mean inner product with those of class 1.

  It sees the direction and the norm at once: a long gradient counts for more.

  Args:
    vectors: cut gradients to score, `[N, D]`.
    aux_vectors: cut gradients of the known samples, `[A, D]`.
    aux_labels: classes of the known samples, 0 or 1, `[A]`.

  Returns:
    Scores `[N]`, float32, positive for class 1, divided by the largest entry of
    `vectors` and by that of `aux_vectors`.

  Raises:
    ValueError: at trace time, if a shape or type is not as above.

  Example:
    >>> vectors = jnp.array([[0.0, 2.0], [0.0, -1.0], [3.0, 0.0]])
    >>> scores = inner_product_scores(vectors, vectors[:2], jnp.array([1, 0]))
    >>> (scores > 0).tolist()
    [True, False, False]
  """
  _check(vectors, aux_vectors, aux_labels)
  # Gradients are small: their products would leave float32.
  vectors, hints = map(_to_unit_range, (vectors, aux_vectors))
  return _mean_products(vectors, hints, aux_labels)


def _mean_products(
  vectors: jax.Array, hints: jax.Array, aux_labels: jax.Array
) -> jax.Array:
  """Return the mean inner products with the hints of class 1, `[N]`."""
  positive = (aux_labels == 1) & conditioning.finite_rows(hints)
  total = jnp.sum(jnp.where(positive[:, None], hints, 0), axis=0)
  target = total / jnp.maximum(jnp.sum(positive), 1)
  return similarity.inner_products(vectors, target[None])[:, 0]


def _to_unit_range(x: jax.Array) -> jax.Array:
  """Divide an array by its largest entry, in float32 or wider."""
  wide = similarity.to_accumulator(x)
  finite = jnp.where(conditioning.finite_rows(wide)[:, None], wide, 0)
  return wide / similarity.largest_entry(finite)


def _check(
  vectors: jax.Array, aux_vectors: jax.Array, aux_labels: jax.Array
) -> None:
  """Check the arguments that all scores take."""
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  _validate.labels_of('aux_labels', aux_labels, aux_vectors)


def _norms(vectors: jax.Array) -> jax.Array:
  """Return the norms `[N]`, in float32 or wider; no square underflows."""
  wide = similarity.to_accumulator(vectors)
  scale = similarity.largest_entry(wide, axis=1)
  return scale * jnp.sqrt(jnp.sum((wide / scale[:, None]) ** 2, axis=1))
