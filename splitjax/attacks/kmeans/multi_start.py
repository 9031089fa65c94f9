"""Many K-means runs on the same points, for CPUs.

A product of the points with the centroids of one run is too narrow for a CPU
to be at its best, and all runs side by side would iterate until the slowest has
settled. Here a few runs go side by side, each in a lane; a run that has settled
leaves its lane to the next one.

In shape descriptions `P` is the number of runs, `L` that of lanes, `N` that of
points, `D` their width, `K` the number of clusters.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

PyTree = Any

# Columns of one product: from some hundred on a CPU gains nothing by more.
_MOST_COLUMNS = 96
# Of all lanes' inner products: 256 MiB in float32.
_MOST_PRODUCTS = 2**26
# Multiplications in an iteration of all runs: lanes take a second longer to
# compile, and below that they save less than some 0.03 s.
_LEAST_WORK = 2**25


class Run(NamedTuple):
  """Where a run stands; with a first axis, where several do.

  Attributes:
    centroids: `[K, D]`.
    nearest: each point's nearest centroid, and its closeness, `[N]` each.
    num_iters: how many iterations it ran, a scalar.
    converged: whether it needs no more, a scalar.
  """

  centroids: jax.Array
  nearest: tuple[jax.Array, jax.Array]
  num_iters: jax.Array
  converged: jax.Array


def number(
  num_runs: int, num_clusters: int, num_points: int, width: int
) -> int:
  """How many lanes to take; with one, runs are better left to themselves."""
  if num_runs * num_clusters * num_points * width < _LEAST_WORK:
    return 1
  most = min(_MOST_COLUMNS, _MOST_PRODUCTS // num_points) // num_clusters
  return max(1, min(num_runs, most))


def iterate(
  starts: jax.Array,
  *,
  num_lanes: int,
  max_iters: int,
  assign_fn: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
  means_fn: Callable[[Run], jax.Array],
  progress_fn: Callable[..., tuple[jax.Array, jax.Array]],
  finish_fn: Callable[[Run], Run],
) -> Run:
  """Runs every start until it has settled.

  Args:
    starts: centroids of all runs, `[P, K, D]`.
    num_lanes: `L`.
    max_iters: most iterations of a run.
    assign_fn: from centroids `[L, K, D]` to `Run.nearest`, `[L, N]` each.
    means_fn: of one run, its next centroids.
    progress_fn: of one run, `(run, next_centroids, next_assignments) ->
      (num_iters, converged)`.
    finish_fn: of one run, all iterations that it needs.

  Returns:
    The runs as they ended, leaves `[P, ...]`; of the closeness only the sum.
  """
  num_runs = len(starts)

  def cond_fn(carry):
    runs, is_new, *_ = carry
    under_way = runs < num_runs
    # The last ones go alone: lanes without a run still widen the product.
    many = 2 * jnp.sum(under_way) >= num_lanes
    return many | jnp.any(is_new & under_way)

  def body_fn(carry):
    runs, is_new, lanes, waiting, ended = carry
    started = starts[jnp.minimum(runs, num_runs - 1)]
    has_means = (runs < num_runs) & ~is_new  # Others need no sums.
    means = jax.lax.map(
      lambda args: jax.lax.cond(
        args[0], means_fn, lambda run: run.centroids, args[1]
      ),
      (has_means, lanes),
    )
    centroids = jnp.where(is_new[:, None, None], started, means)
    nearest = assign_fn(centroids)
    num_iters, converged = jax.vmap(progress_fn)(lanes, centroids, nearest[0])
    lanes = Run(
      centroids,
      nearest,
      jnp.where(is_new, 0, num_iters),
      converged & ~is_new,
    )
    finished = lanes.converged | (lanes.num_iters >= max_iters)
    ended = put(ended, jnp.where(finished, runs, num_runs), lanes)
    following = waiting + jnp.cumsum(finished, dtype=jnp.int32)
    runs = jnp.where(finished, following - 1, runs)
    return runs, finished, lanes, following[-1], ended

  def put(ended, rows, runs):
    # The row after the last, which is cut off, takes what nobody asks for.
    rows = jnp.minimum(rows, num_runs)
    return jax.tree.map(lambda all, x: all.at[rows].set(x), ended, close(runs))

  def close(runs):
    indices, closeness = runs.nearest
    return runs._replace(nearest=(indices, jnp.sum(closeness, axis=-1)))

  def finish(lane, ended):
    run = jax.tree.map(lambda x: x[lane], lanes)
    is_idle = runs[lane] >= num_runs
    run = finish_fn(run._replace(converged=run.converged | is_idle))
    return put(ended, runs[lane], run)

  blank = jnp.zeros((num_lanes, *starts.shape[1:]), starts.dtype)
  shapes = jax.eval_shape(assign_fn, blank)
  nearest = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  none = jnp.zeros(num_lanes, jnp.int32)
  lanes = Run(blank, nearest, none, none.astype(bool))
  ended = jax.tree.map(
    lambda x: jnp.zeros((num_runs + 1, *x.shape[1:]), x.dtype), close(lanes)
  )
  runs = jnp.arange(num_lanes, dtype=jnp.int32)
  first = runs, none == 0, lanes, jnp.int32(num_lanes), ended
  runs, _, lanes, _, ended = jax.lax.while_loop(cond_fn, body_fn, first)
  ended = jax.lax.fori_loop(0, num_lanes, finish, ended)
  return jax.tree.map(lambda x: x[:num_runs], ended)
