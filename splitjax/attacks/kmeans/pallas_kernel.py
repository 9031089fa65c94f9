"""Nearest targets and their points' sums in one kernel, for GPUs.

XLA reads the points twice in a Lloyd iteration, since it fuses nothing with a
matrix product: once to find the nearest centroids, of which `[N, K]` goes
through memory, and once to add up the clusters. Here a program of the grid
takes a block of points that stays in cache, finds their nearest centroids and
adds them up there.

It is written in Pallas for its Triton compiler. On a CPU it is interpreted,
which is slow and only good to test it. Elsewhere (a TPU), and for many
clusters, XLA's own way is taken. JAX 0.11 calls that compiler deprecated:
nothing but `kernel='pallas'` imports this module.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
import jax.numpy as jnp

from splitjax.attacks import similarity

# The blocks' sums go through memory: with more targets they would be as many
# numbers as a second read of the points.
MOST_TARGETS = 32
# The tensor cores' smallest product, and as many columns as are read at once.
_LEAST_TARGETS = 16
_BLOCK_WIDTH = 64
# A block is read twice; so many bytes on each of some hundred processors still
# lie in a cache of tens of megabytes the second time.
_BLOCK_BYTES = 2**19
_BLOCK_ROWS = (16, 128)


class Clusters(NamedTuple):
  """What a pass over the points finds.

  Attributes:
    indices: the nearest target, the first of equally near ones, `[N]`, int32.
    closeness: the `similarity.closeness` of that target, `[N]`.
    sums: the sum of each target's points, `[K, D]`.
    sizes: the number of each target's points, `[K]`.
  """

  indices: jax.Array
  closeness: jax.Array
  sums: jax.Array
  sizes: jax.Array


def nearest_and_sums(
  points: jax.Array,
  targets: jax.Array,
  offsets: jax.Array,
  precision: str = 'highest',
  *,
  interpret: bool = False,
) -> Clusters:
  """Find the largest inner product less its offset, and add the points up.

  Args:
    points: points, `[N, D]`, float32 or narrower.
    targets: targets, `[K, D]`, float32, `K <= MOST_TARGETS`.
    offsets: what is taken off the products with each target, `[K]`, float32.
    precision: precision of the factors, see `similarity.inner_products`.
    interpret: whether to run it without compiling it, on any device.

  Returns:
    `Clusters`; sums are float32, added in an order that does not change
    from run to run.
  """
  num_points, width = points.shape
  num_targets = len(targets)
  padded = pl.next_power_of_2(max(num_targets, _LEAST_TARGETS))
  rows = _rows_of_block(width * points.dtype.itemsize)
  num_blocks = pl.cdiv(num_points, rows)
  # Rows that pad are never the nearest, since their offset is infinite.
  pad = ((0, padded - num_targets), (0, 0))
  narrow = similarity.narrow(targets, points.dtype, precision)
  parts = [jnp.pad(part, pad).T for part in narrow]
  offsets = jnp.pad(offsets, pad[0], constant_values=jnp.inf)
  kernel = functools.partial(
    _kernel,
    num_parts=len(parts),
    rows=rows,
    columns=min(_BLOCK_WIDTH, pl.next_power_of_2(max(width, 16))),
    precision=precision,
  )
  out_shape = (
    jax.ShapeDtypeStruct((num_blocks * rows,), jnp.int32),
    jax.ShapeDtypeStruct((num_blocks * rows,), jnp.float32),
    jax.ShapeDtypeStruct((num_blocks, padded, width), jnp.float32),
    jax.ShapeDtypeStruct((num_blocks, padded), jnp.float32),
  )
  indices, closeness, sums, sizes = pl.pallas_call(
    kernel,
    grid=(num_blocks,),
    out_shape=out_shape,
    interpret=interpret,
    compiler_params=None if interpret else plgpu.CompilerParams(num_warps=4),
    name='nearest_and_sums',
  )(points, offsets, *parts)
  return Clusters(
    indices=indices[:num_points],
    closeness=closeness[:num_points],
    sums=jnp.sum(sums, axis=0)[:num_targets],
    sizes=jnp.sum(sizes.astype(jnp.int32), axis=0)[:num_targets],
  )


def _rows_of_block(row_bytes: int) -> int:
  """Return how many points a block has, a power of 2."""
  fits = _BLOCK_BYTES // row_bytes
  least, most = _BLOCK_ROWS
  return max(least, min(most, pl.next_power_of_2(fits)))


def _kernel(
  points_ref: Any,
  offsets_ref: Any,
  *refs: Any,
  num_parts: int,
  rows: int,
  columns: int,
  precision: str,
) -> None:
  """Find the nearest targets of a block of points, and add the points up.

  Args:
    points_ref: all points, `[N, D]`.
    offsets_ref: offsets of the padded targets, `[padded]`.
    *refs: the parts of the targets, `[D, padded]` each, followed by the four
      outputs.
    num_parts: number of parts of the targets.
    rows: number of points of a block.
    columns: number of features that are read at a time.
    precision: precision of the products.
  """
  part_refs = refs[:num_parts]
  indices_ref, closeness_ref, sums_ref, sizes_ref = refs[num_parts:]
  num_points, width = points_ref.shape
  padded = len(offsets_ref)
  block = pl.program_id(0)
  is_point = block * rows + jnp.arange(rows) < num_points
  is_column = lambda step: step * columns + jnp.arange(columns) < width

  def load(step: jax.Array) -> jax.Array:  # [rows, columns], zero outside.
    inside = is_point[:, None] & is_column(step)[None]
    index = pl.ds(block * rows, rows), pl.ds(step * columns, columns)
    return plgpu.load(points_ref.at[index], mask=inside, other=0)

  def load_part(step: jax.Array, ref: Any) -> jax.Array:  # [columns, padded].
    mask = jnp.broadcast_to(is_column(step)[:, None], (columns, padded))
    index = pl.ds(step * columns, columns), slice(None)
    return plgpu.load(ref.at[index], mask=mask, other=0)

  num_steps = pl.cdiv(width, columns)
  products = _sum_products(
    num_steps, (rows, padded), load, load_part, part_refs, precision
  )
  values = products - offsets_ref[...][None]
  nearest = jnp.argmax(values, axis=1).astype(jnp.int32)
  block_rows = pl.ds(block * rows, rows)
  indices_ref[block_rows] = nearest
  closeness_ref[block_rows] = jnp.max(values, axis=1)
  targets = jnp.arange(padded)[:, None]
  members = (nearest[None] == targets) & is_point[None]  # [padded, rows]
  sizes_ref[block, :] = jnp.sum(members.astype(jnp.float32), axis=1)

  def add_points(step: jax.Array, carry: int) -> int:
    points = load(step)
    # In full, whatever `precision`: sums stay float32.
    sums = _dot(members.astype(points.dtype), points, precision='highest')
    mask = jnp.broadcast_to(is_column(step)[None], sums.shape)
    index = block, slice(None), pl.ds(step * columns, columns)
    plgpu.store(sums_ref.at[index], sums, mask=mask)
    return carry

  jax.lax.fori_loop(0, num_steps, add_points, 0)


_dot = functools.partial(jnp.dot, preferred_element_type=jnp.float32)


def _sum_products(
  num_steps: int,
  shape: tuple[int, int],
  load_points: Callable[[jax.Array], jax.Array],
  load_part: Callable[[jax.Array, Any], jax.Array],
  part_refs: tuple[Any, ...],
  precision: str,
) -> jax.Array:
  """Return the inner products of a block's points with all targets."""

  def add(step: jax.Array, total: jax.Array) -> jax.Array:
    points = load_points(step)
    for ref in part_refs:
      total += _dot(points, load_part(step, ref), precision=precision)
    return total

  return jax.lax.fori_loop(0, num_steps, add, jnp.zeros(shape, jnp.float32))
