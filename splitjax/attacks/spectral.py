"""Spectral attacks: the direction in which vectors differ most is the class.

Of Sun et al. (https://arxiv.org/abs/2203.01451), on smashed data of two
classes. `spectral_labels` clusters along the strongest directions instead, for
any number of classes. The attacks are passive; the attacker knows some labelled
samples, which say which side, or which cluster, is which class.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax import linalg
from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import scoring
from splitjax.attacks import similarity
from splitjax.attacks.kmeans import clustering_attack

# Up to this width, all directions may be found at once.
_MOST_SQUARE = 1024
_SPARE = 8

_matmul = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


@functools.partial(_kernel.jit, static_argnames=('num_directions', 'num_iters'))
def top_directions(
  key: jax.Array,
  vectors: jax.Array,
  *,
  num_directions: int,
  num_iters: int = 6,
) -> jax.Array:
  """Find the directions of largest variance, by block Krylov iteration.

  Of Musco and Musco (https://arxiv.org/abs/1504.05477): the directions are
  looked for in all subspaces that the iterations pass through, not in the last
  alone. Each takes two products with the vectors; no `[D, D]` or `[N, N]`
  matrix is made, except where it is small and cheaper. The directions explain
  as much variance as the singular vectors do, except where further directions
  have nearly the same variance.

  Args:
    key: random key for the initial subspace.
    vectors: vectors, `[N, D]`; they need not be centred, and those that are not
      finite do not count.
    num_directions: number of directions `k`, at most `D`.
    num_iters: number of iterations.

  Returns:
    Orthonormal directions `[k, D]`, float32 or wider, by falling variance.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> vectors = jnp.array([[1.0, 8.0], [1.5, 0.0], [0.5, -8.0]])
    >>> found = top_directions(jax.random.key(0), vectors, num_directions=1)
    >>> jnp.abs(found).round(1).tolist()
    [[0.0, 1.0]]
  """
  _validate.matrices(vectors=vectors)
  _validate.automatic(vectors=vectors)
  width = vectors.shape[1]
  _validate.count('num_directions', num_directions, at_most=width)
  _validate.count('num_iters', num_iters)
  wide = similarity.to_accumulator(vectors)
  found = conditioning.condition(wide, 'euclidean')
  centred = jnp.where(found.finite[:, None], found.points - found.mean[None], 0)
  centred = centred / similarity.largest_entry(centred)
  # A few more directions than asked for make the last ones converge as well.
  block = min(num_directions + _SPARE, width)
  # Of fewer vectors than numbers, what they are combined by is looked for.
  if block <= len(centred) < width:
    shares = _top_columns(key, centred.T, block, num_iters)[:, :num_directions]
    return linalg.orthonormal(_matmul(centred.T, shares)).T
  return _top_columns(key, centred, block, num_iters)[:, :num_directions].T


def _top_columns(
  key: jax.Array, matrix: jax.Array, block: int, num_iters: int
) -> jax.Array:
  """Return the strongest right singular vectors, the strongest first.

  Args:
    key: random key for the initial subspace.
    matrix: a matrix `[M, W]`.
    block: number of vectors, at most `W`.
    num_iters: number of iterations.

  Returns:
    At least `block` orthonormal columns, `[W, ...]`.
  """
  width, size = matrix.shape[1], block * num_iters
  if width <= max(size, min(_MOST_SQUARE, 2 * (size + block))):
    _, vectors = linalg.eigh(_matmul(matrix.T, matrix))
    return vectors[:, ::-1]

  def iterate(basis: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
    basis = linalg.orthonormal(_matmul(matrix.T, _matmul(matrix, basis)))
    return basis, basis

  start = jax.random.normal(key, (width, block), matrix.dtype)
  _, passed = jax.lax.scan(iterate, start, None, length=num_iters)
  passed = jnp.moveaxis(passed, 0, 1).reshape(width, size)
  basis = linalg.orthonormal(passed)
  within = _matmul(matrix, basis)
  _, turn = linalg.eigh(_matmul(within.T, within))
  return _matmul(basis, turn[:, ::-1])


@_kernel.jit
def spectral_scores(
  key: jax.Array,
  vectors: jax.Array,
  aux_vectors: jax.Array,
  aux_labels: jax.Array,
) -> jax.Array:
  """Score vectors by how far they lie along the direction of largest variance.

  Args:
    key: random key for the search for this direction.
    vectors: smashed data or cut gradients to score, `[N, D]`.
    aux_vectors: smashed data or cut gradients of the known samples, of both
      classes, `[A, D]`.
    aux_labels: classes of the known samples, 0 or 1, `[A]`.

  Returns:
    Scores `[N]`, from half way between the known classes; positive for class 1,
    NaN for a vector that is not finite.

  Raises:
    ValueError: at trace time, if a shape or type is not as above.

  Example:
    >>> vectors = jnp.array([[9.0, 1.0], [-9.0, 1.0], [7.0, 0.0], [-8.0, 0.0]])
    >>> scores = spectral_scores(
    ...   jax.random.key(0), vectors, vectors[:2], jnp.array([1, 0])
    ... )
    >>> (scores > 0).tolist()
    [True, False, True, False]
  """
  _validate.known_samples(vectors, aux_vectors, aux_labels)
  (direction,) = top_directions(key, vectors, num_directions=1)
  found = conditioning.condition(
    similarity.to_accumulator(vectors), 'euclidean'
  )
  along = lambda x: similarity.inner_products(x, direction[None])[:, 0]
  aux_points = found.to_points(similarity.to_accumulator(aux_vectors))
  scores = scoring.from_half_way(
    along(found.points), along(aux_points), aux_labels
  )
  return jnp.where(found.finite, scores / found.unit, jnp.nan)


@functools.partial(_kernel.jit, static_argnames='num_classes')
def spectral_labels(
  key: jax.Array,
  vectors: jax.Array,
  aux_vectors: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
) -> jax.Array:
  """Cluster along the `C - 1` strongest directions of the unit vectors.

  Clusters start from the known samples and keep their classes.

  Args:
    key: random key for the search for the directions.
    vectors: cut gradients or smashed data to label, `[N, D]`.
    aux_vectors: cut gradients or smashed data of the known samples, of every
      class, `[A, D]`.
    aux_labels: classes of the known samples, `[A]`.
    num_classes: number of classes `C`.

  Returns:
    Labels `[N]`; -1 for a vector that is not finite.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> vectors = jnp.array([[9.0, 1.0], [-9.0, 1.0], [7.0, 0.0], [-8.0, 0.0]])
    >>> spectral_labels(
    ...   jax.random.key(0),
    ...   vectors,
    ...   vectors[:2],
    ...   jnp.array([1, 0]),
    ...   num_classes=2,
    ... ).tolist()
    [1, 0, 1, 0]
  """
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  _validate.automatic(vectors=vectors)
  found = conditioning.condition(similarity.to_accumulator(vectors), 'cosine')
  units = jnp.where(found.finite[:, None], found.points, jnp.nan)
  known = similarity.unit_normalize(similarity.to_accumulator(aux_vectors))
  directions = top_directions(
    key, units, num_directions=min(num_classes - 1, units.shape[1])
  )
  along = lambda x: similarity.inner_products(x, directions)
  clusters = clustering_attack.cluster_labels(
    key,
    along(units),
    along(found.to_points(known)),
    aux_labels,
    num_classes=num_classes,
    metric='euclidean',
  )
  return clusters.labels
