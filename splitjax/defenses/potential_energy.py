"""Potential-energy loss: smashed data of one class repel each other.

Zheng et al., "Protecting split learning by potential energy loss" (IJCAI 2024,
https://arxiv.org/abs/2210.09617).
"""

import numbers

import jax
import jax.numpy as jnp

from splitjax import losses
from splitjax.defenses import distance_correlation

# Smallest distance relative to the largest entry: its inverse cube is in the
# range of float32.
_RELATIVE_FLOOR = 1e-12


def loss(
  loss_fn: losses.LossFn,
  logits: jax.Array,
  smashed: jax.Array,
  labels: jax.Array,
  *,
  weight: jax.typing.ArrayLike,
  min_distance: jax.typing.ArrayLike = 1e-3,
) -> jax.Array:
  """Add the potential energy of the batch to each example's loss.

  Smashed data of one class act like charges that repel each other; the energy
  is that of `energy`.

  Args:
    loss_fn: `(logits, labels) -> losses [B]`.
    logits: logits of the label party's model, `[B, C]`.
    smashed: output of the cut layer, `[B, ...]`.
    labels: classes `[B]`, or soft labels `[B, C]`, of which the class with the
      largest part counts.
    weight: weight of the energy, at least 0. At 0 the losses are unchanged.
    min_distance: smallest distance of two samples, positive: nearer ones count
      as this far apart.

  Returns:
    Losses `[B]`; the added term is the same for all examples.

  Raises:
    ValueError: at trace time, if `weight` or `min_distance` is out of range.

  Example:
    Both samples are of class 0, two units apart: their energy is 1/2.

    >>> logits, labels = jnp.zeros((2, 2)), jnp.array([0, 0])
    >>> smashed = jnp.array([[0.0], [2.0]])
    >>> zero = lambda logits, labels: jnp.zeros(len(labels))
    >>> print(loss(zero, logits, smashed, labels, weight=10.0).round(3))
    [5. 5.]
  """
  if isinstance(weight, numbers.Real) and not weight >= 0:
    raise ValueError(f'weight must be at least 0, got {weight}.')
  example_losses = loss_fn(logits, labels)
  classes = labels if labels.ndim == 1 else jnp.argmax(labels, axis=-1)
  penalty = weight * energy(smashed, classes, min_distance=min_distance)
  penalised = (example_losses + penalty).astype(example_losses.dtype)
  return jnp.where(jnp.asarray(weight) <= 0, example_losses, penalised)


def energy(
  smashed: jax.Array,
  labels: jax.Array,
  *,
  min_distance: jax.typing.ArrayLike = 1e-3,
) -> jax.Array:
  """Return the mean of 1 / distance over all pairs of samples of one class.

  It is the mean, not the paper's sum, so that a weight means the same for all
  batch sizes and numbers of classes.

  Args:
    smashed: output of the cut layer, `[B, ...]`.
    labels: classes, `[B]`.
    min_distance: smallest distance, positive. A smaller distance counts as this
      one and has no gradient, so that the energy of equal rows is finite. The
      gradient also leaves out the pairs that
      `distance_correlation.pairwise_distances` leaves out.

  Returns:
    The energy, a float32 scalar; 0 if no two samples are of one class.

  Raises:
    ValueError: at trace time, if `min_distance` is not positive.

  Example:
    The pairs of class 0 and of class 1 are 2 and 4 units apart.

    >>> smashed = jnp.array([[0.0], [2.0], [1.0], [5.0]])
    >>> print(f'{energy(smashed, jnp.array([0, 0, 1, 1])):.3f}')
    0.375
  """
  if isinstance(min_distance, numbers.Real) and not min_distance > 0:
    raise ValueError(f'min_distance must be positive, got {min_distance}.')
  rows = smashed.astype(jnp.float32).reshape(smashed.shape[0], -1)
  # Scaled, so that squares stay in range; as a constant, since it cancels.
  scale = jax.lax.stop_gradient(
    jnp.maximum(jnp.max(jnp.abs(rows)), min_distance)
  )
  distances = distance_correlation.pairwise_distances(rows / scale)
  floor = jnp.maximum(min_distance / scale, _RELATIVE_FLOOR)
  distances = jnp.maximum(distances, floor)
  is_pair = labels[:, None] == labels[None, :]
  is_pair &= ~jnp.eye(len(labels), dtype=bool)
  total = jnp.sum(jnp.where(is_pair, 1 / distances, 0))
  return total / jnp.maximum(jnp.sum(is_pair), 1) / scale
