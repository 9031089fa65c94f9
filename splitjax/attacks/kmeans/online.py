"""Clustering while the gradients arrive, one batch after another.

The clustering attack of Liu et al. (https://arxiv.org/abs/2203.05222) without a
record: nothing of a batch is kept but the cluster of each sample. It is passive
and needs what the attack on the record needs: the number of classes, and the
labels of a few samples to name the clusters in the end.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import grouping
from splitjax.attacks import similarity
from splitjax.attacks.kmeans import lloyd
from splitjax.attacks.kmeans import plus_plus

_NUM_STARTS = 10  # Of k-means++ on the first batch.


class OnlineClusters(NamedTuple):
  """What is carried from batch to batch.

  Attributes:
    key: random key for the starts of k-means++ on the first batch.
    centroids: centroids of the clusters, `[K, D]`, float32.
    sizes: weight of each centroid: how many samples it is the mean of, those of
      earlier batches counting less and less, `[K]`, float32.
    num_batches: number of batches seen, a scalar.
  """

  key: jax.Array
  centroids: jax.Array
  sizes: jax.Array
  num_batches: jax.Array


def start_online(
  key: jax.Array, *, num_clusters: int, width: int
) -> OnlineClusters:
  """Return the clusters before the first batch.

  Args:
    key: random key for the starts of k-means++ on the first batch.
    num_clusters: number of clusters `K`.
    width: width of the vectors `D`.

  Returns:
    The clusters, to pass to `cluster_batch`.

  Raises:
    ValueError: at trace time, if a number is not positive.

  Example:
    >>> clusters = start_online(jax.random.key(0), num_clusters=3, width=2)
    >>> clusters.centroids.shape
    (3, 2)
  """
  _validate.count('num_clusters', num_clusters)
  _validate.count('width', width)
  return OnlineClusters(
    key=key,
    centroids=jnp.zeros((num_clusters, width)),
    sizes=jnp.zeros(num_clusters),
    num_batches=jnp.zeros((), jnp.int32),
  )


def cluster_batch(
  clusters: OnlineClusters,
  vectors: jax.Array,
  *,
  max_iters: int = 10,
  memory: jax.typing.ArrayLike = 0.9,
) -> tuple[OnlineClusters, jax.Array]:
  """Cluster a batch from where the batches before left the centroids.

  Vectors are scaled to length 1. The first batch is clustered from the best of
  ten k-means++ starts, so it should hold several samples of each class. A class
  that a later batch lacks keeps its centroid. A vector that is not finite is in
  no cluster, which is written as -1.

  Args:
    clusters: what the batch before returned, or `start_online`.
    vectors: vectors of the batch, `[B, D]`; in the first batch `B >= K`.
    max_iters: largest number of Lloyd iterations on a batch.
    memory: weight of the batches before when the centroids are updated. With 1
      a centroid is the mean of all batches so far, with 0 that of the last
      batch that had members of the cluster.

  Returns:
    The clusters to pass on, and the cluster of each sample, `[B]`.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> clusters = start_online(jax.random.key(0), num_clusters=2, width=2)
    >>> batch = jnp.array([[3.0, 0.0], [0.0, 1.0], [2.0, 0.1], [0.1, 4.0]])
    >>> clusters, found = cluster_batch(clusters, batch)
    >>> (found == found[0]).tolist()
    [True, False, True, False]
  """
  vectors = jnp.asarray(_kernel.to_array('vectors', vectors))
  clusters = _kernel.to_arrays('clusters', clusters)
  _validate.matrices(vectors=vectors, centroids=clusters.centroids)
  _validate.count('max_iters', max_iters)
  units = similarity.unit_normalize(vectors.astype(jnp.float32))
  init = clusters.centroids
  if len(units) >= len(init):  # The last batch may be smaller.
    init = jax.lax.cond(
      clusters.num_batches == 0,
      lambda: _first_centroids(clusters, units, max_iters),
      lambda: clusters.centroids,
    )
  result = lloyd.lloyd(
    units, init, max_iters=max_iters, tol=0.0, precision='highest'
  )
  found = result.assignments
  units = jnp.where((found >= 0)[:, None], units, 0)
  return _update(clusters, init, units, found, memory), found


def _first_centroids(
  clusters: OnlineClusters, units: jax.Array, max_iters: int
) -> jax.Array:
  """Return the centroids of the best of several k-means++ starts, `[K, D]`."""

  def start(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    num_clusters = len(clusters.centroids)
    init = plus_plus.kmeans_plus_plus(key, units, num_clusters=num_clusters)
    found = lloyd.kmeans(units, init, max_iters=max_iters)
    return found.centroids, found.inertia

  keys = jax.random.split(clusters.key, _NUM_STARTS)
  centroids, inertias = jax.lax.map(start, keys)
  return centroids[jnp.argmin(inertias)]


def _update(
  clusters: OnlineClusters,
  init: jax.Array,
  units: jax.Array,
  found: jax.Array,
  memory: jax.typing.ArrayLike,
) -> OnlineClusters:
  """Return the clusters with a batch counted in.

  Args:
    clusters: clusters before the batch.
    init: centroids that the batch was clustered from, `[K, D]`.
    units: vectors of the batch, of length 1, `[B, D]`.
    found: cluster of each sample of the batch, `[B]`.
    memory: weight of the batches before.

  Returns:
    The clusters after the batch.
  """
  members = jax.nn.one_hot(found, len(init), dtype=jnp.float32)
  sums = jnp.dot(members.T, units, precision=jax.lax.Precision.HIGHEST)
  sizes = jnp.sum(members, axis=0)
  before = memory * clusters.sizes * (clusters.num_batches > 0)
  total = (before + sizes)[:, None]
  means = (before[:, None] * clusters.centroids + sums) / jnp.maximum(
    total, 1e-9
  )
  return OnlineClusters(
    key=clusters.key,
    centroids=jnp.where(sizes[:, None] > 0, means, init),
    sizes=jnp.where(sizes > 0, before + sizes, clusters.sizes),
    num_batches=clusters.num_batches + 1,
  )


def online_labels(
  assignments: jax.Array,
  aux_rows: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
) -> jax.Array:
  """Name the clusters, and label each sample as its cluster.

  Each cluster gets another class, so that most auxiliary samples are right.

  Args:
    assignments: clusters of all samples, from `cluster_batch`, `[N]`.
    aux_rows: row numbers of the auxiliary samples in `assignments`, `[A]`.
    aux_labels: labels of the auxiliary samples, `[A]`.
    num_classes: number of classes and of clusters.

  Returns:
    Labels `[N]`, in the type of `aux_labels`; -1 for a sample in no cluster.

  Example:
    >>> assignments = jnp.array([1, 0, 0, 1, 0])
    >>> online_labels(
    ...   assignments, jnp.array([0, 1]), jnp.array([0, 1]), num_classes=2
    ... ).tolist()
    [0, 1, 1, 0, 1]
  """
  aux_labels = jnp.asarray(_kernel.to_array('aux_labels', aux_labels))
  names = grouping.name_groups(assignments[aux_rows], aux_labels, num_classes)
  labels = names[assignments].astype(aux_labels.dtype)
  return conditioning.name_finite(labels, assignments >= 0)
