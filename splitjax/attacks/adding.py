"""Sums of each cluster's points, in two ways for two kinds of device; means.

In shape descriptions `N` is the number of points, `D` their width, `K` the
number of clusters.
"""

import jax
import jax.numpy as jnp

# Points that are added up on their own: one sum of millions would round away
# more than is left of a small move.
BLOCK = 4096


def sums_of_clusters(
  points: jax.Array,
  assignments: jax.Array,
  num_clusters: int,
  start: jax.Array | None = None,
) -> jax.Array:
  """The sum of each cluster's points, `[K, D]`, in float32 or wider.

  Args:
    points: `[N, D]`.
    assignments: the cluster of each, `[N]`.
    num_clusters: `K`.
    start: sums of earlier points, `[K, D]`, to add to in their type. On a CPU,
      after a multiple of `BLOCK` points and with no more clusters than that,
      the result is that of adding up all at once, to the last bit.

  Returns:
    The sums.
  """
  if start is None:
    dtype = jnp.promote_types(points.dtype, jnp.float32)
    start = jnp.zeros((num_clusters, points.shape[1]), dtype)
  bind = lambda fn: (
    lambda points, rows, start: fn(
      points, rows, num_clusters, start.dtype, start
    )
  )
  return jax.lax.platform_dependent(
    points,
    assignments,
    start,
    cpu=bind(by_segment),
    default=bind(by_product),
  )


def by_segment(points, assignments, num_clusters, dtype, start=None):
  """Adds each point to its cluster's sum `[K, D]`: the least work."""
  num, width = points.shape
  block = max(BLOCK, num_clusters)  # No more sums than there are points.
  num_blocks = -(-num // block)
  blocks = jnp.zeros((num_blocks * num_clusters, width), dtype)
  rows = jnp.arange(num) // block * num_clusters + assignments
  blocks = blocks.at[rows].add(points.astype(dtype))
  # Else XLA would have a single block start from the earlier sums.
  blocks = jax.lax.optimization_barrier(blocks)
  blocks = blocks.reshape(num_blocks, num_clusters, width)
  if start is None:
    start, blocks = blocks[0], blocks[1:]
  return jax.lax.scan(lambda sums, one: (sums + one, None), start, blocks)[0]


def by_product(points, assignments, num_clusters, dtype, start=None):
  """The same as one matrix product, for devices where adding by index waits."""
  clusters = jnp.arange(num_clusters)[:, None]
  members = (assignments[None] == clusters).astype(points.dtype)  # [K, N]
  sums = jnp.dot(
    members,
    points,
    precision=jax.lax.Precision.HIGHEST,
    preferred_element_type=dtype,
  )
  return sums if start is None else start + sums


@jax.jit
def means_of_clusters(
  sums: jax.Array, sizes: jax.Array, centroids: jax.Array
) -> jax.Array:
  """The mean of each cluster `[K, D]`, its centroid where it has no point."""
  sizes = sizes[:, None]
  means = sums / jnp.maximum(sizes, 1).astype(sums.dtype)
  return jnp.where(sizes > 0, means, centroids)
