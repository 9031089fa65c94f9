"""Nearest targets and their points' sums in one kernel, for GPUs.

XLA reads the points twice in a Lloyd iteration, since it fuses nothing with a
matrix product: once to find the nearest centroids, of which `[N, K]` goes
through memory, and once to add up the clusters. Here a program of the grid
takes a block of points that stays in cache, finds their nearest centroids and
adds them up there.

Written in Pallas for its Triton compiler; on a CPU it is interpreted, which is
slow and only good to test it. Elsewhere (a TPU), and for many clusters, XLA's
own way is taken. JAX 0.11 calls that compiler deprecated: nothing but
`kernel='pallas'` imports this module.
"""

import functools
from typing import NamedTuple

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
    closeness: of that target, see `similarity.closeness`, `[N]`.
    sums: of each target's points, `[K, D]`.
    sizes: how many points each target has, `[K]`.
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
  """Finds the largest inner product less its offset, and adds the points up.

  Args:
    points: `[N, D]`, float32 or narrower.
    targets: `[K, D]`, float32, `K <= MOST_TARGETS`.
    offsets: `[K]`, float32.
    precision: see `similarity.inner_products`.
    interpret: whether to run it without compiling it, on any device.

  Returns:
    `Clusters`; sums are float32, added in an order that does not change
    from run to run.
  """
  num_points, width = points.shape
  num_targets = len(targets)
  padded = pl.next_power_of_2(max(num_targets, _LEAST_TARGETS))
  fits = _BLOCK_BYTES // (width * points.dtype.itemsize)
  rows = max(_BLOCK_ROWS[0], min(_BLOCK_ROWS[1], pl.next_power_of_2(fits)))
  num_blocks = pl.cdiv(num_points, rows)
  # Rows that pad are never the nearest, since their offset is infinite.
  pad = ((0, padded - num_targets), (0, 0))
  parts = [
    jnp.pad(part, pad).T
    for part in similarity.narrow(targets, points.dtype, precision)
  ]
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


def _kernel(
  points_ref, offsets_ref, *refs, num_parts, rows, columns, precision
):
  """One block of `rows` points, `columns` of their numbers at a time."""
  part_refs = refs[:num_parts]
  indices_ref, closeness_ref, sums_ref, sizes_ref = refs[num_parts:]
  num_points, width = points_ref.shape
  padded = len(offsets_ref)
  block = pl.program_id(0)
  row_ids = block * rows + jnp.arange(rows)
  is_point = row_ids < num_points
  num_steps = pl.cdiv(width, columns)
  dot = functools.partial(jnp.dot, preferred_element_type=jnp.float32)

  def load(step):  # [rows, columns], zero outside.
    inside = is_point[:, None] & is_column(step)[None]
    index = pl.ds(block * rows, rows), pl.ds(step * columns, columns)
    return plgpu.load(points_ref.at[index], mask=inside, other=0)

  def is_column(step):
    return step * columns + jnp.arange(columns) < width

  def add_products(step, total):
    points = load(step)
    mask = jnp.broadcast_to(is_column(step)[:, None], (columns, padded))
    for ref in part_refs:
      index = pl.ds(step * columns, columns), slice(None)
      part = plgpu.load(ref.at[index], mask=mask, other=0)
      total += dot(points, part, precision=precision)
    return total

  products = jax.lax.fori_loop(
    0, num_steps, add_products, jnp.zeros((rows, padded), jnp.float32)
  )
  values = products - offsets_ref[...][None]
  nearest = jnp.argmax(values, axis=1).astype(jnp.int32)
  block_rows = pl.ds(block * rows, rows)
  indices_ref[block_rows] = nearest
  closeness_ref[block_rows] = jnp.max(values, axis=1)

  targets = jnp.arange(padded)[:, None]
  members = (nearest[None] == targets) & is_point[None]  # [padded, rows]
  sizes_ref[block, :] = jnp.sum(members.astype(jnp.float32), axis=1)

  def add_points(step, carry):
    points = load(step)
    # In full, whatever `precision`: sums stay float32.
    sums = dot(members.astype(points.dtype), points, precision='highest')
    mask = jnp.broadcast_to(is_column(step)[None], sums.shape)
    index = block, slice(None), pl.ds(step * columns, columns)
    plgpu.store(sums_ref.at[index], sums, mask=mask)
    return carry

  jax.lax.fori_loop(0, num_steps, add_points, 0)
