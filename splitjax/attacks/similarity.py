"""Cosine and Euclidean similarity, as one matrix product.

On unit vectors `||u - v||^2 = 2 - 2 cos(u, v)`, so one Euclidean kernel serves
both similarities of Liu et al. (https://arxiv.org/abs/2203.05222).
"""

import jax
import jax.numpy as jnp

from splitjax.attacks import _validate

METRICS = ('cosine', 'euclidean')


@jax.jit
def unit_normalize(vectors: jax.Array) -> jax.Array:
  """Scales every vector to length 1; a zero vector stays zero.

  >>> unit_normalize(jnp.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
  [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]

  Args:
    vectors: `[N, D]`, finite; norms neither overflow nor underflow. Numbers
      below the smallest normal one (1e-38 in float32) may count as zero.

  Returns:
    `[N, D]` in the type of `vectors`; computed in float32 or wider.

  Raises:
    ValueError: at trace time, if `vectors` is not a floating matrix.
  """
  _validate.matrices(vectors=vectors)
  wide = to_accumulator(vectors)
  _, exponents = jnp.frexp(jnp.max(jnp.abs(wide), axis=1, keepdims=True))
  # A power of two rounds nothing; in two halves neither leaves the range.
  half = exponents // 2
  one = jnp.ones((), wide.dtype)
  wide = wide * jnp.ldexp(one, -half) * jnp.ldexp(one, half - exponents)
  norms = jnp.sqrt(jnp.sum(wide**2, axis=1, keepdims=True))
  return (wide / jnp.where(norms > 0, norms, 1)).astype(vectors.dtype)


def to_accumulator(x: jax.Array) -> jax.Array:
  """The array in the type that sums are kept in: float32, or wider."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def inner_products(points: jax.Array, targets: jax.Array) -> jax.Array:
  """All inner products, accumulated in float32 or wider.

  Points that are narrower than float32 are not widened in memory; the targets
  are split into two narrow parts instead, and lose nothing that matters.

  Args:
    points: `[N, D]`.
    targets: `[K, D]`, float32 or wider.

  Returns:
    `[N, K]` in the type of `targets`.
  """
  product = lambda narrow: jax.lax.dot_general(
    points,
    narrow,
    (((1,), (1,)), ((), ())),
    precision=jax.lax.Precision.HIGHEST,
    preferred_element_type=targets.dtype,
  )
  if points.dtype == targets.dtype:
    return product(targets)
  high = targets.astype(points.dtype)
  low = (targets - high.astype(targets.dtype)).astype(points.dtype)
  return product(high) + product(low)


def closeness(
  points: jax.Array, targets: jax.Array, origin: jax.Array
) -> jax.Array:
  r"""How close each point is to each target; ranks as the distance does.

  With $t' = t - o$, returns
  $x^T t' - o^T t' - ||t'||^2 / 2 = (||x - o||^2 - ||x - t||^2) / 2$:
  one matrix product. An origin amid the points keeps the rounding error small
  where the points lie far from zero, and no centred copy of them is made.

  Args:
    points: `x`, `[N, D]`.
    targets: `t`, `[K, D]`, float32 or wider.
    origin: `o`, `[D]`, in the type of `targets`.

  Returns:
    `[N, K]`; the larger, the closer.
  """
  shifted = targets - origin[None]
  along = jnp.dot(shifted, origin, precision=jax.lax.Precision.HIGHEST)
  offsets = along + jnp.sum(shifted**2, axis=1) / 2
  return inner_products(points, shifted) - offsets[None]
