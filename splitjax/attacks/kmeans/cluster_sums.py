"""The sum of each cluster's points, in one way for a CPU and one for a GPU.

In shape descriptions `N` is the number of points, `D` their width and `K` the
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
  """Add each cluster's points to the sums of earlier points.

  Args:
    points: points, `[N, D]`.
    assignments: cluster of each point, `[N]`.
    start: sums of earlier points, or zeros, `[K, D]`, float32 or wider. On a
      CPU the result is that of adding up all points at once, to the last bit,
      if there were a multiple of `BLOCK` earlier points and there are at most
      `BLOCK` clusters.

  Returns:
    The sums, `[K, D]` in the type of `start`.
  """
  return jax.lax.platform_dependent(
    points, assignments, start, cpu=by_segment, default=by_product
  )


def by_segment(
  points: jax.Array, assignments: jax.Array, start: jax.Array
) -> jax.Array:
  """Add each point to the sum of its cluster, which is the least work.

  Args:
    points: points, `[N, D]`.
    assignments: cluster of each point, `[N]`.
    start: sums to add to, `[K, D]`.

  Returns:
    The sums, `[K, D]` in the type of `start`.
  """
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


def by_product(
  points: jax.Array, assignments: jax.Array, start: jax.Array
) -> jax.Array:
  """Add up clusters as one matrix product, where adding by index is slow.

  Args:
    points: points, `[N, D]`.
    assignments: cluster of each point, `[N]`.
    start: sums to add to, `[K, D]`.

  Returns:
    The sums, `[K, D]` in the type of `start`.
  """
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
  """Return the mean of each cluster, or its centroid if it has no point.

  Args:
    sums: sum of each cluster's points, `[K, D]`.
    sizes: number of points of each cluster, `[K]`.
    centroids: centroids of clusters without points, `[K, D]`.

  Returns:
    The means, `[K, D]`.
  """
  sizes = sizes[:, None]
  means = sums / jnp.maximum(sizes, 1).astype(sums.dtype)
  return jnp.where(sizes > 0, means, centroids)
