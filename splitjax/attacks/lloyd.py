"""K-means: Lloyd's iterations and the k-means++ start.

In shape descriptions `N` is the number of points, `D` their width, `K` the
number of clusters. Nothing of size `N x K x D` is ever built.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import _validate
from splitjax.attacks import similarity

# Below this share of the squared norms the inertia is summed point by point.
_LEAST_INERTIA = 0.02


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


@functools.partial(jax.jit, static_argnames=('max_iters', 'precision'))
def kmeans(
  points: jax.Array,
  init_centroids: jax.Array,
  *,
  max_iters: int = 100,
  tol: float = 1e-4,
  precision: str = 'highest',
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
  return lloyd(
    points, init_centroids, max_iters=max_iters, tol=tol, precision=precision
  )


def lloyd(
  points: jax.Array,
  init_centroids: jax.Array,
  *,
  max_iters: int,
  tol: float | jax.Array,
  precision: str,
) -> KMeansResult:
  """`kmeans` without its checks, to be called under a jit of the caller's."""
  dtype = jnp.result_type(points, init_centroids, jnp.float32)
  init_centroids = init_centroids.astype(dtype)
  origin = jnp.mean(points, axis=0, dtype=dtype)
  squares = (points.astype(dtype) - origin[None]) ** 2
  # A sum a feature first: one sum over all numbers in turn rounds too much.
  variances = jax.lax.optimization_barrier(jnp.mean(squares, axis=0))
  run = functools.partial(_iterate, max_iters=max_iters, precision=precision)
  # Vmapped, all starts would iterate until the slowest has settled. That pays
  # where a device waits for work, not on a CPU, which takes them one by one.
  on_cpu = jax.custom_batching.sequential_vmap(
    functools.partial(run, sums_fn=_sums_by_segment)
  )
  return jax.lax.platform_dependent(
    points,
    init_centroids,
    origin,
    jnp.sum(variances),
    tol * jnp.mean(variances),
    cpu=on_cpu,
    default=functools.partial(run, sums_fn=_sums_by_product),
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
  sums_fn,
):
  """Lloyd's iterations until the centroids move less than `least_move`."""
  assign = lambda centroids: similarity.nearest(
    points, centroids, origin, precision
  )

  def cond_fn(carry):
    _, _, num_iters, converged = carry
    return (num_iters < max_iters) & ~converged

  def body_fn(carry):
    centroids, (assignments, _), num_iters, _ = carry
    new_centroids = _means(points, assignments, centroids, sums_fn)
    nearest = assign(new_centroids)
    moved = jnp.sum((new_centroids - centroids) ** 2)
    still = moved <= least_move
    # The next iteration, if there is one, changes nothing and counts as run.
    settled = jnp.all(nearest[0] == assignments) & ~still
    settled = settled & (num_iters + 1 < max_iters)
    return new_centroids, nearest, num_iters + 1 + settled, still | settled

  start = init_centroids, assign(init_centroids), jnp.int32(0), jnp.bool(False)
  centroids, nearest, num_iters, converged = jax.lax.while_loop(
    cond_fn, body_fn, start
  )
  return KMeansResult(
    centroids=centroids,
    assignments=nearest[0],
    inertia=_inertia(points, centroids, *nearest, origin, variance),
    num_iters=num_iters,
    converged=converged,
  )


def _means(points, assignments, centroids, sums_fn):
  """The mean of each cluster, its old centroid where it has no point."""
  sums = sums_fn(points, assignments, len(centroids), centroids.dtype)
  sizes = jnp.zeros(len(centroids), sums.dtype).at[assignments].add(1)[:, None]
  return jnp.where(sizes > 0, sums / jnp.maximum(sizes, 1), centroids)


def _inertia(points, centroids, assignments, closeness, origin, variance):
  """The sum of squared distances to the centroids."""
  # By definition of `closeness`; no read of the points. Where it is small
  # beside the sum of squared norms, little is left of its digits.
  quick = len(points) * variance - 2 * jnp.sum(closeness)
  least = _LEAST_INERTIA * len(points) * (variance + jnp.sum(origin**2))

  def exact():
    gaps = points.astype(centroids.dtype) - centroids[assignments]
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


@functools.partial(jax.jit, static_argnames='num_clusters')
def kmeans_plus_plus(
  key: jax.Array, points: jax.Array, *, num_clusters: int
) -> jax.Array:
  """Draws starting centroids that are spread over the points.

  The greedy k-means++ that scikit-learn uses: each next centroid is the best
  of `2 + log(K)` points drawn with probability proportional to the squared
  distance to the nearest centroid so far (Arthur and Vassilvitskii, 2007).
  Where all points coincide with a centroid, the draw is uniform.

  Args:
    key: the random key.
    points: `[N, D]`.
    num_clusters: `K`, between 1 and `N`.

  Returns:
    Centroids `[K, D]`, rows of `points`, float32 or wider.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.matrices(points=points)
  _validate.count('num_clusters', num_clusters, at_most=len(points))
  return spread_centroids(start_draws(key, num_clusters), points)


def start_draws(
  key: jax.Array, num_clusters: int, num_starts: tuple[int, ...] = ()
) -> jax.Array:
  """The uniform draws of k-means++, `[*num_starts, K, 2 + log(K)]`."""
  num_candidates = 2 + int(math.log(num_clusters))
  return jax.random.uniform(key, (*num_starts, num_clusters, num_candidates))


def spread_centroids(draws: jax.Array, points: jax.Array) -> jax.Array:
  """`kmeans_plus_plus` from its `start_draws`, under a jit of the caller's."""
  num_points = len(points)
  dtype = jnp.promote_types(points.dtype, jnp.float32)
  origin = jnp.mean(points, axis=0, dtype=dtype)
  halves = jnp.sum((points.astype(dtype) - origin[None]) ** 2, axis=1) / 2

  def sq_distances(rows):  # [L] -> [N, L]
    close = similarity.closeness(points, points[rows].astype(dtype), origin)
    far = 2 * jnp.maximum(halves[:, None] - close, 0)
    return jnp.where(jnp.arange(num_points)[:, None] == rows[None], 0, far)

  def next_fn(nearest, draws):  # Squared distances so far [N], uniforms [L].
    cumulated = jnp.cumsum(nearest)
    thresholds = draws * cumulated[-1]
    by_distance = jnp.sum(cumulated[:, None] <= thresholds[None], axis=0)
    uniform = (draws * num_points).astype(by_distance.dtype)
    candidates = jnp.where(cumulated[-1] > 0, by_distance, uniform)
    candidates = jnp.minimum(candidates, num_points - 1)
    reached = jnp.minimum(nearest[:, None], sq_distances(candidates))
    best = jnp.argmin(jnp.sum(reached, axis=0))
    return reached[:, best], candidates[best]

  first = (draws[0, :1] * num_points).astype(jnp.int32)
  _, others = jax.lax.scan(next_fn, sq_distances(first)[:, 0], draws[1:])
  rows = jnp.concatenate([first, others.astype(first.dtype)])
  return points[rows].astype(dtype)
