r"""A seeded random projection for cuts too wide to keep.

The subsampled randomised Hadamard transform of Ailon and Chazelle
(https://doi.org/10.1145/1132516.1132597): signs drawn at random, an orthogonal
transform that spreads every vector over all coordinates, and some of these
drawn without replacement. Inner products are kept on average, with a standard
deviation of about `1 / sqrt(width)` for unit vectors. It holds two vectors, no
matrix, and takes `O(D log D)` a sample.
"""

from flax import struct
import jax
import jax.numpy as jnp
from scipy import linalg

_LARGEST_FACTOR = 64


class Projection(struct.PyTreeNode):
  """What was drawn; see `draw`.

  Attributes:
    signs: one of -1 and 1 for each feature, `[P]`, `P` the next power of two.
    chosen: the coordinates that are kept, `[W]`.
  """

  signs: jax.Array
  chosen: jax.Array


def draw(key: jax.Array, *, num_features: int, width: int) -> Projection:
  """Draws a projection; keep it, to use the same in every pass.

  Args:
    key: random key for signs and coordinates.
    num_features: `D`, the flattened width of what is projected.
    width: `W`, the width of the result.

  Returns:
    The projection.

  Raises:
    ValueError: if it would not make anything narrower.
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
    projection: from `draw`.
    vectors: of any shape, flattened to `[N, D]`.

  Returns:
    `[N, W]`.
  """
  x = vectors.reshape(len(vectors), -1).astype(jnp.float32)
  size, width = len(projection.signs), len(projection.chosen)
  x = jnp.pad(x, ((0, 0), (0, size - x.shape[1])))
  x = _hadamard(x * projection.signs[None])
  return x[:, projection.chosen] / jnp.sqrt(width)


def _hadamard(x: jax.Array) -> jax.Array:
  """Apply the transform whose entries are -1 and 1, as one product a factor."""
  size = x.shape[1]
  factors = []
  while size > 1:
    factors.append(min(size, _LARGEST_FACTOR))
    size //= factors[-1]
  spread = x.reshape(len(x), *factors)
  for factor in factors:
    # The last axis goes first each time, so that all end where they began.
    matrix = jnp.asarray(linalg.hadamard(factor), x.dtype)
    spread = jnp.moveaxis(spread, 1, -1) @ matrix
  return spread.reshape(x.shape)
