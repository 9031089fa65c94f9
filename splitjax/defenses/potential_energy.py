"""Potential-energy loss: smashed data of one class repel each other.

Zheng et al., "Protecting split learning by potential energy loss" (IJCAI 2024,
https://arxiv.org/abs/2210.09617).
"""

from collections.abc import Callable
import numbers

import jax
import jax.numpy as jnp

from splitjax.defenses import distance_correlation

# Of the largest entry: its inverse cube is in the range of float32.
_RELATIVE_FLOOR = 1e-12


def loss(
  loss_fn: Callable[[jax.Array, jax.Array], jax.Array],
  logits: jax.Array,
  smashed: jax.Array,
  labels: jax.Array,
  *,
  weight: jax.typing.ArrayLike,
  min_distance: jax.typing.ArrayLike = 1e-3,
) -> jax.Array:
  """Adds the potential energy of like charges on the samples of each class.

  Args:
    loss_fn: `(logits, labels) -> losses [B]`.
    logits: `[B, C]`.
    smashed: `[B, ...]`.
    labels: classes `[B]`, or soft labels `[B, C]`, which are read as their
      likeliest class.
    weight: of the energy; 0 is off.
    min_distance: as in `energy`.

  Returns:
    Losses `[B]`; the added term is the same for all.

  Raises:
    ValueError: at trace time, if `weight` or `min_distance` is out of range.
  """
  if isinstance(weight, numbers.Real) and not weight >= 0:
    raise ValueError(f'weight must be at least 0, got {weight}.')
  losses = loss_fn(logits, labels)
  classes = labels if labels.ndim == 1 else jnp.argmax(labels, axis=-1)
  penalty = weight * energy(smashed, classes, min_distance=min_distance)
  penalised = (losses + penalty).astype(losses.dtype)
  return jnp.where(jnp.asarray(weight) <= 0, losses, penalised)


def energy(
  smashed: jax.Array,
  labels: jax.Array,
  *,
  min_distance: jax.typing.ArrayLike = 1e-3,
) -> jax.Array:
  """The mean of 1 / distance over all pairs of samples of one class.

  The mean, not the sum, so that a weight means the same for all batch sizes and
  numbers of classes.

  Args:
    smashed: `[B, ...]`.
    labels: classes, `[B]`.
    min_distance: a smaller distance counts as this and has no gradient, so that
      the energy of equal rows is finite. See also `pairwise_distances` in
      `distance_correlation` for what has no gradient.

  Returns:
    A float32; 0 if no two samples are of one class.

  Raises:
    ValueError: at trace time, if `min_distance` is not positive.
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
