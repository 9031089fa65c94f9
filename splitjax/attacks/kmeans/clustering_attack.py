"""The clustering attack: K-means, and which cluster is which class."""

import functools

import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import _validate
from splitjax.attacks import similarity
from splitjax.attacks.kmeans import lloyd
from splitjax.attacks.kmeans import plus_plus
from splitjax.attacks.result import AttackResult
from splitjax.attacks.result import Groups

INITS = ('aux', 'kmeans++')
MATCHINGS = ('seed', 'hungarian')


@functools.partial(
  jax.jit,
  static_argnames=(
    'num_classes',
    'metric',
    'init',
    'matching',
    'num_restarts',
    'max_iters',
    'precision',
    'kernel',
  ),
)
def cluster_labels(
  key: jax.Array,
  vectors: jax.Array,
  aux_vectors: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
  metric: str = 'cosine',
  init: str = 'aux',
  matching: str = 'seed',
  num_restarts: int = 1,
  max_iters: int = 100,
  tol: float = 1e-4,
  precision: str = 'highest',
  kernel: str = 'xla',
) -> AttackResult:
  """Clusters vectors into as many clusters as classes, and names the clusters.

  The clustering attack of Liu et al. (https://arxiv.org/abs/2203.05222). The
  attacker knows the number of classes and the labels of a few auxiliary
  vectors. By default the clusters start from the mean auxiliary vector of each
  class and keep its label. `init='kmeans++', matching='hungarian',
  num_restarts=10` is the paper's mode for gradients, `matching='hungarian'`
  its mode for smashed data.

  The auxiliary vectors say where clusters start and what they are called; they
  are clustered only where they are rows of `vectors` too. A class without an
  auxiliary vector starts from the mean of all vectors. Under `jax.vmap` over
  the auxiliary arrays alone the vectors are not copied, and the k-means++
  clusters, which do not depend on them, are found once.

  Args:
    key: for the k-means++ draws; unused with `init='aux'`.
    vectors: cut gradients or smashed data to label, `[N, D]`, `N >= K`.
    aux_vectors: the same of the auxiliary samples, `[A, D]`.
    aux_labels: their labels in `[0, K)`, `[A]`; any other label is ignored.
    num_classes: `K`.
    metric: 'cosine' (vectors are scaled to length 1) or 'euclidean'.
    init: 'aux' or 'kmeans++'.
    matching: 'seed' (the class that a cluster started from; needs
      `init='aux'`) or 'hungarian' (the assignment of classes to clusters that
      most auxiliary vectors agree with; clusters without one get the classes
      left over, deterministically).
    num_restarts: k-means++ runs, of which the best inertia counts.
    max_iters: most Lloyd iterations of a run.
    tol: see `kmeans`.
    precision: see `kmeans`.
    kernel: see `kmeans`.

  Returns:
    An `AttackResult` with labels and groups, which are the clusters.

  Raises:
    ValueError: at trace time, if a shape, type, name or number is not as above.
  """
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  _validate.automatic(vectors=vectors)
  _validate.labels_of('aux_labels', aux_labels, aux_vectors)
  _validate.choice('metric', metric, similarity.METRICS)
  _validate.choice('init', init, INITS)
  _validate.choice('matching', matching, MATCHINGS)
  _validate.count('num_classes', num_classes, at_most=len(vectors))
  _validate.count('num_restarts', num_restarts)
  _validate.count('max_iters', max_iters)
  _validate.choice('precision', precision, similarity.PRECISIONS)
  _validate.choice('kernel', kernel, lloyd.KERNELS)
  if init == 'aux' and num_restarts > 1:
    raise ValueError(
      f"num_restarts must be 1 with init='aux', {num_restarts=}."
    )
  if init != 'aux' and matching == 'seed':
    raise ValueError(f"matching='seed' needs init='aux', got {init=}.")

  if metric == 'cosine':
    vectors = similarity.unit_normalize(vectors)
    aux_vectors = similarity.unit_normalize(aux_vectors)
  run = functools.partial(
    lloyd.lloyd,
    vectors,
    max_iters=max_iters,
    tol=tol,
    precision=precision,
    kernel=kernel,
  )
  if init == 'aux':
    clusters = run(_class_means(aux_vectors, aux_labels, num_classes, vectors))
  else:
    draws = plus_plus.start_draws(key, num_classes, (num_restarts,))
    spread = jax.vmap(plus_plus.spread_centroids, (0, None))(draws, vectors)
    runs = jax.vmap(run)(spread)
    best = jnp.argmin(runs.inertia)
    clusters = jax.tree.map(lambda x: x[best], runs)

  names = jnp.arange(num_classes, dtype=aux_labels.dtype)
  if matching == 'hungarian':
    votes = _votes(clusters.centroids, aux_vectors, aux_labels, num_classes)
    rows, columns = optax.assignment.hungarian_algorithm(-votes)
    names = names.at[rows].set(columns.astype(names.dtype))
  groups = Groups(
    clusters.assignments, names, clusters.centroids, clusters.inertia
  )
  return AttackResult(names[clusters.assignments], groups=groups)


@functools.partial(jax.jit, static_argnames='metric')
def cluster_scores(
  vectors: jax.Array, clusters: AttackResult, *, metric: str = 'cosine'
) -> jax.Array:
  """Scores each class by how near its centroid is.

  Args:
    vectors: what was clustered, `[N, D]`.
    clusters: from `cluster_labels`.
    metric: the same as there.

  Returns:
    Half of what the squared distance to a fixed point exceeds that to the
    class's centroid, `[N, K]`: the larger, the nearer.

  Raises:
    ValueError: at trace time, if a shape, type or name is not as above.
  """
  groups = clusters.groups
  _validate.matrices(vectors=vectors, centroids=groups.centroids)
  _validate.choice('metric', metric, similarity.METRICS)
  if metric == 'cosine':
    vectors = similarity.unit_normalize(vectors)
  centroids = groups.centroids[jnp.argsort(groups.labels)]
  return similarity.closeness(vectors, centroids, jnp.mean(centroids, axis=0))


def _class_means(aux_vectors, aux_labels, num_classes, vectors):
  """Mean auxiliary vector of each class, `[K, D]`."""
  aux_vectors = similarity.to_accumulator(aux_vectors)
  members = jax.nn.one_hot(aux_labels, num_classes, dtype=aux_vectors.dtype)
  sums = jnp.dot(members.T, aux_vectors, precision=jax.lax.Precision.HIGHEST)
  sizes = jnp.sum(members, axis=0)[:, None]  # [K, 1]
  centre = jnp.mean(vectors, axis=0, dtype=aux_vectors.dtype)
  return jnp.where(sizes > 0, sums / jnp.maximum(sizes, 1), centre[None])


def _votes(centroids, aux_vectors, aux_labels, num_classes):
  """How many auxiliary vectors of each class are nearest to each centroid."""
  close = similarity.closeness(
    aux_vectors, centroids, jnp.mean(centroids, axis=0)
  )
  nearest = jnp.argmax(close, axis=1)  # [A]
  clusters = jax.nn.one_hot(nearest, num_classes)
  classes = jax.nn.one_hot(aux_labels, num_classes)
  return clusters.T @ classes  # [K, C]
