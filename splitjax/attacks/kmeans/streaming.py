"""K-means and nearest labels of vectors on disk, more than memory holds.

The vectors are read in chunks, the next one while the last is computed with, as
often as Lloyd has iterations. What is read through a memory map would stay in
memory, so files are read past the map. In shape descriptions `N` is the number
of vectors, `D` their width and `K` the number of clusters.
"""

from collections.abc import Callable, Iterator
from concurrent import futures
import functools
import mmap
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from splitjax.attacks import _validate
from splitjax.attacks import distance
from splitjax.attacks import similarity
from splitjax.attacks.kmeans import cluster_sums
from splitjax.attacks.kmeans import lloyd

_CHUNK_BYTES = 64 << 20

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
    ValueError: if a shape, type or number is not as above.

  Example:
    >>> points = np.array([[0.0], [1.0], [8.0], [9.0]], np.float32)
    >>> found = stream_kmeans(points, points[:2], chunk_size=3)
    >>> found.centroids.tolist(), found.assignments.tolist()
    ([[0.5], [8.5]], [0, 0, 1, 1])
  """
  # pyrefly: ignore[bad-assignment]
  init_centroids = np.asarray(init_centroids)
  # pyrefly: ignore[bad-argument-type]
  _validate.matrices(points=points, init_centroids=init_centroids)
  _validate.count(
    'the number of init_centroids', len(init_centroids), at_most=len(points)
  )
  _validate.count('max_iters', max_iters)
  _validate.choice('metric', metric, similarity.METRICS)
  chunks = functools.partial(_chunks, points, chunk_size)
  dtype = jnp.result_type(points, init_centroids, jnp.float32)
  total, sum_squares = _moments(chunks, metric)
  variance = np.mean(sum_squares / len(points)).astype(dtype)
  origin = similarity.coarse_origin(
    # pyrefly: ignore[bad-argument-type]
    (total / len(points)).astype(dtype),
    variance,
  )
  assign = lambda centroids: _assign(chunks, centroids, origin, metric)
  centroids = init_centroids.astype(dtype)
  assignments = np.full(len(points), -1, np.int32)
  num_iters, settled, converged = 0, False, False
  while num_iters < max_iters and not converged:
    found = assign(centroids)
    means = np.asarray(
      cluster_sums.means_of_clusters(found.sums, found.sizes, centroids)
    )
    settled = np.array_equal(found.assignments, assignments)
    converged = settled or np.sum((means - centroids) ** 2) <= tol * variance
    centroids, assignments = means, found.assignments
    num_iters += 1
  if not settled:  # The centroids moved after the last look at the points.
    found = assign(centroids)
  return lloyd.KMeansResult(
    # pyrefly: ignore[bad-argument-type]
    centroids,
    # pyrefly: ignore[bad-argument-type, unbound-name]
    found.assignments,
    # pyrefly: ignore[bad-argument-type]
    found.inertia,
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
  # pyrefly: ignore[bad-argument-type]
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  labels = [
    distance.nearest_labels(chunk, aux_vectors, aux_labels, metric=metric)
    for _, chunk in _chunks(vectors, chunk_size)
  ]
  return np.concatenate([np.asarray(x) for x in labels])


def _chunks(
  vectors: np.ndarray, chunk_size: int | None
) -> Iterator[tuple[int, np.ndarray]]:
  """Yield chunks and where they start, reading ahead by one chunk."""
  row_bytes = max(vectors.itemsize * vectors.shape[1], 1)
  if chunk_size is None:
    chunk_size = max(_CHUNK_BYTES // row_bytes, 1)
    if chunk_size > cluster_sums.BLOCK:
      chunk_size -= chunk_size % cluster_sums.BLOCK
  _validate.count('chunk_size', chunk_size)
  read = functools.partial(_read, vectors, chunk_size)
  starts = range(0, len(vectors), chunk_size)
  with futures.ThreadPoolExecutor(1) as reader:
    coming = reader.submit(read, 0)
    for start in starts:
      chunk = coming.result()
      if start + chunk_size < len(vectors):
        coming = reader.submit(read, start + chunk_size)
      yield start, chunk


def _read(vectors: np.ndarray, chunk_size: int, start: int) -> np.ndarray:
  """Return a copy of some rows; those of a mapped file are not mapped."""
  some = vectors[start : start + chunk_size]
  root = vectors
  while isinstance(root.base, np.ndarray):
    root = root.base
  mapped = isinstance(root, np.memmap) and isinstance(root.base, mmap.mmap)
  if not (mapped and some.flags.c_contiguous):
    return np.array(some)
  before = some.ctypes.data - root.ctypes.data
  read = np.fromfile(
    # pyrefly: ignore[missing-attribute]
    root.filename,
    np.uint8,
    some.nbytes,
    # pyrefly: ignore[missing-attribute]
    offset=root.offset + before,
  )
  return read.view(some.dtype).reshape(some.shape)


def _ready(points: jax.Array, metric: str) -> jax.Array:
  """Return the points of a chunk as they are clustered."""
  return similarity.unit_normalize(points) if metric == 'cosine' else points


def _moments(chunks: ChunksFn, metric: str) -> tuple[np.ndarray, np.ndarray]:
  """Return the sum of each feature and its squares around the mean, float64."""
  count, total, squares = 0, 0.0, 0.0
  for _, chunk in chunks():
    mean, spread = (np.asarray(x, np.float64) for x in _spread(chunk, metric))
    # Chan's update: no difference of large sums.
    if count:
      share = count * len(chunk) / (count + len(chunk))
      squares = squares + (mean - total / count) ** 2 * share
    squares = squares + spread
    total, count = total + mean * len(chunk), count + len(chunk)
  # pyrefly: ignore[bad-return]
  return total, squares


@functools.partial(jax.jit, static_argnames='metric')
def _spread(points: jax.Array, metric: str) -> tuple[jax.Array, jax.Array]:
  """Return the mean of each feature of a chunk, and its squares around it."""
  wide = similarity.to_accumulator(_ready(points, metric))
  mean = jnp.mean(wide, axis=0)
  return mean, jnp.sum((wide - mean[None]) ** 2, axis=0)


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
  chunks: ChunksFn, centroids: np.ndarray, origin: jax.Array, metric: str
) -> _Assigned:
  """Read all points once, assign them and add them up."""
  kept, sizes, inertia = [], 0, 0.0
  sums = np.zeros_like(centroids)
  for _, chunk in chunks():
    found = _assign_chunk(chunk, centroids, origin, sums, metric)
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
  origin: jax.Array,
  sums: jax.Array,
  metric: str,
) -> _Assigned:
  """Assign the points of a chunk, and add them to earlier sums."""
  points = _ready(points, metric)
  assignments, _ = similarity.nearest(points, centroids, origin)
  sums = cluster_sums.sums_of_clusters(points, assignments, sums)
  sizes = jnp.zeros(len(centroids), jnp.int32).at[assignments].add(1)
  gaps = points.astype(centroids.dtype) - centroids[assignments]
  # A sum a feature first: one sum over all numbers in turn rounds too much.
  inertia = jax.lax.optimization_barrier(jnp.sum(gaps**2, axis=0))
  inertia = jnp.sum(inertia)
  # pyrefly: ignore[bad-argument-type]
  return _Assigned(assignments.astype(jnp.int32), sums, sizes, inertia)
