"""Moments of the classes in a batch of cut gradients, and noise on their scale.

Marvell chooses its noise by these moments.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class ClassMoments(NamedTuple):
  """Means, variances and frequencies of the classes of a batch.

  The gradients are divided by their largest magnitude, so that no square
  underflows. A class that does not occur has mean and variance 0.

  Attributes:
    rows: scaled and flattened gradients, `[B, D]`.
    scale: number that the gradients were divided by, a scalar.
    one_hot: one-hot labels, `[B, C]`.
    fracs: frequencies of the classes, which sum to 1, `[C]`.
    means: class means, `[C, D]`.
    variances: mean squared distances to the class mean, divided by `D`, `[C]`.
  """

  rows: jax.Array
  scale: jax.Array
  one_hot: jax.Array
  fracs: jax.Array
  means: jax.Array
  variances: jax.Array

  @property
  def has_classes(self) -> jax.Array:
    """Whether the batch has more than one class, a boolean scalar."""
    return jnp.sum(self.fracs > 0) > 1


def of_batch(
  cut_grads: jax.Array, labels: jax.Array, num_classes: int
) -> ClassMoments:
  """Compute the moments of the classes in a batch.

  Args:
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: classes `[B]`, or soft labels `[B, C]`, of which the largest part
      counts.
    num_classes: number of classes, `C`.

  Returns:
    The moments, in float32 or wider.

  Example:
    >>> cut_grads = jnp.array([[1.0], [3.0], [4.0]])
    >>> moments = of_batch(cut_grads, jnp.array([0, 0, 1]), 2)
    >>> (moments.means * moments.scale).tolist()
    [[2.0], [4.0]]
  """
  if labels.ndim == 2:
    labels = jnp.argmax(labels, axis=1)
  dtype = jnp.promote_types(cut_grads.dtype, jnp.float32)
  rows = cut_grads.astype(dtype).reshape(len(cut_grads), -1)
  scale = positive(jnp.max(jnp.abs(rows)))
  rows = rows / scale
  one_hot = jax.nn.one_hot(labels, num_classes, dtype=dtype)
  counts = jnp.sum(one_hot, axis=0)
  means = matmul(one_hot.T, rows) / positive(counts)[:, None]
  distances = jnp.mean((rows - matmul(one_hot, means)) ** 2, axis=1)
  variances = matmul(one_hot.T, distances) / positive(counts)
  return ClassMoments(
    rows, scale, one_hot, counts / len(rows), means, variances
  )


def add_noise(
  cut_grads: jax.Array,
  moments: ClassMoments,
  drawn: jax.Array,
  active: jax.Array,
) -> jax.Array:
  """Add noise to cut gradients.

  No gradient flows through the noise: that of the moments may not be finite.

  Args:
    cut_grads: cut gradients, `[B, ...]`.
    moments: moments of `cut_grads`.
    drawn: noise for the scaled rows of the moments, `[B, D]`.
    active: whether to add the noise, a scalar.

  Returns:
    Cut gradients `[B, ...]`, in the type of `cut_grads`.

  Example:
    The gradients' largest magnitude is 4, the unit of the noise.

    >>> cut_grads = jnp.array([[4.0], [2.0]])
    >>> moments = of_batch(cut_grads, jnp.array([0, 1]), 2)
    >>> drawn, active = jnp.array([[1.0], [0.5]]), jnp.array(True)
    >>> add_noise(cut_grads, moments, drawn, active).tolist()
    [[8.0], [4.0]]
  """
  drawn = (drawn * moments.scale).reshape(cut_grads.shape)
  noisy = cut_grads.astype(drawn.dtype) + jax.lax.stop_gradient(drawn)
  return jnp.where(active, noisy.astype(cut_grads.dtype), cut_grads)


def matmul(x: jax.Array, y: jax.Array) -> jax.Array:
  """Multiply matrices in full precision, on accelerators too.

  Args:
    x: a matrix, `[M, K]`.
    y: a matrix or vector, `[K, N]` or `[K]`.

  Returns:
    The product, `[M, N]` or `[M]`.

  Example:
    >>> matmul(jnp.ones((1, 2)), jnp.array([3.0, 4.0])).tolist()
    [7.0]
  """
  return jnp.matmul(x, y, precision=jax.lax.Precision.HIGHEST)


def positive(x: jax.Array) -> jax.Array:
  """Replace 0 by 1, so that one can divide by it.

  Args:
    x: numbers that are not negative, of any shape.

  Returns:
    Positive numbers, in the shape of `x`.

  Example:
    >>> positive(jnp.array([0.0, 2.0])).tolist()
    [1.0, 2.0]
  """
  return jnp.where(x > 0, x, 1)
