"""Many K-means runs on the same points, for CPUs.

A product of the points with the centroids of one run is too narrow for a CPU
to be at its best, and all runs side by side would iterate until the slowest has
settled. Here a few runs go side by side, each in a lane; a run that has settled
leaves its lane to the next one.

In shape descriptions `P` is the number of runs, `L` that of lanes, `N` that of
points, `D` their width and `K` the number of clusters.
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Columns of one product: beyond some hundred, a CPU gains nothing by more.
_MOST_COLUMNS = 96
# Inner products of all lanes: 256 MiB in float32.
_MOST_PRODUCTS = 2**26
# Multiplications in an iteration of all runs. Lanes take a second longer to
# compile; with less work than this they save less than some 0.03 s.
_LEAST_WORK = 2**25


class Run(NamedTuple):
  """Where a run stands; with a first axis, where several do.

  Attributes:
    centroids: centroids, `[K, D]`.
    nearest: each point's nearest centroid, and its closeness, `[N]` each.
    num_iters: number of iterations so far, a scalar.
    converged: whether the run needs no more iterations, a scalar.
  """

  centroids: jax.Array
  nearest: tuple[jax.Array, jax.Array]
  num_iters: jax.Array
  converged: jax.Array


class Steps(NamedTuple):
  """The steps of Lloyd's iterations.

  Attributes:
    assign_fn: function from centroids of all lanes, `[L, K, D]`, to their
      `Run.nearest`, `[L, N]` each.
    means_fn: function from one run to its next centroids.
    progress_fn: function from one run, its next centroids and its next
      assignments to its next `num_iters` and `converged`.
    finish_fn: function from one run to that run after all iterations that it
      needs.
  """

  assign_fn: Callable[[jax.Array], tuple[jax.Array, jax.Array]]
  means_fn: Callable[[Run], jax.Array]
  progress_fn: Callable[..., tuple[jax.Array, jax.Array]]
  finish_fn: Callable[[Run], Run]


class _Lanes(NamedTuple):
  """What an iteration of all lanes changes.

  Attributes:
    numbers: number of the run in each lane, `P` or more for none, `[L]`.
    is_new: whether the lane's run has not been assigned yet, `[L]`.
    runs: where the run of each lane stands.
    waiting: number of the first run that has no lane yet, a scalar.
    ended: the runs that have ended, `[P + 1, ...]`; the last row is not used.
  """

  numbers: jax.Array
  is_new: jax.Array
  runs: Run
  waiting: jax.Array
  ended: Run


def choose_num_lanes(
  num_runs: int, num_clusters: int, num_points: int, width: int
) -> int:
  """Return how many lanes to take; with 1, runs are better left alone."""
  if num_runs * num_clusters * num_points * width < _LEAST_WORK:
    return 1
  most = min(_MOST_COLUMNS, _MOST_PRODUCTS // num_points) // num_clusters
  return max(1, min(num_runs, most))


def iterate(
  starts: jax.Array, steps: Steps, *, num_lanes: int, max_iters: int
) -> Run:
  """Run every start until it has settled.

  Args:
    starts: first centroids of all runs, `[P, K, D]`.
    steps: the steps of Lloyd's iterations.
    num_lanes: number of lanes `L`.
    max_iters: largest number of iterations of a run.

  Returns:
    The runs as they ended, `[P, ...]` each; of the closeness only the sum.
  """
  num_runs = len(starts)

  def cond_fn(lanes: _Lanes) -> jax.Array:
    under_way = lanes.numbers < num_runs
    # The last ones go alone: lanes without a run still widen the product.
    many = 2 * jnp.sum(under_way) >= num_lanes
    return many | jnp.any(lanes.is_new & under_way)

  body_fn = functools.partial(
    _iterate_lanes, starts=starts, steps=steps, max_iters=max_iters
  )
  first = _first_lanes(starts, steps, num_lanes)
  lanes = jax.lax.while_loop(cond_fn, body_fn, first)

  def finish(lane: jax.Array, ended: Run) -> Run:
    run = jax.tree.map(lambda x: x[lane], lanes.runs)
    is_idle = lanes.numbers[lane] >= num_runs
    run = steps.finish_fn(run._replace(converged=run.converged | is_idle))
    return _put(ended, lanes.numbers[lane], run)

  ended = jax.lax.fori_loop(0, num_lanes, finish, lanes.ended)
  return jax.tree.map(lambda x: x[:num_runs], ended)


def _first_lanes(starts: jax.Array, steps: Steps, num_lanes: int) -> _Lanes:
  """Return lanes with a new run each, and no run that has ended."""
  blank = jnp.zeros((num_lanes, *starts.shape[1:]), starts.dtype)
  shapes = jax.eval_shape(steps.assign_fn, blank)
  nearest = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  none = jnp.zeros(num_lanes, jnp.int32)
  runs = Run(blank, nearest, none, none.astype(bool))
  ended = jax.tree.map(
    lambda x: jnp.zeros((len(starts) + 1, *x.shape[1:]), x.dtype),
    _sum_closeness(runs),
  )
  numbers = jnp.arange(num_lanes, dtype=jnp.int32)
  return _Lanes(numbers, none == 0, runs, jnp.int32(num_lanes), ended)


def _iterate_lanes(
  lanes: _Lanes, *, starts: jax.Array, steps: Steps, max_iters: int
) -> _Lanes:
  """Take one iteration of all lanes; runs that settle leave theirs."""
  numbers, is_new, runs, waiting, ended = lanes
  num_runs = len(starts)
  started = starts[jnp.minimum(numbers, num_runs - 1)]
  has_means = (numbers < num_runs) & ~is_new  # Others need no sums.
  means = jax.lax.map(
    lambda args: jax.lax.cond(
      args[0], steps.means_fn, lambda run: run.centroids, args[1]
    ),
    (has_means, runs),
  )
  centroids = jnp.where(is_new[:, None, None], started, means)
  nearest = steps.assign_fn(centroids)
  progress_fn = jax.vmap(steps.progress_fn)
  num_iters, converged = progress_fn(runs, centroids, nearest[0])
  num_iters = jnp.where(is_new, 0, num_iters)
  runs = Run(centroids, nearest, num_iters, converged & ~is_new)
  finished = runs.converged | (runs.num_iters >= max_iters)
  ended = _put(ended, jnp.where(finished, numbers, num_runs), runs)
  following = waiting + jnp.cumsum(finished, dtype=jnp.int32)
  numbers = jnp.where(finished, following - 1, numbers)
  return _Lanes(numbers, finished, runs, following[-1], ended)


def _put(ended: Run, numbers: jax.Array, runs: Run) -> Run:
  """Write runs to their rows of those that have ended."""
  num_runs = len(ended.num_iters) - 1
  # The row after the last, which is cut off, takes what nobody asks for.
  rows = jnp.minimum(numbers, num_runs)
  return jax.tree.map(
    lambda all, x: all.at[rows].set(x), ended, _sum_closeness(runs)
  )


def _sum_closeness(runs: Run) -> Run:
  """Return runs with the sum of the closeness over the points."""
  indices, closeness = runs.nearest
  return runs._replace(nearest=(indices, jnp.sum(closeness, axis=-1)))
