"""Sums of the points of each cluster, in two ways for two kinds of device.

In shape descriptions `N` is the number of points, `D` their width, `K` the
number of clusters.
"""

import jax
import jax.numpy as jnp


def sums_of_clusters(
  points: jax.Array, assignments: jax.Array, num_clusters: int
) -> jax.Array:
  """The sum of each cluster's points, `[K, D]`, in float32 or wider."""
  dtype = jnp.promote_types(points.dtype, jnp.float32)
  bind = lambda fn: lambda points, rows: fn(points, rows, num_clusters, dtype)
  return jax.lax.platform_dependent(
    points,
    assignments,
    cpu=bind(by_segment),
    default=bind(by_product),
  )


def by_segment(points, assignments, num_clusters, dtype):
  """Adds each point to its cluster's sum `[K, D]`: the least work."""
  sums = jnp.zeros((num_clusters, points.shape[1]), dtype)
  return sums.at[assignments].add(points.astype(dtype))


def by_product(points, assignments, num_clusters, dtype):
  """The same as one matrix product, for devices where adding by index waits."""
  clusters = jnp.arange(num_clusters)[:, None]
  members = (assignments[None] == clusters).astype(points.dtype)  # [K, N]
  return jnp.dot(
    members,
    points,
    precision=jax.lax.Precision.HIGHEST,
    preferred_element_type=dtype,
  )
