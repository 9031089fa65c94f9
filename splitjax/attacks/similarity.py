"""Cosine and Euclidean similarity, as one matrix product.

On unit vectors `||u - v||^2 = 2 - 2 cos(u, v)`, so one Euclidean kernel serves
both similarities of Liu et al. (https://arxiv.org/abs/2203.05222).
"""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _validate

METRICS = ('cosine', 'euclidean')
PRECISIONS = ('highest', 'high', 'default')
# Above so many, a CPU takes one target after the other: XLA's argmax over 100
# costs as much as the product does. Up to so many, it may fill them up to eight
# or sixteen, if they are wide: a product with ten takes a third longer.
_FEW_TARGETS = 16
_WIDE = 512


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


def inner_products(
  points: jax.Array, targets: jax.Array, precision: str = 'highest'
) -> jax.Array:
  """All inner products, accumulated in float32 or wider.

  Points that are narrower than float32 are not widened in memory; the targets
  are split into two narrow parts instead, and lose nothing that matters.

  Args:
    points: `[N, D]`.
    targets: `[K, D]`, float32 or wider.
    precision: of the factors. Below 'highest' a device may round float32 (a
      GPU to TensorFloat32), and the targets of narrow points are rounded once.

  Returns:
    `[N, K]` in the type of `targets`.
  """
  parts = narrow(targets, points.dtype, precision)
  return sum(_dot(points, part, precision, targets.dtype) for part in parts)


def narrow(targets: jax.Array, dtype, precision: str) -> list[jax.Array]:
  """One or two arrays of a type that add up to the targets, `[K, D]` each."""
  high = targets.astype(dtype)
  if targets.dtype == dtype or precision != 'highest':
    return [high]
  return [high, (targets - high.astype(targets.dtype)).astype(dtype)]


def _dot(rows, others, precision, dtype):
  return jax.lax.dot_general(
    rows,
    others,
    (((1,), (1,)), ((), ())),
    precision=precision,
    preferred_element_type=dtype,
  )


def coarse_origin(mean: jax.Array, variance: jax.Array) -> jax.Array:
  """The mean, rounded by less than a sixteenth of a standard deviation.

  Amid the points all the same, and nearly always one to the last bit in
  whatever order the mean was summed up: over chunks, devices, or all at once.

  Args:
    mean: of the points, `[D]`.
    variance: of their features, on average, a scalar.

  Returns:
    An origin for `closeness`, `[D]`.
  """
  _, exponent = jnp.frexp(variance)
  step = jnp.ldexp(jnp.ones((), mean.dtype), exponent // 2 - 4)
  rounded = jnp.round(mean / step) * step
  return jnp.where((variance > 0) & jnp.isfinite(rounded), rounded, mean)


def shift(targets: jax.Array, origin: jax.Array) -> tuple[jax.Array, jax.Array]:
  r"""What ranks targets `[K, D]` by distance in products, see `closeness`.

  Returns:
    $t' = t - o$, `[K, D]`, and $o^T t' + ||t'||^2 / 2$, `[K]`.
  """
  shifted = targets - origin[None]
  along = jnp.dot(shifted, origin, precision=jax.lax.Precision.HIGHEST)
  return shifted, along + jnp.sum(shifted**2, axis=1) / 2


def closeness(
  points: jax.Array,
  targets: jax.Array,
  origin: jax.Array,
  precision: str = 'highest',
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
    precision: see `inner_products`.

  Returns:
    `[N, K]`; the larger, the closer.
  """
  shifted, offsets = shift(targets, origin)
  return inner_products(points, shifted, precision) - offsets[None]


def nearest(
  points: jax.Array,
  targets: jax.Array,
  origin: jax.Array,
  precision: str = 'highest',
) -> tuple[jax.Array, jax.Array]:
  """Which target is nearest to each point, and its closeness.

  Args:
    points: as in `closeness`, `[N, D]`.
    targets: likewise, `[K, D]`.
    origin: likewise, `[D]`.
    precision: see `inner_products`.

  Returns:
    The index of the nearest target, the first of equally near ones, `[N]`,
    int32, and its `closeness`, `[N]`.
  """
  return largest_product(points, *shift(targets, origin), precision)


def largest_product(
  points: jax.Array, targets: jax.Array, offsets: jax.Array, precision: str
) -> tuple[jax.Array, jax.Array]:
  """Which inner product less its target's offset `[K]` is the largest.

  Returns:
    The first such index `[N]`, int32, and what it is the index of, `[N]`.
  """
  by_point = functools.partial(_largest_by_point, precision=precision)
  if len(targets) > _FEW_TARGETS:
    on_cpu = lambda points, targets, offsets: jax.tree.map(
      lambda x: x[0],
      largest_by_target(points, targets[None], offsets[None], precision),
    )
  else:
    on_cpu = functools.partial(by_point, num_more=_num_more(*targets.shape))
  return jax.lax.platform_dependent(
    points, targets, offsets, cpu=on_cpu, default=by_point
  )


def _num_more(num_targets, width):
  """How many more targets make the product faster on a CPU."""
  num_more = -num_targets % 8
  return num_more if width >= _WIDE and num_more < num_targets else 0


def _largest_by_point(points, targets, offsets, precision, num_more=0):
  """With so many more targets in the product, that are then left out."""
  filled = jnp.pad(targets, ((0, num_more), (0, 0)))
  values = inner_products(points, filled, precision)
  values = values[:, : len(targets)] - offsets[None]
  indices = jnp.argmax(values, axis=1).astype(jnp.int32)
  return indices, jnp.max(values, axis=1)


def largest_by_target(
  points: jax.Array, targets: jax.Array, offsets: jax.Array, precision: str
) -> tuple[jax.Array, jax.Array]:
  """`largest_product` for several sets of targets, `[L, K, D]`, at once.

  One target after the other against all points: steps that vectorise.

  Returns:
    As `largest_product`, `[L, N]` each.
  """
  num_sets, num_targets, width = targets.shape
  rows = targets.reshape(-1, width)
  parts = narrow(rows, points.dtype, precision)
  values = sum(_dot(part, points, precision, targets.dtype) for part in parts)
  values = values.reshape(num_sets, num_targets, -1)
  # The offsets are taken off one by one, too: done at once, it would be a pass
  # over all values of its own.
  value_fn = lambda index: values[:, index] - offsets[:, index, None]

  def body_fn(index, best):
    indices, largest = best
    value = value_fn(index)
    larger = value > largest
    return (
      jnp.where(larger, jnp.int32(index), indices),
      jnp.where(larger, value, largest),
    )

  first = jnp.zeros((num_sets, len(points)), jnp.int32), value_fn(0)
  return jax.lax.fori_loop(1, num_targets, body_fn, first, unroll=8)
