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
from splitjax.attacks.kmeans import cluster_sums
from splitjax.attacks.kmeans import multi_start

KERNELS = ('xla', 'pallas')
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
      NVIDIA GPU (see `pallas_kernel`; interpreted, thus slow, on a CPU). JAX
      with 64 bits, more than 32 clusters and other devices fall back to 'xla';
      rows sharded over devices are for 'xla'.

  Returns:
    A `KMeansResult`.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.matrices(points=points, init_centroids=init_centroids)
  _validate.automatic(points=points)
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
  mean = jnp.mean(points, axis=0, dtype=dtype)
  squares = (points.astype(dtype) - mean[None]) ** 2
  # A sum a feature first: one sum over all numbers in turn rounds too much.
  variances = jax.lax.optimization_barrier(jnp.mean(squares, axis=0))
  origin = similarity.coarse_origin(mean, jnp.mean(variances))
  spread = jnp.sum(variances) + jnp.sum((mean - origin) ** 2)
  run = functools.partial(_iterate, max_iters=max_iters, precision=precision)
  # Vmapped, all starts would iterate until the slowest has settled. That pays
  # where a device waits for work, not on a CPU.
  branches = dict(
    cpu=_vmap_in_lanes(max_iters=max_iters, precision=precision),
    default=functools.partial(run, sums_fn=cluster_sums.by_product),
  )
  if kernel == 'pallas':
    from splitjax.attacks.kmeans import pallas_kernel

    narrow = dtype == jnp.float32 and not jax.config.jax_enable_x64
    if narrow and len(init_centroids) <= pallas_kernel.MOST_TARGETS:
      interpreted = functools.partial(
        pallas_kernel.nearest_and_sums, interpret=True
      )
      branches |= dict(
        cpu=functools.partial(run, nearest_fn=interpreted),
        cuda=functools.partial(run, nearest_fn=pallas_kernel.nearest_and_sums),
      )
  return jax.lax.platform_dependent(
    points,
    init_centroids,
    origin,
    spread,
    tol * jnp.mean(variances),
    **branches,
  )


def _iterate(
  points,
  init_centroids,
  origin,
  spread,
  least_move,
  **kwargs,
):
  """Lloyd's iterations until the centroids move less than `least_move`."""
  run = _continue(points, origin, least_move, init_centroids, **kwargs)
  return _result(points, run, origin, spread)


def _continue(
  points,
  origin,
  least_move,
  run,
  *,
  max_iters,
  precision,
  nearest_fn=similarity.largest_product,
  sums_fn=None,
):
  """Iterates from centroids `[K, D]`, or from where a `multi_start.Run` stands.

  `nearest_fn` finds the nearest centroids as `similarity.largest_product` does,
  and `sums_fn` adds the points up; without one `nearest_fn` has added them up.
  """

  def assign(centroids):
    return nearest_fn(points, *similarity.shift(centroids, origin), precision)

  def cond_fn(run):
    return (run.num_iters < max_iters) & ~run.converged

  def body_fn(run):
    centroids = _means(points, run.nearest, run.centroids, sums_fn)
    nearest = assign(centroids)
    progress = _progress(
      run,
      centroids,
      nearest[0],
      least_move=least_move,
      max_iters=max_iters,
    )
    return multi_start.Run(centroids, nearest, *progress)

  if not isinstance(run, multi_start.Run):
    run = multi_start.Run(run, assign(run), jnp.int32(0), jnp.bool(False))
  return jax.lax.while_loop(cond_fn, body_fn, run)


def _progress(run, centroids, indices, *, least_move, max_iters):
  """How many iterations have run after one more, and whether that is all."""
  still = jnp.sum((centroids - run.centroids) ** 2) <= least_move
  # The next iteration, if there is one, changes nothing and counts as run.
  settled = jnp.all(indices == run.nearest[0]) & ~still
  settled = settled & (run.num_iters + 1 < max_iters)
  return run.num_iters + 1 + settled, still | settled


def _vmap_in_lanes(**kwargs):
  """`_iterate`, whose starts go side by side where the points are the same."""
  fn = functools.partial(_iterate, sums_fn=cluster_sums.by_segment, **kwargs)
  one_by_one = jax.custom_batching.sequential_vmap(fn)
  fn = jax.custom_batching.custom_vmap(fn)

  @fn.def_vmap
  def many_fn(num_runs, is_batched, points, starts, *others):
    if tuple(is_batched) == (False, True, False, False, False):
      num_lanes = multi_start.number(num_runs, starts.shape[1], *points.shape)
      if num_lanes > 1:
        in_lanes = jax.custom_batching.sequential_vmap(
          functools.partial(_iterate_many, num_lanes=num_lanes, **kwargs)
        )
        found = in_lanes(points, starts, *others)
        return found, jax.tree.map(lambda _: True, found)
    axes = tuple(0 if x else None for x in is_batched)
    found = jax.vmap(one_by_one, axes)(points, starts, *others)
    return found, jax.tree.map(lambda _: True, found)

  return fn


def _iterate_many(
  points,
  starts,
  origin,
  spread,
  least_move,
  *,
  num_lanes,
  max_iters,
  precision,
):
  """`_iterate` from several starts, `[P, K, D]`."""

  def assign(centroids):
    targets = jax.vmap(similarity.shift, (0, None))(centroids, origin)
    return similarity.largest_by_target(points, *targets, precision)

  ended = multi_start.iterate(
    starts,
    num_lanes=num_lanes,
    max_iters=max_iters,
    assign_fn=assign,
    means_fn=lambda run: _means(
      points, run.nearest, run.centroids, cluster_sums.by_segment
    ),
    progress_fn=functools.partial(
      _progress, least_move=least_move, max_iters=max_iters
    ),
    finish_fn=functools.partial(
      _continue,
      points,
      origin,
      least_move,
      max_iters=max_iters,
      precision=precision,
      sums_fn=cluster_sums.by_segment,
    ),
  )
  return jax.lax.map(lambda run: _result(points, run, origin, spread), ended)


def _means(points, nearest, centroids, sums_fn):
  """The mean of each cluster, its old centroid where it has no point."""
  if sums_fn is None:
    sums, sizes = nearest.sums, nearest.sizes
  else:
    indices, _ = nearest
    sums = sums_fn(points, indices, jnp.zeros_like(centroids))
    sizes = jnp.zeros(len(centroids), jnp.int32).at[indices].add(1)
  return cluster_sums.means_of_clusters(sums, sizes, centroids)


def _result(points, run, origin, spread):
  # The inertia by definition of `closeness`; no read of the points. Where it is
  # small beside the sum of squared norms, little is left of its digits.
  quick = len(points) * spread - 2 * jnp.sum(run.nearest[1])
  least = _LEAST_INERTIA * len(points) * (spread + jnp.sum(origin**2))

  def exact():
    gaps = points.astype(run.centroids.dtype) - run.centroids[run.nearest[0]]
    return jnp.sum(jax.lax.optimization_barrier(jnp.sum(gaps**2, axis=0)))

  return KMeansResult(
    centroids=run.centroids,
    assignments=run.nearest[0],
    inertia=jax.lax.cond(quick > least, lambda: quick, exact),
    num_iters=run.num_iters,
    converged=run.converged,
  )
