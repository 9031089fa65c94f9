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
  points: jax.Array, assignments: jax.Array, start: jax.Array
) -> jax.Array:
  """The sum of each cluster's points, added to earlier sums.

  Args:
    points: `[N, D]`.
    assignments: the cluster of each, `[N]`.
    start: the sums of earlier points, or zeros, `[K, D]`, float32 or wider. On
      a CPU, after a multiple of `BLOCK` points and with no more clusters than
      that, the result is that of adding up all at once, to the last bit.

  Returns:
    The sums, `[K, D]` in the type of `start`.
  """
  return jax.lax.platform_dependent(
    points, assignments, start, cpu=by_segment, default=by_product
  )


def by_segment(points, assignments, start):
  """Adds each point to its cluster's sum: the least work."""
  num_clusters, width = start.shape
  block = max(BLOCK, num_clusters)  # No more sums than there are points.
  num_blocks = -(-len(points) // block)
  blocks = jnp.zeros((num_blocks * num_clusters, width), start.dtype)
  rows = jnp.arange(len(points)) // block * num_clusters + assignments
  blocks = blocks.at[rows].add(points.astype(start.dtype))
  # Else XLA would have a single block start from the earlier sums.
  blocks = jax.lax.optimization_barrier(blocks)
  blocks = blocks.reshape(num_blocks, num_clusters, width)
  return jax.lax.scan(lambda sums, one: (sums + one, None), start, blocks)[0]


def by_product(points, assignments, start):
  """The same as one matrix product, for devices where adding by index waits."""
  clusters = jnp.arange(len(start))[:, None]
  members = (assignments[None] == clusters).astype(points.dtype)  # [K, N]
  return start + jnp.dot(
    members,
    points,
    precision=jax.lax.Precision.HIGHEST,
    preferred_element_type=start.dtype,
  )


@jax.jit
def means_of_clusters(
  sums: jax.Array, sizes: jax.Array, centroids: jax.Array
) -> jax.Array:
  """The mean of each cluster `[K, D]`, its centroid where it has no point."""
  sizes = sizes[:, None]
  means = sums / jnp.maximum(sizes, 1).astype(sums.dtype)
  return jnp.where(sizes > 0, means, centroids)
