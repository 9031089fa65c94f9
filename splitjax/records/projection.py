r"""A seeded random projection for cuts too wide to keep.

This is the subsampled randomised Hadamard transform of Ailon and Chazelle
(https://doi.org/10.1145/1132516.1132597). It multiplies the features by random
signs, applies an orthogonal transform that spreads every vector over all
coordinates, and keeps some of these, drawn without replacement. Inner products
are kept on average, with a standard deviation of about `1 / sqrt(width)` for
unit vectors. The projection holds two vectors and no matrix, and takes `O(D log
D)` operations for each sample.
"""

from flax import struct
import jax
import jax.numpy as jnp
import scipy

_LARGEST_FACTOR = 64


class Projection(struct.PyTreeNode):
  """A projection, from `draw`.

  Attributes:
    signs: -1 or 1 for each feature, `[P]`, where `P` is the smallest power of
      two that is at least `D`.
    chosen: coordinates that are kept, `[W]`.
  """

  signs: jax.Array
  chosen: jax.Array


def draw(key: jax.Array, *, num_features: int, width: int) -> Projection:
  """Draw a projection; keep it, and use the same one in every pass.

  Args:
    key: random key for signs and coordinates.
    num_features: flattened width `D` of what is projected.
    width: width `W` of the result, less than `D`.

  Returns:
    The projection.

  Raises:
    ValueError: if `width` is not between 1 and `D - 1`.

  Example:
    >>> projection = draw(jax.random.key(0), num_features=6, width=2)
    >>> projection.signs.shape, projection.chosen.shape
    ((8,), (2,))
  """
  if not 1 <= width < num_features:
    raise ValueError(
      f'width must lie between 1 and {num_features - 1}, got {width}.'
    )
  size = 1 << (num_features - 1).bit_length()
  key_signs, key_chosen = jax.random.split(key)
  return Projection(
    signs=jax.random.rademacher(key_signs, (size,), jnp.float32),
    chosen=jax.random.permutation(key_chosen, size)[:width],
  )


def project(projection: Projection, vectors: jax.Array) -> jax.Array:
  """Project vectors, in float32.

  Args:
    projection: projection from `draw`.
    vectors: vectors `[N, ...]`, which are flattened to `[N, D]`.

  Returns:
    Projected vectors, `[N, W]`.

  Example:
    Inner products are nearly kept.

    >>> projection = draw(jax.random.key(0), num_features=1000, width=900)
    >>> vectors = jax.random.normal(jax.random.key(1), (2, 1000))
    >>> before = vectors @ vectors.T
    >>> projected = project(projection, vectors)
    >>> after = projected @ projected.T
    >>> bool(jnp.all(jnp.abs(after - before) < 100))
    True
  """
  x = vectors.reshape(len(vectors), -1).astype(jnp.float32)
  size, width = len(projection.signs), len(projection.chosen)
  x = jnp.pad(x, ((0, 0), (0, size - x.shape[1])))
  x = _hadamard(x * projection.signs[None])
  return x[:, projection.chosen] / jnp.sqrt(width)


def _hadamard(x: jax.Array) -> jax.Array:
  """Apply the Hadamard transform, of entries -1 and 1, to the rows `[N, P]`.

  `P` is split into factors, and each takes one matrix product.
  """
  size = x.shape[1]
  factors = []
  while size > 1:
    factors.append(min(size, _LARGEST_FACTOR))
    size //= factors[-1]
  spread = x.reshape(len(x), *factors)
  for factor in factors:
    # Each product moves its axis to the end, so the order is restored at last.
    matrix = jnp.asarray(scipy.linalg.hadamard(factor), x.dtype)
    spread = jnp.moveaxis(spread, 1, -1) @ matrix
  return spread.reshape(x.shape)
