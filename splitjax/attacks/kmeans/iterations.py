"""Lloyd's iterations, from one start or from many at once.

In shape descriptions `N` is the number of points, `D` their width, `K` the
number of clusters and `P` that of starts.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import similarity
from splitjax.attacks.kmeans import cluster_sums
from splitjax.attacks.kmeans import multi_start
from splitjax.attacks.kmeans.multi_start import Run

# Below this share of the squared norms the inertia is summed point by point.
_LEAST_INERTIA = 0.02

SumsFn = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


class KMeansResult(NamedTuple):
  """What K-means found.

  Attributes:
    centroids: centroids of the clusters, `[K, D]`, float32 or wider.
    assignments: the nearest centroid of each point, the first where several
      are equally near, -1 for a point that is not finite, `[N]`.
    inertia: the sum of squared distances to the nearest centroid, a scalar; 0
      or infinite where the type cannot hold it.
    num_iters: number of Lloyd iterations that were run, a scalar.
    converged: whether it stopped before `max_iters` ran out, a scalar.
  """

  centroids: jax.Array
  assignments: jax.Array
  inertia: jax.Array
  num_iters: jax.Array
  converged: jax.Array


class Scale(NamedTuple):
  """Where the points lie, how far they spread, and which moves are small.

  Attributes:
    origin: a place amid the points, `[D]`.
    spread: mean squared distance of the points to the origin, a scalar.
    least_move: squared distance, a scalar; when the centroids together move no
      farther, the run has converged.
    counts: whether each point counts, `[N]`.
  """

  origin: jax.Array
  spread: jax.Array
  least_move: jax.Array
  counts: jax.Array


def iterate(
  points: jax.Array, init_centroids: jax.Array, scale: Scale, **kwargs: Any
) -> KMeansResult:
  """Run Lloyd's iterations from one start.

  Args:
    points: points, `[N, D]`.
    init_centroids: centroids to start from, `[K, D]`, float32 or wider.
    scale: the `Scale` of the points.
    **kwargs: keyword arguments of `_continue`.

  Returns:
    A `KMeansResult`.
  """
  run = _continue(points, scale, init_centroids, **kwargs)
  return _result(points, run, scale)


def _continue(
  points: jax.Array,
  scale: Scale,
  run: Run | jax.Array,
  *,
  max_iters: int,
  precision: str,
  nearest_fn: Callable[..., Any] = similarity.largest_product,
  sums_fn: SumsFn | None = None,
) -> Run:
  """Iterate from centroids, or from where a run stands.

  Args:
    points: points, `[N, D]`.
    scale: the `Scale` of the points.
    run: centroids `[K, D]`, or a run that has been assigned.
    max_iters: largest number of iterations of the run.
    precision: precision of the factors of products.
    nearest_fn: function that finds the nearest centroids as
      `similarity.largest_product` does.
    sums_fn: function that adds the points of each cluster up; None if
      `nearest_fn` has added them up.

  Returns:
    The run as it ended.
  """

  def assign(centroids: jax.Array) -> Any:
    shifted = similarity.shift(centroids, scale.origin)
    return nearest_fn(points, *shifted, precision)

  def cond_fn(run: Run) -> jax.Array:
    return (run.num_iters < max_iters) & ~run.converged

  def body_fn(run: Run) -> Run:
    centroids = _means(points, run, scale.counts, sums_fn)
    nearest = assign(centroids)
    progress = _progress(
      run,
      centroids,
      nearest[0],
      least_move=scale.least_move,
      max_iters=max_iters,
    )
    return Run(centroids, nearest, *progress)

  if not isinstance(run, Run):
    run = Run(run, assign(run), jnp.int32(0), jnp.bool(False))
  return jax.lax.while_loop(cond_fn, body_fn, run)


def _progress(
  run: Run,
  centroids: jax.Array,
  indices: jax.Array,
  *,
  least_move: jax.Array,
  max_iters: int,
) -> tuple[jax.Array, jax.Array]:
  """Return the number of iterations after one more, and whether that is all."""
  still = jnp.sum((centroids - run.centroids) ** 2) <= least_move
  # The next iteration, if there is one, changes nothing and counts as run.
  settled = jnp.all(indices == run.nearest[0]) & ~still
  settled = settled & (run.num_iters + 1 < max_iters)
  return run.num_iters + 1 + settled, still | settled


def vmap_in_lanes(**kwargs: Any) -> Callable[..., KMeansResult]:
  """Make a function that runs several starts side by side when vmapped.

  Args:
    **kwargs: `max_iters` and `precision`, see `_continue`.

  Returns:
    A function as `iterate`. Under `jax.vmap` over `init_centroids` alone it
    calls `iterate_many`, if that pays; else it takes one start after the other.
  """
  fn = functools.partial(iterate, sums_fn=cluster_sums.by_segment, **kwargs)
  one_by_one = jax.custom_batching.sequential_vmap(fn)
  fn = jax.custom_batching.custom_vmap(fn)

  @fn.def_vmap
  def many_fn(
    num_runs: int,
    is_batched: Any,
    points: jax.Array,
    starts: jax.Array,
    scale: Scale,
  ) -> tuple[KMeansResult, KMeansResult]:
    axes = jax.tree.map(lambda x: 0 if x else None, tuple(is_batched))
    run_fn = jax.vmap(one_by_one, axes)
    # pyrefly: ignore[bad-argument-type]
    if tuple(is_batched) == (False, True, Scale(*[False] * 4)):
      num_lanes = multi_start.choose_num_lanes(
        num_runs, starts.shape[1], *points.shape
      )
      if num_lanes > 1:
        run_fn = jax.custom_batching.sequential_vmap(
          functools.partial(iterate_many, num_lanes=num_lanes, **kwargs)
        )
    found = run_fn(points, starts, scale)
    return found, jax.tree.map(lambda _: True, found)

  return fn


def iterate_many(
  points: jax.Array,
  starts: jax.Array,
  scale: Scale,
  *,
  num_lanes: int,
  max_iters: int,
  precision: str,
) -> KMeansResult:
  """Run Lloyd's iterations from several starts, in lanes.

  Args:
    points: points, `[N, D]`.
    starts: centroids to start from, `[P, K, D]`, float32 or wider.
    scale: the `Scale` of the points.
    num_lanes: number of starts side by side.
    max_iters: largest number of iterations of a run.
    precision: precision of the factors of products.

  Returns:
    A `KMeansResult` with a first axis of `P`.
  """

  def assign(centroids: jax.Array) -> tuple[jax.Array, jax.Array]:
    targets = jax.vmap(similarity.shift, (0, None))(centroids, scale.origin)
    return similarity.largest_by_target(points, *targets, precision)

  by_segment = cluster_sums.by_segment
  steps = multi_start.Steps(
    assign_fn=assign,
    means_fn=lambda run: _means(points, run, scale.counts, by_segment),
    progress_fn=functools.partial(
      _progress, least_move=scale.least_move, max_iters=max_iters
    ),
    finish_fn=functools.partial(
      _continue,
      points,
      scale,
      max_iters=max_iters,
      precision=precision,
      sums_fn=by_segment,
    ),
  )
  ended = multi_start.iterate(
    starts, steps, num_lanes=num_lanes, max_iters=max_iters
  )
  return jax.lax.map(lambda run: _result(points, run, scale), ended)


def _means(
  points: jax.Array, run: Run, counts: jax.Array, sums_fn: SumsFn | None
) -> jax.Array:
  """Return the mean of each cluster, or its centroid if it has no point."""
  indices = run.nearest[0]
  if sums_fn is None:
    # pyrefly: ignore[missing-attribute]
    sums = run.nearest.sums
  else:
    sums = sums_fn(points, indices, jnp.zeros_like(run.centroids))
  # A point that does not count is 0, so that only the sizes have to leave it.
  sizes = jnp.zeros(len(run.centroids), jnp.int32).at[indices].add(counts)
  return cluster_sums.means_of_clusters(sums, sizes, run.centroids)


def _result(points: jax.Array, run: Run, scale: Scale) -> KMeansResult:
  """Return what a run found, with its inertia."""
  # The inertia by definition of `closeness`; no read of the points. Where it is
  # small beside the sum of squared norms, little is left of its digits.
  quick = len(points) * scale.spread - 2 * jnp.sum(run.nearest[1])
  squares = scale.spread + jnp.sum(scale.origin**2)
  least = _LEAST_INERTIA * len(points) * squares

  def exact() -> jax.Array:
    gaps = points.astype(run.centroids.dtype) - run.centroids[run.nearest[0]]
    gaps = jnp.where(scale.counts[:, None], gaps, 0)
    return jnp.sum(jax.lax.optimization_barrier(jnp.sum(gaps**2, axis=0)))

  return KMeansResult(
    centroids=run.centroids,
    assignments=run.nearest[0],
    inertia=jax.lax.cond(
      (quick > least) & jnp.all(scale.counts), lambda: quick, exact
    ),
    num_iters=run.num_iters,
    converged=run.converged,
  )
