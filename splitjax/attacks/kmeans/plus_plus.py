"""Where K-means starts: k-means++.

In shape descriptions `N` is the number of points, `D` their width, `K` the
number of clusters and `L` that of candidates for a centroid.
"""

import functools
import math

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import similarity


@functools.partial(_kernel.jit, static_argnames='num_clusters')
def kmeans_plus_plus(
  key: jax.Array, points: jax.Array, *, num_clusters: int
) -> jax.Array:
  """Draw starting centroids that are spread over the points.

  The greedy k-means++ that scikit-learn uses: each next centroid is the best
  of `2 + log(K)` points drawn with probability proportional to the squared
  distance to the nearest centroid so far (Arthur and Vassilvitskii, 2007).
  Where all points coincide with a centroid, the draw is uniform.

  Args:
    key: random key for the draws.
    points: points, `[N, D]`; those that are not finite are not drawn.
    num_clusters: number of clusters `K`, between 1 and `N`.

  Returns:
    Centroids `[K, D]`, rows of `points`, float32 or wider.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> points = jnp.array([[0.0], [0.1], [9.0], [9.1]])
    >>> found = kmeans_plus_plus(jax.random.key(0), points, num_clusters=2)
    >>> sorted(found.round().ravel().tolist())
    [0.0, 9.0]
  """
  _validate.matrices(points=points)
  _validate.automatic(points=points)
  _validate.count('num_clusters', num_clusters, at_most=len(points))
  conditioned = conditioning.condition(points, 'euclidean')
  draws = start_draws(key, num_clusters)
  rows = _spread_rows(draws, conditioned.points, conditioned.finite)
  return similarity.to_accumulator(points[rows])


def start_draws(
  key: jax.Array, num_clusters: int, num_starts: tuple[int, ...] = ()
) -> jax.Array:
  """Draw the uniform numbers of k-means++, `[*num_starts, K, 2 + log(K)]`."""
  num_candidates = 2 + int(math.log(num_clusters))
  return jax.random.uniform(key, (*num_starts, num_clusters, num_candidates))


def spread_centroids(
  draws: jax.Array, points: jax.Array, counts: jax.Array | None = None
) -> jax.Array:
  """Compute `kmeans_plus_plus` from draws, inside of a jitted function.

  Args:
    draws: uniform numbers of `start_draws`, `[K, L]`.
    points: finite points of about unit size, `[N, D]`.
    counts: whether each may be drawn, `[N]`; None for all.

  Returns:
    Centroids `[K, D]`, rows of `points`, float32 or wider.
  """
  if counts is None:
    counts = jnp.ones(len(points), bool)
  rows = _spread_rows(draws, points, counts)
  return similarity.to_accumulator(points[rows])


def _spread_rows(
  draws: jax.Array, points: jax.Array, counts: jax.Array
) -> jax.Array:
  """Return the rows of the centroids, `[K]`."""
  num_points = len(points)
  dtype = jnp.promote_types(points.dtype, jnp.float32)
  origin = jnp.mean(points, axis=0, dtype=dtype)
  halves = jnp.sum((points.astype(dtype) - origin[None]) ** 2, axis=1) / 2

  def sq_distances(rows: jax.Array) -> jax.Array:  # [L] -> [N, L]
    close = similarity.closeness(points, points[rows].astype(dtype), origin)
    far = 2 * jnp.maximum(halves[:, None] - close, 0)
    same = jnp.arange(num_points)[:, None] == rows[None]
    return jnp.where(same | ~counts[:, None], 0, far)

  def next_fn(
    nearest: jax.Array, draws: jax.Array
  ) -> tuple[jax.Array, jax.Array]:  # Squared distances so far [N], draws [L].
    candidates = _draw_rows(nearest, counts, draws)
    reached = jnp.minimum(nearest[:, None], sq_distances(candidates))
    best = jnp.argmin(jnp.sum(reached, axis=0))
    return reached[:, best], candidates[best]

  first = _draw_rows(jnp.zeros_like(halves), counts, draws[0, :1])
  _, others = jax.lax.scan(next_fn, sq_distances(first)[:, 0], draws[1:])
  return jnp.concatenate([first, others.astype(first.dtype)])


def _draw_rows(
  weights: jax.Array, counts: jax.Array, draws: jax.Array
) -> jax.Array:
  """Draw row numbers `[L]` by weights `[N]`; if all are 0, of those that count.

  Args:
    weights: weights, `[N]`.
    counts: whether a row may be drawn, `[N]`.
    draws: uniform numbers, `[L]`.
  """
  weights = jnp.where(jnp.sum(weights) > 0, weights, counts)
  cumulated = jnp.cumsum(weights)
  thresholds = draws * cumulated[-1]
  rows = jnp.sum(cumulated[:, None] <= thresholds[None], axis=0)
  return jnp.minimum(rows, len(weights) - 1)
