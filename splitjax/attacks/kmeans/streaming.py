"""K-means and nearest labels of vectors on disk, more than memory holds.

The vectors are read in chunks, the next one while the last is computed with, as
often as Lloyd has iterations. What is read through a memory map would stay in
memory, so files are read past the map. In shape descriptions `N` is the number
of vectors, `D` their width and `K` the number of clusters.
"""

from collections.abc import Callable, Iterator
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import distance
from splitjax.attacks import similarity
from splitjax.attacks.kmeans import chunks
from splitjax.attacks.kmeans import cluster_sums
from splitjax.attacks.kmeans import lloyd

ChunksFn = Callable[[], Iterator[tuple[int, np.ndarray]]]


def stream_kmeans(
  points: np.ndarray,
  init_centroids: jax.Array,
  *,
  max_iters: int = 100,
  tol: float = 1e-4,
  metric: str = 'euclidean',
  chunk_size: int | None = None,
) -> lloyd.KMeansResult:
  """Cluster points that need not fit in memory, as `kmeans` does.

  The clusters are the same up to rounding. On a CPU sums are the same to the
  last bit if chunks are whole blocks of `cluster_sums.BLOCK` points, as they
  are by default up to 16 KiB a point. This function cannot be traced by JAX.

  Args:
    points: points, in general a memory map, `[N, D]`, `N >= K`.
    init_centroids: centroids to start from, `[K, D]`.
    max_iters: largest number of iterations, each of which reads all points.
    tol: relative tolerance, as in `kmeans`.
    metric: 'euclidean', or 'cosine' to scale the points to length 1.
    chunk_size: number of points read at a time; by default as many as take
      64 MiB.

  Returns:
    A `KMeansResult` of NumPy arrays; the inertia is in float64.

  Raises:
    ValueError: if a shape, type or number is not as above, or a point is not
      finite.

  Example:
    >>> points = np.array([[0.0], [1.0], [8.0], [9.0]], np.float32)
    >>> found = stream_kmeans(points, points[:2], chunk_size=3)
    >>> found.centroids.tolist(), found.assignments.tolist()
    ([[0.5], [8.5]], [0, 0, 1, 1])
  """
  # pyrefly: ignore[bad-assignment]
  init_centroids = np.asarray(
    _kernel.to_array('init_centroids', init_centroids)
  )
  dtype = chunks.type_of('points', points)
  if not np.isfinite(tol):
    raise ValueError(f'tol must be a finite number, got {tol}.')
  # pyrefly: ignore[bad-argument-type]
  _validate.matrices(
    points=jax.ShapeDtypeStruct(points.shape, dtype),
    init_centroids=init_centroids,
  )
  _validate.count(
    'the number of init_centroids', len(init_centroids), at_most=len(points)
  )
  _validate.count('max_iters', max_iters)
  _validate.choice('metric', metric, similarity.METRICS)
  chunks_fn = functools.partial(chunks.chunks_of, points, chunk_size)
  dtype = jnp.result_type(dtype, init_centroids, jnp.float32)
  place = _place_of(chunks_fn, metric, len(points), dtype)
  assign = lambda centroids: _assign(chunks_fn, centroids, place, metric)
  centroids = init_centroids.astype(dtype) * place.unit - place.shift
  assignments = np.full(len(points), -1, np.int32)
  num_iters, settled, converged = 0, False, False
  while num_iters < max_iters and not converged:
    found = assign(centroids)
    means = np.asarray(
      cluster_sums.means_of_clusters(found.sums, found.sizes, centroids)
    )
    settled = np.array_equal(found.assignments, assignments)
    moved = np.sum((means - centroids) ** 2)
    converged = settled or moved <= tol * place.variance
    centroids, assignments = means, found.assignments
    num_iters += 1
  if not settled:  # The centroids moved after the last look at the points.
    found = assign(centroids)
  return lloyd.KMeansResult(
    # pyrefly: ignore[bad-argument-type]
    (centroids + place.shift) / place.unit,
    # pyrefly: ignore[bad-argument-type, unbound-name]
    found.assignments,
    # pyrefly: ignore[bad-argument-type]
    found.inertia / float(place.unit) ** 2,
    # pyrefly: ignore[bad-argument-type]
    num_iters,
    # pyrefly: ignore[bad-argument-type]
    converged,
  )


def stream_nearest_labels(
  vectors: np.ndarray,
  aux_vectors: jax.Array,
  aux_labels: jax.Array,
  *,
  metric: str = 'cosine',
  chunk_size: int | None = None,
) -> np.ndarray:
  """Label vectors that need not fit in memory, as `nearest_labels` does.

  Args:
    vectors: vectors to label, in general a memory map, `[N, D]`.
    aux_vectors: vectors of the auxiliary samples, `[A, D]`.
    aux_labels: labels of the auxiliary samples, integers, `[A]`.
    metric: how near vectors are, by 'cosine' or 'euclidean' distance.
    chunk_size: number of vectors read at a time; by default as many as take
      64 MiB.

  Returns:
    Labels `[N]`.

  Raises:
    ValueError: if a shape, type or name is not as above.

  Example:
    >>> vectors = np.array([[2.0, 0.1], [-0.1, 5.0]], np.float32)
    >>> labels = jnp.array([7, 3])
    >>> stream_nearest_labels(vectors, jnp.eye(2), labels).tolist()
    [7, 3]
  """
  dtype = chunks.type_of('vectors', vectors)
  aux_vectors = _kernel.to_array('aux_vectors', aux_vectors)
  # pyrefly: ignore[bad-argument-type]
  _validate.matrices(
    vectors=jax.ShapeDtypeStruct(vectors.shape, dtype), aux_vectors=aux_vectors
  )
  labels = [
    distance.nearest_labels(chunk, aux_vectors, aux_labels, metric=metric)
    for _, chunk in chunks.chunks_of(vectors, chunk_size)
  ]
  return np.concatenate([np.asarray(x) for x in labels])


class _Place(NamedTuple):
  """Where points lie, and how they are made fit for float32.

  Attributes:
    unit: a power of two that points are multiplied by.
    shift: what is then subtracted, `[D]`; 0 unless they lie far from 0.
    origin: a place amid what is left, `[D]`.
    variance: mean variance of its features.
  """

  unit: np.ndarray
  shift: np.ndarray
  origin: jax.Array
  variance: np.ndarray


def _place_of(
  chunks_fn: ChunksFn, metric: str, num_points: int, dtype: np.dtype
) -> _Place:
  """Read all points once, to see where they lie.

  Raises:
    ValueError: if a point is not finite.
  """
  total, sum_squares = _moments(chunks_fn, metric)
  mean, spread = total / num_points, np.sum(sum_squares) / num_points
  size = np.sqrt(np.sum(mean**2) + spread)
  one = np.ones((), dtype)
  unit = one
  if metric == 'euclidean':
    unit = np.asarray(conditioning.power_of_two(jnp.asarray(size, dtype)))
  mean, spread = mean * float(unit), spread * float(unit) ** 2
  variance = (spread / len(mean)).astype(dtype)
  far = np.sum(mean**2) > conditioning.FAR**2 * spread
  shift = (mean if far else np.zeros_like(mean)).astype(dtype)
  left = (mean - shift).astype(dtype)
  # pyrefly: ignore[bad-argument-type]
  origin = similarity.coarse_origin(left, variance)
  return _Place(unit, shift, origin, variance)


def _ready(points: jax.Array, metric: str) -> jax.Array:
  """Return the points of a chunk as they are clustered."""
  return similarity.unit_normalize(points) if metric == 'cosine' else points


def _moments(chunks_fn: ChunksFn, metric: str) -> tuple[np.ndarray, np.ndarray]:
  """Return the sum of each feature and its squares around the mean, float64.

  Raises:
    ValueError: if a point is not finite.
  """
  count, total, squares = 0, 0.0, 0.0
  for start, chunk in chunks_fn():
    unit, *found = (np.asarray(x, np.float64) for x in _spread(chunk, metric))
    mean, spread = found[0] / unit, found[1] / unit**2
    if not np.isfinite(mean).all():
      finite = np.isfinite(np.asarray(chunk, np.float64)).all(axis=1)
      row = start + int(np.argmin(finite))
      raise ValueError(
        f'points must be finite, got a NaN or an infinity in row {row}.'
      )
    # Chan's update: no difference of large sums.
    if count:
      share = count * len(chunk) / (count + len(chunk))
      squares = squares + (mean - total / count) ** 2 * share
    squares = squares + spread
    total, count = total + mean * len(chunk), count + len(chunk)
  # pyrefly: ignore[bad-return]
  return total, squares


@functools.partial(jax.jit, static_argnames='metric')
def _spread(
  points: jax.Array, metric: str
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Return a power of two, and mean and squares of points multiplied by it."""
  wide = similarity.to_accumulator(_ready(points, metric))
  unit = conditioning.power_of_two(jnp.max(jnp.abs(wide)))
  wide = wide * unit
  mean = jnp.mean(wide, axis=0)
  return unit, mean, jnp.sum((wide - mean[None]) ** 2, axis=0)


class _Assigned(NamedTuple):
  """What a read of points finds for some centroids.

  Attributes:
    assignments: the nearest centroid of each point.
    sums: the sum of each cluster's points, `[K, D]`.
    sizes: the number of each cluster's points, `[K]`.
    inertia: the sum of squared distances to the nearest centroid.
  """

  assignments: np.ndarray
  sums: np.ndarray
  sizes: np.ndarray
  inertia: float


def _assign(
  chunks_fn: ChunksFn, centroids: np.ndarray, place: _Place, metric: str
) -> _Assigned:
  """Read all points once, assign them and add them up."""
  kept, sizes, inertia = [], 0, 0.0
  sums = np.zeros_like(centroids)
  for _, chunk in chunks_fn():
    found = _assign_chunk(chunk, centroids, place, sums, metric)
    kept.append(np.asarray(found.assignments))
    sums = found.sums
    sizes = sizes + np.asarray(found.sizes)
    inertia += float(found.inertia)
  # pyrefly: ignore[bad-argument-type]
  return _Assigned(np.concatenate(kept), np.asarray(sums), sizes, inertia)


@functools.partial(jax.jit, static_argnames='metric')
def _assign_chunk(
  points: jax.Array,
  centroids: jax.Array,
  place: _Place,
  sums: jax.Array,
  metric: str,
) -> _Assigned:
  """Assign the points of a chunk, and add them to earlier sums."""
  points = _ready(points, metric)
  shifted = points * place.unit - place.shift[None]
  points = shifted.astype(points.dtype)
  assignments, _ = similarity.nearest(points, centroids, place.origin)
  sums = cluster_sums.sums_of_clusters(points, assignments, sums)
  sizes = jnp.zeros(len(centroids), jnp.int32).at[assignments].add(1)
  gaps = points.astype(centroids.dtype) - centroids[assignments]
  # A sum a feature first: one sum over all numbers in turn rounds too much.
  inertia = jax.lax.optimization_barrier(jnp.sum(gaps**2, axis=0))
  inertia = jnp.sum(inertia)
  # pyrefly: ignore[bad-argument-type]
  return _Assigned(assignments.astype(jnp.int32), sums, sizes, inertia)
