"""Spectral attacks: the direction in which vectors differ most is the class.

Of Sun et al. (https://arxiv.org/abs/2203.01451), on smashed data of two
classes; `spectral_labels` clusters along the strongest directions instead, for
any number of classes. Passive; the attacker knows some labelled samples, which
say which side, or which cluster, is which class.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _validate
from splitjax.attacks import scoring
from splitjax.attacks import similarity
from splitjax.attacks.kmeans import clustering_attack


@functools.partial(jax.jit, static_argnames=('num_directions', 'num_iters'))
def top_directions(
  key: jax.Array,
  vectors: jax.Array,
  *,
  num_directions: int,
  num_iters: int = 16,
) -> jax.Array:
  """The directions of largest variance, by subspace iteration.

  Two products with the vectors an iteration, and no `[D, D]` matrix. The
  variance found is that of the singular vectors, up to what directions of
  nearly equal variance differ by.

  Args:
    key: of the start.
    vectors: `[N, D]`; centred here.
    num_directions: `k`, at most `D`.
    num_iters: of the iteration.

  Returns:
    Orthonormal `[k, D]`, float32 or wider, by falling variance.

  Raises:
    ValueError: at trace time, if a shape, type or count is another.
  """
  _validate.matrices(vectors=vectors)
  _validate.automatic(vectors=vectors)
  width = vectors.shape[1]
  _validate.count('num_directions', num_directions, at_most=width)
  _validate.count('num_iters', num_iters)
  wide = similarity.to_accumulator(vectors)
  centred = wide - jnp.mean(wide, axis=0, keepdims=True)
  largest = jnp.max(jnp.abs(centred))
  centred = centred / jnp.where(largest > 0, largest, 1)
  product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
  # A few more directions than asked for make the last ones converge as well.
  block = min(num_directions + 8, width)
  start = jax.random.normal(key, (width, block), wide.dtype)

  def iterate(_, basis):
    return jnp.linalg.qr(product(centred.T, product(centred, basis)))[0]

  basis = jax.lax.fori_loop(0, num_iters, iterate, jnp.linalg.qr(start)[0])
  within = product(centred, basis)
  _, turn = jnp.linalg.eigh(product(within.T, within))
  return product(basis, turn[:, ::-1][:, :num_directions]).T


@jax.jit
def spectral_scores(
  key: jax.Array,
  vectors: jax.Array,
  aux_vectors: jax.Array,
  aux_labels: jax.Array,
) -> jax.Array:
  """How far a vector lies along the direction of largest variance.

  Args:
    key: of the search for it.
    vectors: smashed data or cut gradients, `[N, D]`.
    aux_vectors: those of the known samples, of both classes, `[A, D]`.
    aux_labels: their classes, 0 or 1, `[A]`.

  Returns:
    Scores `[N]`, from half way between the known classes; positive for class 1.

  Raises:
    ValueError: at trace time, if a shape or type is another.
  """
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  _validate.automatic(vectors=vectors)
  _validate.labels_of('aux_labels', aux_labels, aux_vectors)
  (direction,) = top_directions(key, vectors, num_directions=1)
  along = lambda x: similarity.inner_products(x, direction[None])[:, 0]
  return scoring.from_half_way(along(vectors), along(aux_vectors), aux_labels)


@functools.partial(jax.jit, static_argnames='num_classes')
def spectral_labels(
  key: jax.Array,
  vectors: jax.Array,
  aux_vectors: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
) -> jax.Array:
  """Clusters along the `C - 1` strongest directions of the unit vectors.

  Clusters start from the known samples and keep their classes.

  Args:
    key: of the search for the directions.
    vectors: cut gradients or smashed data, `[N, D]`.
    aux_vectors: those of the known samples, of every class, `[A, D]`.
    aux_labels: their classes, `[A]`.
    num_classes: `C`.

  Returns:
    Labels `[N]`.

  Raises:
    ValueError: at trace time, if a shape, type or count is another.
  """
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  _validate.automatic(vectors=vectors)
  units = similarity.unit_normalize(similarity.to_accumulator(vectors))
  known = similarity.unit_normalize(similarity.to_accumulator(aux_vectors))
  directions = top_directions(
    key, units, num_directions=min(num_classes - 1, units.shape[1])
  )
  along = lambda x: similarity.inner_products(x, directions)
  clusters = clustering_attack.cluster_labels(
    key,
    along(units),
    along(known),
    aux_labels,
    num_classes=num_classes,
    metric='euclidean',
  )
  return clusters.labels
