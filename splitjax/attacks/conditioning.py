"""Vectors made fit for float32: of one size, around 0, and finite.

Squares leave float32 where vectors are as large as 1e20 or as small as 1e-20;
and of vectors whose offset is much larger than their differences, little of
these is left in a product. A power of two and a shift keep every distance.

In shape descriptions `N` is the number of vectors and `D` their width.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate

PyTree = Any

# Vectors whose mean is so many times as long as what they differ by are
# shifted. Short of that, products lose at most some 1e-4 of a difference.
FAR = 32.0
# A sum of millions would round away more than is left of small inertias.
_BLOCK = 256
# Of vectors between 1e-12 and 1e12, nothing has to be scaled.
_NEAR_ONE = 40
_SAMPLE = 64
# From so many numbers on, a copy takes longer than to compile a second program.
_MANY = 1 << 20


class Conditioned(NamedTuple):
  """Points around 0 of about unit size, and what was done to make them.

  Attributes:
    points: the vectors (with 'cosine', scaled to length 1) times `unit` less
      `origin`, in their type; 0 where a vector is not finite, `[N, D]`.
    finite: whether each vector is finite, `[N]`.
    unit: a power of two, a scalar; 1 with 'cosine'.
    origin: what was subtracted, `[D]`; 0 unless vectors lie far from 0.
    mean: mean of the points of finite vectors, `[D]`.
    spread: mean squared distance of these points to their mean, a scalar.
  """

  points: jax.Array
  finite: jax.Array
  unit: jax.Array
  origin: jax.Array
  mean: jax.Array
  spread: jax.Array

  def to_points(self, rows: jax.Array) -> jax.Array:
    """Return other rows in the coordinates of the points."""
    return rows * self.unit - self.origin[None]

  def from_points(self, rows: jax.Array) -> jax.Array:
    """Return rows in the coordinates of the vectors, or of unit vectors."""
    return (rows + self.origin[None]) / self.unit


def condition(vectors: jax.Array, metric: str) -> Conditioned:
  """Bring vectors to unit size around 0, without moving them apart.

  Args:
    vectors: vectors, `[N, D]`.
    metric: 'cosine' scales each vector to length 1, 'euclidean' all of them by
      the same number.

  Returns:
    The points; sums are in float32 or wider.
  """
  wide = to_accumulator(vectors)
  largest = jnp.max(jnp.abs(wide), axis=1)
  finite = jnp.isfinite(largest)
  largest = jnp.where(finite, largest, 0)
  if metric == 'cosine':
    unit = jnp.ones((), wide.dtype)
    rows = _unit_rows(wide, largest)
  else:
    unit = power_of_two(jnp.max(largest))
    rows = wide * unit
  # Some tell how far from 0 all lie.
  step = max(len(vectors) // _SAMPLE, 1)
  amid, far = centre_of(
    jnp.where(finite[::step, None], rows[::step], 0), finite[::step]
  )
  # Where vectors are narrow, a difference of two is one of them, too.
  amid = amid.astype(vectors.dtype).astype(wide.dtype)
  origin = jnp.where(far, amid, 0)
  points = jnp.where(finite[:, None], rows - origin[None], 0)
  points = points.astype(vectors.dtype)
  mean, spread = _moments(to_accumulator(points), finite)
  return Conditioned(points, finite, unit, origin, mean, spread)


def apply(
  fn: Callable[[Conditioned], PyTree], vectors: jax.Array, metric: str
) -> PyTree:
  """Call a function of conditioned vectors; many are not copied without need.

  Args:
    fn: function of `Conditioned`.
    vectors: vectors, `[N, D]`.
    metric: 'cosine' or 'euclidean', as in `condition`.

  Returns:
    What the function returns.
  """
  conditioned = functools.partial(condition, vectors, metric)
  if metric == 'cosine' or vectors.size < _MANY:
    return fn(conditioned())
  wide = to_accumulator(vectors)
  finite = jnp.ones(len(vectors), bool)
  mean, spread = _moments(wide, finite)
  # Not finite, if a vector is not; beyond the range, if squares may be.
  total = spread + jnp.sum(mean**2)
  low, high = 4.0**-_NEAR_ONE, 4.0**_NEAR_ONE
  usable = (total > low) & (total < high / len(vectors))
  usable = usable & ~_lies_far(mean, total)
  unit, origin = jnp.ones((), wide.dtype), jnp.zeros_like(mean)
  as_is = Conditioned(vectors, finite, unit, origin, mean, spread)
  return jax.lax.cond(
    is_any(~usable), lambda: fn(conditioned()), lambda: fn(as_is)
  )


@jax.custom_batching.custom_vmap
def is_any(value: jax.Array) -> jax.Array:
  """Return a truth value; under `jax.vmap`, one for all that are mapped over.

  Where it decides how something is computed, `jax.lax.cond` then still takes
  one way, and not both.

  Args:
    value: a truth value, a scalar.

  Returns:
    The value, or whether any of those mapped over is true.
  """
  return value


@is_any.def_vmap
def _is_any_mapped(
  size: int, is_batched: list[bool], values: jax.Array
) -> tuple[jax.Array, bool]:
  del size, is_batched
  return is_any(jnp.any(values)), False


def _moments(rows: jax.Array, finite: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Return mean and spread of rows that are 0 where they do not count."""
  count = jnp.maximum(jnp.sum(finite), 1).astype(rows.dtype)
  mean = jnp.sum(rows, axis=0) / count
  squares = jnp.sum((rows - mean[None]) ** 2, axis=1)
  return mean, sum_in_blocks(jnp.where(finite, squares, 0)) / count


def finite_rows(vectors: jax.Array) -> jax.Array:
  """Return which rows hold finite numbers alone, `[..., N]`."""
  return jnp.all(jnp.isfinite(vectors), axis=-1)


def name_finite(labels: jax.Array, finite: jax.Array) -> jax.Array:
  """Return labels, and for vectors that are not finite all bits set: -1."""
  return jnp.where(finite, labels, ~jnp.zeros((), labels.dtype))


def centre_of(
  rows: jax.Array, counts: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Return the mean of rows, and whether it is far from 0 for their spread.

  Args:
    rows: rows whose squares do not leave the range, 0 where they do not count,
      `[N, D]`.
    counts: whether each row counts, `[N]`.

  Returns:
    The mean, `[D]`, and a truth value.
  """
  count = jnp.maximum(jnp.sum(counts), 1).astype(rows.dtype)
  mean = jnp.sum(rows, axis=0) / count
  return mean, _lies_far(mean, jnp.sum(rows**2) / count)


def _lies_far(mean: jax.Array, mean_square: jax.Array) -> jax.Array:
  """Return whether products lose too much of what rows differ by."""
  # The mean square is that of the mean, and the spread around it.
  return jnp.sum(mean**2) * (1 + FAR**-2) > mean_square


def sum_in_blocks(values: jax.Array) -> jax.Array:
  """Return the sum of values `[N]`, which may be millions."""
  if len(values) <= _BLOCK**2:
    return jnp.sum(values)
  padded = jnp.pad(values, (0, -len(values) % _BLOCK))
  return jnp.sum(jnp.sum(padded.reshape(-1, _BLOCK), axis=1))


def power_of_two(largest: jax.Array) -> jax.Array:
  """Return the power of two that brings a largest entry to about 1.

  Args:
    largest: the largest absolute value, a scalar.

  Returns:
    The power; 1 where squares are far from the ends of float32.
  """
  _, exponent = jnp.frexp(largest)
  exponent = jnp.where(largest > 0, jnp.clip(exponent, -125, 125), 0)
  exponent = jnp.where(jnp.abs(exponent) <= _NEAR_ONE, 0, exponent)
  return jnp.ldexp(jnp.ones((), largest.dtype), -exponent)


@_kernel.jit
def unit_normalize(vectors: jax.Array) -> jax.Array:
  """Scale every vector to length 1; a zero vector stays zero.

  Args:
    vectors: vectors, `[N, D]`. Numbers below the smallest normal one (1e-38 in
      float32) may count as zero; a vector that is not finite becomes NaN.

  Returns:
    `[N, D]` in the type of `vectors`; computed in float32 or wider.

  Raises:
    ValueError: at trace time, if `vectors` is not a floating matrix.

  Example:
    >>> unit_normalize(jnp.array([[0.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
  """
  _validate.matrices(vectors=vectors)
  wide = to_accumulator(vectors)
  largest = jnp.max(jnp.abs(wide), axis=1)
  return _unit_rows(wide, largest).astype(vectors.dtype)


def _unit_rows(wide: jax.Array, largest: jax.Array) -> jax.Array:
  """Return rows of length 1, given the largest entry of each."""
  scaled = _scaled(wide, largest)
  lengths = jnp.sqrt(jnp.sum(scaled**2, axis=1, keepdims=True))
  return scaled / jnp.where(lengths == 0, 1, lengths)


def _scaled(wide: jax.Array, largest: jax.Array) -> jax.Array:
  """Divide rows by their largest entries, so that squares stay in range."""
  # First by a power of two, or the reciprocal of the largest might leave it.
  first = jnp.where(largest > 1, 2.0**-64, 2.0**64).astype(wide.dtype)
  largest = jnp.where(largest == 0, 1, largest * first)
  return wide * first[:, None] / largest[:, None]


def divide_by_length(values: jax.Array, vectors: jax.Array) -> jax.Array:
  """Divide values `[N, K]` by the length of the vector of their row, `[N, D]`.

  Those of a zero vector stay.
  """
  wide = to_accumulator(vectors)
  squares = jnp.sum(wide**2, axis=1)[:, None]

  def by_largest() -> jax.Array:
    largest = jnp.max(jnp.abs(wide), axis=1)
    lengths = jnp.sqrt(jnp.sum(_scaled(wide, largest) ** 2, axis=1))
    lengths = jnp.where(lengths == 0, 1, lengths)
    return _scaled(values, largest) / lengths[:, None]

  in_range = jnp.all((squares > 1e-24) & (squares < 1e30))
  return jax.lax.cond(
    is_any(~in_range), by_largest, lambda: values / jnp.sqrt(squares)
  )


def to_accumulator(x: jax.Array) -> jax.Array:
  """Return the array in the type that sums are kept in: float32, or wider."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def largest_entry(x: jax.Array, axis: int | None = None) -> jax.Array:
  """Return the largest absolute value, or 1 where all entries are 0.

  Gradients are small: divide them by it before you square them, or the squares
  underflow.

  Args:
    x: array of a floating type.
    axis: axis to take the largest along; None takes all entries.

  Returns:
    The largest absolute values, without `axis`, or a scalar.
  """
  largest = jnp.max(jnp.abs(x), axis=axis)
  return jnp.where(largest > 0, largest, 1)
