"""Clustering while the gradients arrive, one batch after another.

The clustering attack of Liu et al. (https://arxiv.org/abs/2203.05222) without a
record: nothing of a batch is kept but the cluster of each sample. Passive, and
as blind as the attack on the record: it needs the number of classes, and to
name the clusters in the end the labels of a few samples.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import _validate
from splitjax.attacks import grouping
from splitjax.attacks import similarity
from splitjax.attacks.kmeans import lloyd
from splitjax.attacks.kmeans import plus_plus

_NUM_STARTS = 10  # Of k-means++ on the first batch.


class OnlineClusters(NamedTuple):
  """What is carried from batch to batch.

  Attributes:
    key: of the first batch's draws.
    centroids: `[K, D]`, float32.
    sizes: samples that each stands for, those of earlier batches counting less
      and less, `[K]`, float32.
    num_batches: how many batches were seen, a scalar.
  """

  key: jax.Array
  centroids: jax.Array
  sizes: jax.Array
  num_batches: jax.Array


def start_online(
  key: jax.Array, *, num_clusters: int, width: int
) -> OnlineClusters:
  """The state before the first batch.

  Args:
    key: of the draws.
    num_clusters: `K`.
    width: `D`.

  Returns:
    The state.

  Raises:
    ValueError: at trace time, if a number is not positive.
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
  """Clusters a batch from where the batches before left the centroids.

  On unit vectors. The first batch is clustered from the best of ten k-means++
  starts, so that it should hold several samples of each class. A class that a
  later batch lacks keeps its centroid.

  Args:
    clusters: what is carried.
    vectors: of a batch, `[B, D]`, in the first batch `B >= K`.
    max_iters: most Lloyd iterations on a batch.
    memory: weight of the batches before when the centroids are updated; 1 is
      the mean over all so far, 0 the last batch that had the class alone.

  Returns:
    What to carry on, and the cluster of each sample, `[B]`.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.matrices(vectors=vectors, centroids=clusters.centroids)
  _validate.count('max_iters', max_iters)
  num_clusters = len(clusters.centroids)
  units = similarity.unit_normalize(vectors.astype(jnp.float32))

  def first_centroids():
    def start(key):
      init = plus_plus.kmeans_plus_plus(key, units, num_clusters=num_clusters)
      found = lloyd.kmeans(units, init, max_iters=max_iters)
      return found.centroids, found.inertia

    keys = jax.random.split(clusters.key, _NUM_STARTS)
    centroids, inertias = jax.lax.map(start, keys)
    return centroids[jnp.argmin(inertias)]

  init = clusters.centroids
  if len(units) >= num_clusters:  # The last batch may be smaller.
    init = jax.lax.cond(
      clusters.num_batches == 0, first_centroids, lambda: clusters.centroids
    )
  result = lloyd.lloyd(
    units, init, max_iters=max_iters, tol=0.0, precision='highest'
  )
  found = result.assignments
  members = jax.nn.one_hot(found, num_clusters, dtype=jnp.float32)
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
  ), found


def online_labels(
  assignments: jax.Array,
  aux_rows: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
) -> jax.Array:
  """The class of each sample, once the clusters have names.

  One to one, so that most auxiliary samples are right.

  Args:
    assignments: clusters from `cluster_batch`, of all samples, `[N]`.
    aux_rows: which of them are the auxiliary samples, `[A]`.
    aux_labels: their labels, `[A]`.
    num_classes: as many as clusters.

  Returns:
    Labels `[N]`.
  """
  names = grouping.name_groups(assignments[aux_rows], aux_labels, num_classes)
  return names[assignments].astype(aux_labels.dtype)
