"""K-means and nearest labels of vectors on disk, more than memory holds.

The vectors are read in chunks, the next one while the last is computed with, as
often as Lloyd has iterations. What a memory map has read would stay in memory,
so that files are read past it. In shape descriptions `N` is the number of
vectors, `D` their width, `K` the number of clusters.
"""

from collections.abc import Iterator
from concurrent import futures
import functools
import mmap

import jax
import jax.numpy as jnp
import numpy as np

from splitjax.attacks import _validate
from splitjax.attacks import distance
from splitjax.attacks import similarity
from splitjax.attacks.kmeans import cluster_sums
from splitjax.attacks.kmeans import lloyd

_CHUNK_BYTES = 64 << 20


def stream_kmeans(
  points: np.ndarray,
  init_centroids: jax.Array,
  *,
  max_iters: int = 100,
  tol: float = 1e-4,
  metric: str = 'euclidean',
  chunk_size: int | None = None,
) -> lloyd.KMeansResult:
  """`kmeans` of points that need not fit in memory.

  The same clusters, up to rounding. On a CPU sums are the same to the last bit
  if chunks are whole blocks of `cluster_sums.BLOCK` points, as they are by
  default up to 16 KiB a point. Not to be traced.

  Args:
    points: in general a memory map, `[N, D]`, `N >= K`.
    init_centroids: `[K, D]`.
    max_iters: most iterations to run, each one read of the points.
    tol: as in `kmeans`.
    metric: 'cosine' clusters the points scaled to length 1.
    chunk_size: points read at a time; by default as many as take 64 MiB.

  Returns:
    A `KMeansResult` of NumPy arrays; the inertia is in float64.

  Raises:
    ValueError: if a shape, type or number is not as above.
  """
  init_centroids = np.asarray(init_centroids)
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
    (total / len(points)).astype(dtype), variance
  )
  centroids = init_centroids.astype(dtype)
  assignments = np.full(len(points), -1, np.int32)
  num_iters, settled, converged = 0, False, False
  while num_iters < max_iters and not converged:
    found, sums, sizes, inertia = _assign(chunks, centroids, origin, metric)
    means = np.asarray(cluster_sums.means_of_clusters(sums, sizes, centroids))
    settled = np.array_equal(found, assignments)
    converged = settled or np.sum((means - centroids) ** 2) <= tol * variance
    centroids, assignments = means, found
    num_iters += 1
  if not settled:  # The centroids moved after the last look at the points.
    assignments, _, _, inertia = _assign(chunks, centroids, origin, metric)
  return lloyd.KMeansResult(
    centroids, assignments, inertia, num_iters, converged
  )


def stream_nearest_labels(
  vectors: np.ndarray,
  aux_vectors: jax.Array,
  aux_labels: jax.Array,
  *,
  metric: str = 'cosine',
  chunk_size: int | None = None,
) -> np.ndarray:
  """`nearest_labels` of vectors that need not fit in memory.

  Args:
    vectors: in general a memory map, `[N, D]`.
    aux_vectors: `[A, D]`.
    aux_labels: `[A]`.
    metric: see `nearest_labels`.
    chunk_size: vectors read at a time; by default as many as take 64 MiB.

  Returns:
    Labels `[N]`.

  Raises:
    ValueError: if a shape, type or name is not as above.
  """
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  labels = [
    distance.nearest_labels(chunk, aux_vectors, aux_labels, metric=metric)
    for _, chunk in _chunks(vectors, chunk_size)
  ]
  return np.concatenate([np.asarray(x) for x in labels])


def _chunks(
  vectors: np.ndarray, chunk_size: int | None
) -> Iterator[tuple[int, np.ndarray]]:
  """Chunks and where they start; the next is read while one is worked on."""
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


def _read(vectors, chunk_size, start):
  """A copy of some rows; of a mapped file, without mapping them."""
  some = vectors[start : start + chunk_size]
  root = vectors
  while isinstance(root.base, np.ndarray):
    root = root.base
  mapped = isinstance(root, np.memmap) and isinstance(root.base, mmap.mmap)
  if not (mapped and some.flags.c_contiguous):
    return np.array(some)
  before = some.ctypes.data - root.ctypes.data
  read = np.fromfile(
    root.filename, np.uint8, some.nbytes, offset=root.offset + before
  )
  return read.view(some.dtype).reshape(some.shape)


def _ready(points, metric):
  """A chunk as it is clustered."""
  return similarity.unit_normalize(points) if metric == 'cosine' else points


def _moments(chunks, metric):
  """The sum, and that of squares around the mean, of each feature, float64."""
  count, total, squares = 0, 0.0, 0.0
  for _, chunk in chunks():
    mean, spread = (np.asarray(x, np.float64) for x in _spread(chunk, metric))
    # Chan's update: no difference of large sums.
    if count:
      share = count * len(chunk) / (count + len(chunk))
      squares = squares + (mean - total / count) ** 2 * share
    squares = squares + spread
    total, count = total + mean * len(chunk), count + len(chunk)
  return total, squares


@functools.partial(jax.jit, static_argnames='metric')
def _spread(points, metric):
  wide = similarity.to_accumulator(_ready(points, metric))
  mean = jnp.mean(wide, axis=0)
  return mean, jnp.sum((wide - mean[None]) ** 2, axis=0)


def _assign(chunks, centroids, origin, metric):
  """One read of the points: assignments, sums and sizes, inertia."""
  kept, sizes, inertia = [], 0, 0.0
  sums = np.zeros_like(centroids)
  for _, chunk in chunks():
    assignments, sums, chunk_sizes, chunk_inertia = _assign_chunk(
      chunk, centroids, origin, sums, metric
    )
    kept.append(np.asarray(assignments))
    sizes = sizes + np.asarray(chunk_sizes)
    inertia += float(chunk_inertia)
  return np.concatenate(kept), np.asarray(sums), sizes, inertia


@functools.partial(jax.jit, static_argnames='metric')
def _assign_chunk(points, centroids, origin, sums, metric):
  points = _ready(points, metric)
  assignments, _ = similarity.nearest(points, centroids, origin)
  sums = cluster_sums.sums_of_clusters(points, assignments, sums)
  sizes = jnp.zeros(len(centroids), jnp.int32).at[assignments].add(1)
  gaps = points.astype(centroids.dtype) - centroids[assignments]
  # A sum a feature first: one sum over all numbers in turn rounds too much.
  inertia = jax.lax.optimization_barrier(jnp.sum(gaps**2, axis=0))
  return assignments.astype(jnp.int32), sums, sizes, jnp.sum(inertia)
