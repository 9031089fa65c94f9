"""K-means: Lloyd's iterations.

In shape descriptions `N` is the number of points, `D` their width, `K` the
number of clusters. Nothing of size `N x K x D` is ever built.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import _validate
from splitjax.attacks import similarity

KERNELS = ('xla', 'pallas')
# Below this share of the squared norms the inertia is summed point by point.
_LEAST_INERTIA = 0.02


class Clusters(NamedTuple):
  """What a pass over the points finds.

  Attributes:
    indices: the nearest target, the first of equally near ones, `[N]`, int32.
    closeness: of that target, see `similarity.closeness`, `[N]`.
    sums: of each target's points, `[K, D]`; None where they were not added up.
    sizes: how many points each target has, `[K]`; None likewise.
  """

  indices: jax.Array
  closeness: jax.Array
  sums: jax.Array | None = None
  sizes: jax.Array | None = None


class KMeansResult(NamedTuple):
  """What K-means found.

  Attributes:
    centroids: `[K, D]`, float32 or wider.
    assignments: the nearest centroid of each point, the first where several
      are equally near, `[N]`.
    inertia: the sum of squared distances to the nearest centroid, a scalar.
    num_iters: Lloyd iterations run, a scalar.
    converged: whether it stopped before `max_iters` ran out, a scalar.
  """

  centroids: jax.Array
  assignments: jax.Array
  inertia: jax.Array
  num_iters: jax.Array
  converged: jax.Array


@functools.partial(
  jax.jit, static_argnames=('max_iters', 'precision', 'kernel')
)
def kmeans(
  points: jax.Array,
  init_centroids: jax.Array,
  *,
  max_iters: int = 100,
  tol: float = 1e-4,
  precision: str = 'highest',
  kernel: str = 'xla',
) -> KMeansResult:
  """Clusters points by Lloyd's iterations from given centroids.

  Stops when no assignment changes, or when the centroids together moved less
  than `tol` times the mean variance of the features (squared distances), as
  scikit-learn does. A cluster that loses all its points keeps its centroid.
  Under `jax.vmap` over `init_centroids` alone the points are not copied.

  Args:
    points: `[N, D]`, `N >= K`; bfloat16 is accumulated in float32.
    init_centroids: `[K, D]`.
    max_iters: most iterations to run, at least 1.
    tol: relative tolerance; 0 runs until no assignment changes.
    precision: of the factors of the products, 'highest', 'high' or 'default';
      below the first a GPU may round float32 to TensorFloat32, and centroids
      are rounded to the type of narrower points. Sums stay float32.
    kernel: 'xla', or 'pallas' for one read of the points an iteration on an
      NVIDIA GPU (see `splitjax.attacks.fused`; interpreted, thus slow, on a
      CPU). Float64, more than 128 clusters and other devices fall back to
      'xla'; rows sharded over devices are for 'xla'.

  Returns:
    A `KMeansResult`.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.matrices(points=points, init_centroids=init_centroids)
  _validate.count(
    'the number of init_centroids',
    len(init_centroids),
    at_most=len(points),
  )
  _validate.count('max_iters', max_iters)
  _validate.choice('precision', precision, similarity.PRECISIONS)
  _validate.choice('kernel', kernel, KERNELS)
  return lloyd(
    points,
    init_centroids,
    max_iters=max_iters,
    tol=tol,
    precision=precision,
    kernel=kernel,
  )


def lloyd(
  points: jax.Array,
  init_centroids: jax.Array,
  *,
  max_iters: int,
  tol: float | jax.Array,
  precision: str,
  kernel: str = 'xla',
) -> KMeansResult:
  """`kmeans` without its checks, to be called under a jit of the caller's."""
  dtype = jnp.result_type(points, init_centroids, jnp.float32)
  init_centroids = init_centroids.astype(dtype)
  origin = jnp.mean(points, axis=0, dtype=dtype)
  squares = (points.astype(dtype) - origin[None]) ** 2
  # A sum a feature first: one sum over all numbers in turn rounds too much.
  variances = jax.lax.optimization_barrier(jnp.mean(squares, axis=0))
  run = functools.partial(_iterate, max_iters=max_iters, precision=precision)
  branches = dict(
    cpu=functools.partial(run, sums_fn=_sums_by_segment),
    default=functools.partial(run, sums_fn=_sums_by_product),
  )
  if kernel == 'pallas':
    from splitjax.attacks import fused

    if dtype == jnp.float32 and len(init_centroids) <= fused.MOST_TARGETS:
      interpreted = functools.partial(fused.nearest_and_sums, interpret=True)
      branches |= dict(
        cpu=functools.partial(run, nearest_fn=interpreted),
        cuda=functools.partial(run, nearest_fn=fused.nearest_and_sums),
      )
  # Vmapped, all starts would iterate until the slowest has settled. That pays
  # where a device waits for work, not on a CPU, which takes them one by one.
  branches['cpu'] = jax.custom_batching.sequential_vmap(branches['cpu'])
  return jax.lax.platform_dependent(
    points,
    init_centroids,
    origin,
    jnp.sum(variances),
    tol * jnp.mean(variances),
    **branches,
  )


def _nearest(points, targets, offsets, precision):
  """`fused.nearest_and_sums` without the sums."""
  return Clusters(
    *similarity.largest_product(points, targets, offsets, precision)
  )


def _iterate(
  points,
  init_centroids,
  origin,
  variance,
  least_move,
  *,
  max_iters,
  precision,
  nearest_fn=_nearest,
  sums_fn=None,
):
  """Lloyd's iterations until the centroids move less than `least_move`.

  `nearest_fn` finds `Clusters`; `sums_fn` adds them up where it does not.
  """

  def assign(centroids):
    shifted = centroids - origin[None]
    offsets = similarity.target_offsets(shifted, origin)
    return nearest_fn(points, shifted, offsets, precision)

  def cond_fn(carry):
    _, _, num_iters, converged = carry
    return (num_iters < max_iters) & ~converged

  def body_fn(carry):
    centroids, clusters, num_iters, _ = carry
    new_centroids = _means(points, clusters, centroids, sums_fn)
    new_clusters = assign(new_centroids)
    moved = jnp.sum((new_centroids - centroids) ** 2)
    still = moved <= least_move
    # The next iteration, if there is one, changes nothing and counts as run.
    settled = jnp.all(new_clusters.indices == clusters.indices) & ~still
    settled = settled & (num_iters + 1 < max_iters)
    num_iters = num_iters + 1 + settled
    return new_centroids, new_clusters, num_iters, still | settled

  start = init_centroids, assign(init_centroids), jnp.int32(0), jnp.bool(False)
  centroids, clusters, num_iters, converged = jax.lax.while_loop(
    cond_fn, body_fn, start
  )
  return KMeansResult(
    centroids=centroids,
    assignments=clusters.indices,
    inertia=_inertia(points, centroids, clusters, origin, variance),
    num_iters=num_iters,
    converged=converged,
  )


def _means(points, clusters, centroids, sums_fn):
  """The mean of each cluster, its old centroid where it has no point."""
  sums, sizes = clusters.sums, clusters.sizes
  if sums is None:
    sums = sums_fn(points, clusters.indices, len(centroids), centroids.dtype)
    sizes = jnp.zeros(len(centroids), sums.dtype).at[clusters.indices].add(1)
  sizes = sizes[:, None]
  return jnp.where(sizes > 0, sums / jnp.maximum(sizes, 1), centroids)


def _inertia(points, centroids, clusters, origin, variance):
  """The sum of squared distances to the centroids."""
  # By definition of `closeness`; no read of the points. Where it is small
  # beside the sum of squared norms, little is left of its digits.
  quick = len(points) * variance - 2 * jnp.sum(clusters.closeness)
  least = _LEAST_INERTIA * len(points) * (variance + jnp.sum(origin**2))

  def exact():
    gaps = points.astype(centroids.dtype) - centroids[clusters.indices]
    return jnp.sum(jax.lax.optimization_barrier(jnp.sum(gaps**2, axis=0)))

  return jax.lax.cond(quick > least, lambda: quick, exact)


def sums_of_clusters(
  points: jax.Array, assignments: jax.Array, num_clusters: int
) -> jax.Array:
  """The sum of each cluster's points, `[K, D]`, in float32 or wider."""
  dtype = jnp.promote_types(points.dtype, jnp.float32)
  bind = lambda fn: lambda points, rows: fn(points, rows, num_clusters, dtype)
  return jax.lax.platform_dependent(
    points,
    assignments,
    cpu=bind(_sums_by_segment),
    default=bind(_sums_by_product),
  )


def _sums_by_segment(points, assignments, num_clusters, dtype):
  """Adds each point to its cluster's sum `[K, D]`: the least work."""
  sums = jnp.zeros((num_clusters, points.shape[1]), dtype)
  return sums.at[assignments].add(points.astype(dtype))


def _sums_by_product(points, assignments, num_clusters, dtype):
  """The same as one matrix product, for devices where adding by index waits."""
  clusters = jnp.arange(num_clusters)[:, None]
  members = (assignments[None] == clusters).astype(points.dtype)  # [K, N]
  return jnp.dot(
    members,
    points,
    precision=jax.lax.Precision.HIGHEST,
    preferred_element_type=dtype,
  )
