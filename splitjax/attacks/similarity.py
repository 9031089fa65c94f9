"""Cosine and Euclidean similarity, as one matrix product.

On unit vectors `||u - v||^2 = 2 - 2 cos(u, v)`, so one Euclidean kernel serves
both similarities of Liu et al. (https://arxiv.org/abs/2203.05222).

In shape descriptions `N` is the number of points, `D` their width and `K` the
number of targets.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks.conditioning import largest_entry as largest_entry
from splitjax.attacks.conditioning import to_accumulator as to_accumulator
from splitjax.attacks.conditioning import unit_normalize as unit_normalize

METRICS = ('cosine', 'euclidean')
PRECISIONS = ('highest', 'high', 'default')
# With more targets than this, a CPU takes one target after the other: XLA's
# argmax over 100 costs as much as the product. With at most so many that are
# wide, the product may be filled up to 8 or 16 targets: one with 10 takes a
# third longer than one with 16.
_FEW_TARGETS = 16
_WIDE = 512


def inner_products(
  points: jax.Array, targets: jax.Array, precision: str = 'highest'
) -> jax.Array:
  """Return all inner products, accumulated in float32 or wider.

  Points that are narrower than float32 are not widened in memory. The targets
  are split into two narrow parts instead, which lose nothing that matters.

  Args:
    points: the points, `[N, D]`.
    targets: the targets, `[K, D]`, float32 or wider.
    precision: precision of the factors, one of `PRECISIONS`. Below 'highest' a
      device may round float32 (a GPU to TensorFloat32), and the targets of
      narrow points are rounded to their type.

  Returns:
    `[N, K]` in the type of `targets`.
  """
  parts = narrow(targets, points.dtype, precision)
  dots = [_dot(points, part, precision, targets.dtype) for part in parts]
  return sum(dots[1:], start=dots[0])


def narrow(
  targets: jax.Array, dtype: jax.typing.DTypeLike, precision: str
) -> list[jax.Array]:
  """Return one or two arrays of a type that add up to the targets `[K, D]`."""
  high = targets.astype(dtype)
  if targets.dtype == dtype or precision != 'highest':
    return [high]
  return [high, (targets - high.astype(targets.dtype)).astype(dtype)]


def _dot(
  rows: jax.Array,
  others: jax.Array,
  precision: str,
  dtype: jax.typing.DTypeLike,
) -> jax.Array:
  """Return the inner products of the rows of two matrices."""
  return jax.lax.dot_general(
    rows,
    others,
    (((1,), (1,)), ((), ())),
    precision=precision,
    preferred_element_type=dtype,
  )


def coarse_origin(mean: jax.Array, variance: jax.Array) -> jax.Array:
  """Round the mean, by less than a sixteenth of a standard deviation.

  The result still lies amid the points. It is nearly always the same to the
  last bit, in whatever order the mean was summed up: in chunks, on several
  devices, or all at once.

  Args:
    mean: mean of the points, `[D]`.
    variance: variance of the features, on average, a scalar.

  Returns:
    An origin for `closeness`, `[D]`.
  """
  _, exponent = jnp.frexp(variance)
  step = jnp.ldexp(jnp.ones((), mean.dtype), exponent // 2 - 4)
  rounded = jnp.round(mean / step) * step
  return jnp.where((variance > 0) & jnp.isfinite(rounded), rounded, mean)


def shift(targets: jax.Array, origin: jax.Array) -> tuple[jax.Array, jax.Array]:
  r"""Return shifted targets and offsets, whose products rank by distance.

  A point's inner product with a shifted target, less the offset of that target,
  is their `closeness`.

  Args:
    targets: the targets $t$, `[K, D]`.
    origin: the origin $o$, `[D]`.

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
  r"""Return how close each point is to each target; ranks as the distance does.

  With $t' = t - o$, the closeness is
  $x^T t' - o^T t' - ||t'||^2 / 2 = (||x - o||^2 - ||x - t||^2) / 2$:
  one matrix product. An origin amid the points keeps the rounding error small
  where the points lie far from zero, and no centred copy of them is made.

  Args:
    points: the points $x$, `[N, D]`.
    targets: the targets $t$, `[K, D]`, float32 or wider.
    origin: the origin $o$, `[D]`, in the type of `targets`.
    precision: precision of the factors, see `inner_products`.

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
  """Find the target that is nearest to each point.

  Args:
    points: the points, `[N, D]`.
    targets: the targets, `[K, D]`, float32 or wider.
    origin: origin amid the points, `[D]`, as in `closeness`.
    precision: precision of the factors, see `inner_products`.

  Returns:
    The index of the nearest target, the first of equally near ones, `[N]`,
    int32, and its `closeness`, `[N]`.
  """
  return largest_product(points, *shift(targets, origin), precision)


def largest_product(
  points: jax.Array, targets: jax.Array, offsets: jax.Array, precision: str
) -> tuple[jax.Array, jax.Array]:
  """Find each point's largest inner product, less the offset of its target.

  Args:
    points: the points, `[N, D]`.
    targets: the targets, `[K, D]`, float32 or wider.
    offsets: what is taken off the products with each target, `[K]`.
    precision: precision of the factors, see `inner_products`.

  Returns:
    The index of the first target with the largest value, `[N]`, int32, and that
    value, `[N]`.
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


def _num_more(num_targets: int, width: int) -> int:
  """Return how many more targets make the product faster on a CPU."""
  num_more = -num_targets % 8
  return num_more if width >= _WIDE and num_more < num_targets else 0


def _largest_by_point(
  points: jax.Array,
  targets: jax.Array,
  offsets: jax.Array,
  precision: str,
  num_more: int = 0,
) -> tuple[jax.Array, jax.Array]:
  """Compute `largest_product` with `num_more` targets that are left out."""
  filled = jnp.pad(targets, ((0, num_more), (0, 0)))
  values = inner_products(points, filled, precision)
  values = values[:, : len(targets)] - offsets[None]
  indices = jnp.argmax(values, axis=1).astype(jnp.int32)
  return indices, jnp.max(values, axis=1)


def largest_by_target(
  points: jax.Array, targets: jax.Array, offsets: jax.Array, precision: str
) -> tuple[jax.Array, jax.Array]:
  """Compute `largest_product` for `L` sets of targets at once.

  One target after the other is compared with all points, in steps that
  vectorise.

  Args:
    points: the points, `[N, D]`.
    targets: the sets of targets, `[L, K, D]`, float32 or wider.
    offsets: what is taken off the products with each target, `[L, K]`.
    precision: precision of the factors, see `inner_products`.

  Returns:
    The results of `largest_product`, `[L, N]` each.
  """
  num_sets, num_targets, width = targets.shape
  parts = narrow(targets.reshape(-1, width), points.dtype, precision)
  dots = [_dot(part, points, precision, targets.dtype) for part in parts]
  values = sum(dots[1:], start=dots[0]).reshape(num_sets, num_targets, -1)
  # The offsets are taken off one by one, too: done at once, it would be a pass
  # over all values of its own.
  value_fn = lambda index: values[:, index] - offsets[:, index, None]

  def body_fn(
    index: int | jax.Array, best: tuple[jax.Array, jax.Array]
  ) -> tuple[jax.Array, jax.Array]:
    indices, largest = best
    value = value_fn(index)
    larger = value > largest
    return (
      jnp.where(larger, jnp.int32(index), indices),
      jnp.where(larger, value, largest),
    )

  first = jnp.zeros((num_sets, len(points)), jnp.int32), value_fn(0)
  return jax.lax.fori_loop(1, num_targets, body_fn, first, unroll=8)
