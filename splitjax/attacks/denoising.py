"""Denoised vectors: where many numbers cross, few directions tell the classes.

In a wide cut a centroid contains its own members' noise, so that K-means stays
where it starts: a member's share of its own centroid, `1 / n`, outweighs the
cosines within a class. Along the strongest directions the noise of the others
is gone.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import similarity
from splitjax.attacks import spectral

# Of this width or less, directions gain nothing.
_NARROW = 64
# How many directions are kept at most, as multiples of the classes.
_MOST_A_CLASS = 3


class Denoised(NamedTuple):
  """Vectors made comparable, and their strongest directions.

  Attributes:
    units: rows of length 1 whose coordinates had mean 0 and variance 1 before
      they were scaled; or, unscaled, rows of length 1 less their mean, `[N,
      D]`.
    points: the rows along the strongest directions, of length 1 if scaled, `[N,
      k]`; coordinates after the last direction that stands out are 0.
    num_directions: how many directions stand out, a scalar.
  """

  units: jax.Array
  points: jax.Array
  num_directions: jax.Array


@functools.partial(_kernel.jit, static_argnames='num_classes')
def denoise(
  key: jax.Array,
  vectors: jax.Array,
  *,
  num_classes: int,
  scaled: bool | jax.Array = True,
) -> Denoised:
  """Scale vectors, and keep the directions that stand out of the noise.

  Rows are scaled to length 1, coordinates to mean 0 and variance 1: classes
  then differ along as many coordinates as possible. A direction stands out if
  the variance along it is larger than along any direction of the same numbers
  with random signs, which have the same variances and no common directions
  (parallel analysis; signs as in Hong et al., https://arxiv.org/abs/2012.02985,
  since permuted rows would mix the batches). At least `C - 1` are kept, and `3
  C` at most: more of them found fewer of the classes in every network tried.

  Args:
    key: random key for the search for directions, and for the signs.
    vectors: cut gradients or smashed data, `[N, D]`.
    num_classes: number of classes `C`.
    scaled: whether coordinates are scaled to variance 1. They are better not
      where a class of few samples lies far from all others.

  Returns:
    A `Denoised`, float32 or wider. Of 64 coordinates or fewer all are kept.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> vectors = jnp.array([[9.0, 1.0], [-9.0, 1.0], [7.0, 0.0], [-8.0, 0.0]])
    >>> found = denoise(jax.random.key(0), vectors, num_classes=2)
    >>> (found.points[:, 0] > 0).tolist()
    [True, False, True, False]
  """
  _validate.matrices(vectors=vectors)
  _validate.automatic(vectors=vectors)
  _validate.count('num_classes', num_classes, at_least=2)
  units = standardized_units(vectors, scaled)
  width = units.shape[1]
  if width <= _NARROW:
    return Denoised(units, units, jnp.asarray(width))
  most = min(_MOST_A_CLASS * num_classes, width)
  key_directions, key_signs, key_noise = jax.random.split(key, 3)
  points = _along_directions(key_directions, units, most)
  # One search after the other: both at once take twice the memory.
  units, points = jax.lax.optimization_barrier((units, points))
  signs = jax.random.rademacher(key_signs, units.shape, units.dtype)
  noise = _along_directions(key_noise, units * signs, 1)
  standing_out = jnp.sum(_variances(points) > _variances(noise)[0])
  kept = jnp.maximum(standing_out, min(num_classes - 1, most))
  points = jnp.where(jnp.arange(most)[None] < kept, points, 0)
  return Denoised(units, _unit_if(scaled, points), kept)


def standardized_units(
  vectors: jax.Array, scaled: bool | jax.Array = True
) -> jax.Array:
  """Return rows of length 1, of coordinates scaled to variance 1.

  Args:
    vectors: vectors, `[N, D]`.
    scaled: whether to scale; else rows of length 1 are centred alone.

  Returns:
    Rows, `[N, D]`; 0 where a vector is not finite. If scaled, a coordinate that
    is the same in all rows is 0.
  """
  found = conditioning.condition(similarity.to_accumulator(vectors), 'cosine')
  rows = found.points - found.mean[None]
  rows = jnp.where(found.finite[:, None], rows, 0)
  deviations = jnp.sqrt(jnp.mean(rows**2, axis=0, keepdims=True))
  # What rounding leaves of a constant coordinate must not be blown up.
  floor = 1e-6 * jnp.max(deviations)
  varies = deviations > floor
  scales = jnp.where(varies, 1 / jnp.where(varies, deviations, 1), 0)
  return _unit_if(scaled, rows * jnp.where(scaled, scales, 1))


def _unit_if(scaled: bool | jax.Array, rows: jax.Array) -> jax.Array:
  """Scale rows to length 1, if that is asked for."""
  return jax.lax.cond(scaled, similarity.unit_normalize, lambda x: x, rows)


def _along_directions(
  key: jax.Array, rows: jax.Array, num_directions: int
) -> jax.Array:
  """Return rows along their strongest directions, the strongest first."""
  directions = spectral.top_directions(key, rows, num_directions=num_directions)
  return similarity.inner_products(rows, directions)


def _variances(points: jax.Array) -> jax.Array:
  """Return the variance of each coordinate."""
  return jnp.var(points, axis=0)
