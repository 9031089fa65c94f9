"""The clustering attack: K-means, and which cluster is which class."""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import grouping
from splitjax.attacks import similarity
from splitjax.attacks.conditioning import Conditioned
from splitjax.attacks.kmeans import lloyd
from splitjax.attacks.kmeans import plus_plus
from splitjax.attacks.kmeans.iterations import KMeansResult
from splitjax.attacks.result import AttackResult
from splitjax.attacks.result import Groups

INITS = ('aux', 'kmeans++')
MATCHINGS = ('seed', 'hungarian')


@functools.partial(
  _kernel.jit,
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
  """Cluster vectors into as many clusters as classes, and name the clusters.

  The clustering attack of Liu et al. (https://arxiv.org/abs/2203.05222). The
  attacker knows the number of classes and the labels of a few auxiliary
  vectors. By default the clusters start from the mean auxiliary vector of each
  class and keep its label. `init='kmeans++', matching='hungarian',
  num_restarts=10` is the paper's mode for gradients, `matching='hungarian'`
  its mode for smashed data.

  The auxiliary vectors say where clusters start and what they are called; they
  are clustered only where they are rows of `vectors` too. A class without an
  auxiliary vector starts from the mean of all vectors. Under `jax.vmap` over
  the auxiliary arrays alone the vectors are not copied for each, and the
  k-means++ clusters, which do not depend on them, are found once.

  A vector that is not finite is in no cluster (-1) and gets the label -1, the
  largest number of an unsigned type; an auxiliary one is ignored.

  Args:
    key: random key for k-means++; unused with `init='aux'`.
    vectors: cut gradients or smashed data to label, `[N, D]`, `N >= K`.
    aux_vectors: cut gradients or smashed data of the auxiliary samples,
      `[A, D]`.
    aux_labels: labels of the auxiliary samples in `[0, K)`, `[A]`; samples with
      any other label are ignored.
    num_classes: number of classes and of clusters `K`.
    metric: 'cosine', which scales vectors to length 1, or 'euclidean'.
    init: where the clusters start, 'aux' (the mean auxiliary vectors) or
      'kmeans++'.
    matching: which class a cluster gets, 'seed' (the class that it started
      from; needs `init='aux'`) or 'hungarian' (the assignment of classes to
      clusters that most auxiliary vectors agree with; clusters without an
      auxiliary vector get the classes left over, always in the same way).
    num_restarts: number of runs from k-means++, of which the best inertia
      counts.
    max_iters: largest number of Lloyd iterations of a run.
    tol: relative tolerance, as in `kmeans`.
    precision: precision of the factors of products, as in `kmeans`.
    kernel: 'xla' or 'pallas', as in `kmeans`.

  Returns:
    An `AttackResult` with labels and groups, which are the clusters.

  Raises:
    ValueError: at trace time, if a shape, type, name or number is not as above.

  Example:
    >>> vectors = jnp.array([[5.0, 1.0], [1.0, 9.0], [3.0, 0.0], [0.0, 2.0]])
    >>> found = cluster_labels(
    ...   jax.random.key(0),
    ...   vectors,
    ...   vectors[:2],
    ...   jnp.array([1, 0]),
    ...   num_classes=2,
    ... )
    >>> found.labels.tolist()
    [1, 0, 1, 0]
  """
  _validate.known_samples(vectors, aux_vectors, aux_labels)
  _validate.choice('metric', metric, similarity.METRICS)
  _validate.count('num_classes', num_classes, at_most=len(vectors))
  _validate.count('max_iters', max_iters)
  _validate.choice('precision', precision, similarity.PRECISIONS)
  _validate.choice('kernel', kernel, lloyd.KERNELS)
  _check_start(init, matching, num_restarts)
  run = functools.partial(
    lloyd.on_points,
    max_iters=max_iters,
    tol=tol,
    precision=precision,
    kernel=kernel,
  )

  def attack(conditioned: Conditioned) -> AttackResult:
    aux_points, known = _aux_points(conditioned, aux_vectors, metric)
    if init == 'aux':
      starts = _class_means(aux_points, known, aux_labels, num_classes)
      centre = conditioned.mean.astype(starts.dtype)[None]
      clusters = run(conditioned, jnp.where(jnp.isnan(starts), centre, starts))
    else:
      clusters = _best_of_spread(
        key, conditioned, run, num_classes, num_restarts
      )
    names = jnp.arange(num_classes, dtype=aux_labels.dtype)
    if matching == 'hungarian':
      nearest = _nearest_centroids(aux_points, clusters.centroids)
      nearest = jnp.where(known, nearest, num_classes)  # No group.
      names = grouping.name_groups(nearest, aux_labels, num_classes)
      names = names.astype(aux_labels.dtype)
    groups = Groups(
      clusters.assignments,
      names,
      conditioned.from_points(clusters.centroids),
      clusters.inertia / conditioned.unit / conditioned.unit,
    )
    labels = conditioning.name_finite(
      names[clusters.assignments], conditioned.finite
    )
    return AttackResult(labels, groups=groups)

  return conditioning.apply(attack, vectors, metric)


def _best_of_spread(
  key: jax.Array,
  conditioned: Conditioned,
  run: Callable[..., KMeansResult],
  num_classes: int,
  num_restarts: int,
) -> KMeansResult:
  """Return the best of several runs from k-means++."""
  draws = plus_plus.start_draws(key, num_classes, (num_restarts,))
  starts = jax.vmap(plus_plus.spread_centroids, (0, None, None))(
    draws, conditioned.points, conditioned.finite
  )
  runs = jax.vmap(functools.partial(run, conditioned))(starts)
  best = jnp.argmin(runs.inertia)
  return jax.tree.map(lambda x: x[best], runs)


def _check_start(init: str, matching: str, num_restarts: int) -> None:
  """Check how clusters start, and whether that allows the matching."""
  _validate.choice('init', init, INITS)
  _validate.choice('matching', matching, MATCHINGS)
  _validate.count('num_restarts', num_restarts)
  if init == 'aux' and num_restarts > 1:
    raise ValueError(
      f"num_restarts must be 1 with init='aux', {num_restarts=}."
    )
  if init != 'aux' and matching == 'seed':
    raise ValueError(f"matching='seed' needs init='aux', got {init=}.")


@functools.partial(_kernel.jit, static_argnames='metric')
def cluster_scores(
  vectors: jax.Array, clusters: AttackResult, *, metric: str = 'cosine'
) -> jax.Array:
  """Score each class by how near its centroid is.

  Args:
    vectors: the vectors that were clustered, `[N, D]`.
    clusters: the result of `cluster_labels`.
    metric: the metric that `cluster_labels` used.

  Returns:
    Scores `[N, K]`: half of the squared distance to the mean of the centroids,
    less half of that to the centroid of the class; the larger, the nearer. Of
    vectors beyond 1e-12 to 1e12, squares are those of the vectors times a power
    of two. NaN for a vector that is not finite.

  Raises:
    ValueError: at trace time, if a shape, type or name is not as above.

  Example:
    >>> vectors = jnp.array([[5.0, 1.0], [1.0, 9.0], [3.0, 0.0], [0.0, 2.0]])
    >>> clusters = cluster_labels(
    ...   jax.random.key(0),
    ...   vectors,
    ...   vectors[:2],
    ...   jnp.array([1, 0]),
    ...   num_classes=2,
    ... )
    >>> cluster_scores(vectors, clusters).argmax(axis=1).tolist()
    [1, 0, 1, 0]
  """
  groups = clusters.groups
  # pyrefly: ignore[missing-attribute]
  _validate.matrices(vectors=vectors, centroids=groups.centroids)
  _validate.choice('metric', metric, similarity.METRICS)
  conditioned = conditioning.condition(vectors, metric)
  # pyrefly: ignore[missing-attribute]
  centroids = groups.centroids[jnp.argsort(groups.labels)]
  centroids = conditioned.to_points(centroids)
  scores = similarity.closeness(
    conditioned.points, centroids, jnp.mean(centroids, axis=0)
  )
  return jnp.where(conditioned.finite[:, None], scores, jnp.nan)


def _aux_points(
  conditioned: Conditioned, aux_vectors: jax.Array, metric: str
) -> tuple[jax.Array, jax.Array]:
  """Return auxiliary vectors as points, and which of them are finite.

  Those that are not are 0, `[A, D]`.
  """
  rows = similarity.to_accumulator(aux_vectors)
  known = jnp.all(jnp.isfinite(rows), axis=1)
  if metric == 'cosine':
    rows = similarity.unit_normalize(rows)
  return jnp.where(known[:, None], conditioned.to_points(rows), 0), known


def _class_means(
  aux_points: jax.Array,
  known: jax.Array,
  aux_labels: jax.Array,
  num_classes: int,
) -> jax.Array:
  """Return the mean auxiliary point of each class, NaN for none, `[K, D]`."""
  members = jax.nn.one_hot(aux_labels, num_classes, dtype=aux_points.dtype)
  members = members * known[:, None]
  sums = jnp.dot(members.T, aux_points, precision=jax.lax.Precision.HIGHEST)
  sizes = jnp.sum(members, axis=0)[:, None]  # [K, 1]
  return jnp.where(sizes > 0, sums / jnp.maximum(sizes, 1), jnp.nan)


def _nearest_centroids(
  aux_points: jax.Array, centroids: jax.Array
) -> jax.Array:
  """Return the cluster that each auxiliary point is nearest to, `[A]`."""
  close = similarity.closeness(
    aux_points, centroids, jnp.mean(centroids, axis=0)
  )
  return jnp.argmax(close, axis=1)
