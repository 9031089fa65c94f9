"""K-means by Lloyd's iterations, on any device.

In shape descriptions `N` is the number of points, `D` their width and `K` the
number of clusters. Nothing of size `N x K x D` is ever built.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import similarity
from splitjax.attacks.conditioning import Conditioned
from splitjax.attacks.kmeans import cluster_sums
from splitjax.attacks.kmeans import iterations
from splitjax.attacks.kmeans.iterations import KMeansResult
from splitjax.attacks.kmeans.iterations import Scale

KERNELS = ('xla', 'pallas')
# Where a start lies that is not finite, so that no point comes to it.
_AWAY = 1e15


@functools.partial(
  _kernel.jit, static_argnames=('max_iters', 'precision', 'kernel')
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
  """Cluster points by Lloyd's iterations from given centroids.

  Stops when no assignment changes, or when the centroids together moved less
  than `tol` times the mean variance of the features (squared distances), as
  scikit-learn does. A cluster that loses all its points keeps its centroid.
  Under `jax.vmap` over `init_centroids` alone the points are not copied for
  each. A point that is not finite is in no cluster: its assignment is -1. A
  centroid that is not finite gets no point.

  Args:
    points: points, `[N, D]`, `N >= K`; bfloat16 is accumulated in float32.
    init_centroids: centroids to start from, `[K, D]`.
    max_iters: largest number of iterations, at least 1.
    tol: relative tolerance; 0 runs until no assignment changes.
    precision: precision of the factors of products, 'highest', 'high' or
      'default'. Below 'highest' a GPU may round float32 to TensorFloat32, and
      centroids are rounded to the type of narrower points. Sums stay float32.
    kernel: 'xla', or 'pallas' for one read of the points an iteration on an
      NVIDIA GPU (see `pallas_kernel`; on a CPU it is interpreted, thus slow).
      JAX with 64 bits, more than 32 clusters and other devices fall back to
      'xla'. Rows that are sharded over devices need 'xla'.

  Returns:
    A `KMeansResult`.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> points = jnp.array([[0.0], [1.0], [8.0], [9.0]])
    >>> found = kmeans(points, points[:2])
    >>> found.centroids.tolist(), found.assignments.tolist()
    ([[0.5], [8.5]], [0, 0, 1, 1])
  """
  _validate.matrices(points=points, init_centroids=init_centroids)
  _validate.automatic(points=points)
  _validate.count(
    'the number of init_centroids', len(init_centroids), at_most=len(points)
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
  vectors: jax.Array, init_centroids: jax.Array, **kwargs: Any
) -> KMeansResult:
  """Compute `kmeans` without its checks, inside of a jitted function.

  Args:
    vectors: vectors, `[N, D]`.
    init_centroids: centroids to start from, `[K, D]`.
    **kwargs: keyword arguments of `on_points`.

  Returns:
    A `KMeansResult`.
  """
  dtype = jnp.result_type(vectors, init_centroids, jnp.float32)

  def cluster(conditioned: Conditioned) -> KMeansResult:
    starts = conditioned.to_points(init_centroids.astype(dtype))
    found = on_points(conditioned, starts, **kwargs)
    return found._replace(
      centroids=conditioned.from_points(found.centroids),
      inertia=found.inertia / conditioned.unit / conditioned.unit,
    )

  return conditioning.apply(cluster, vectors, 'euclidean')


def on_points(
  conditioned: Conditioned,
  starts: jax.Array,
  *,
  max_iters: int,
  tol: float | jax.Array,
  precision: str,
  kernel: str = 'xla',
) -> KMeansResult:
  """Cluster what `conditioning.condition` made of vectors.

  Args:
    conditioned: the points.
    starts: centroids to start from, in the coordinates of the points, `[K, D]`.
    max_iters: as in `kmeans`.
    tol: as in `kmeans`.
    precision: as in `kmeans`.
    kernel: as in `kmeans`.

  Returns:
    A `KMeansResult` in the coordinates of the points.
  """
  points, dtype = conditioned.points, starts.dtype
  known = jnp.all(jnp.isfinite(starts), axis=1)[:, None]
  starts = jnp.where(known, starts, _AWAY)
  run = functools.partial(
    iterations.iterate, max_iters=max_iters, precision=precision
  )
  # Vmapped, all starts would iterate until the slowest has settled. That pays
  # where a device waits for work, not on a CPU.
  branches = dict(
    cpu=iterations.vmap_in_lanes(max_iters=max_iters, precision=precision),
    default=functools.partial(run, sums_fn=cluster_sums.by_product),
  )
  # pyrefly: ignore[missing-attribute]
  narrow = dtype == jnp.float32 and not jax.config.jax_enable_x64
  if kernel == 'pallas' and narrow:
    branches |= _pallas_branches(run, len(starts))
  found = jax.lax.platform_dependent(
    points, starts, _scale_of(conditioned, dtype, tol), **branches
  )
  return found._replace(
    centroids=jnp.where(known, found.centroids, jnp.nan),
    assignments=jnp.where(conditioned.finite, found.assignments, -1),
  )


def _scale_of(
  conditioned: Conditioned,
  dtype: jax.typing.DTypeLike,
  tol: float | jax.Array,
) -> Scale:
  """Return the `Scale` of points, in the type of the centroids."""
  mean = conditioned.mean.astype(dtype)
  squares = conditioned.spread.astype(dtype)
  variance = squares / len(mean)
  origin = similarity.coarse_origin(mean, variance)
  spread = squares + jnp.sum((mean - origin) ** 2)
  return Scale(origin, spread, tol * variance, conditioned.finite)


def _pallas_branches(
  run: Callable[..., KMeansResult], num_clusters: int
) -> dict[str, Callable[..., KMeansResult]]:
  """Return what to run with the Pallas kernel, by platform."""
  from splitjax.attacks.kmeans import pallas_kernel

  if num_clusters > pallas_kernel.MOST_TARGETS:
    return {}
  compiled = pallas_kernel.nearest_and_sums
  interpreted = functools.partial(compiled, interpret=True)
  return dict(
    cpu=functools.partial(run, nearest_fn=interpreted),
    cuda=functools.partial(run, nearest_fn=compiled),
  )
