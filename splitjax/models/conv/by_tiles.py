r"""A convolution of 3x3 windows by tiles of 4x4 outputs, after Winograd.

$$ Y = A^T [(G g G^T) \odot (B^T d B)] A $$

of Lavin and Gray (https://arxiv.org/abs/1509.09308), F(4x4, 3x3): 36 products
for a tile of 16 outputs, where the definition has 144. Each of the 36 products
is one matrix product over all tiles and channels. The points are 0, 1, -1, 2,
-2 and infinity; the result is rounded to about 3e-6 of the largest output in
float32, where the definition rounds to 1e-7.
"""

from collections.abc import Sequence
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from splitjax.models.conv import geometry as geometries
from splitjax.models.conv.geometry import Geometry

_TILE = 4
# One row for each factor of a product: of the inputs (B^T), of the kernel (G).
_OF_INPUTS = np.array(
  [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
  ]
)
_OF_KERNEL = np.array(
  [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
  ]
)
# One row for each output of a tile, of the products (A^T).
_OF_PRODUCTS = np.array(
  [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
  ]
)


def suits(geometry: Geometry, inputs: jax.Array, kernel: jax.Array) -> bool:
  """Return whether tiles are faster than a library, and precise enough.

  They are if little of the tiles is padding, and there are many of them.

  Args:
    geometry: shape of the convolution; with a precision, tiles do not suit.
    inputs: images `[B, H, W, C]`.
    kernel: kernel `[h, w, C, F]`.

  Returns:
    True if `outputs` here is the faster one.
  """
  if geometry.window != (3, 3) or geometry.strides != (1, 1):
    return False
  if geometry.precision is not None or inputs.dtype.itemsize < 4:
    return False
  num_tiles = math.prod(-(-n // _TILE) for n in geometry.output_size)
  few_zeros = num_tiles * _TILE**2 <= 1.4 * math.prod(geometry.output_size)
  enough = min(kernel.shape[2:]) >= 64 and len(inputs) * num_tiles >= 128
  return few_zeros and enough


def outputs(
  geometry: Geometry, inputs: jax.Array, kernel: jax.Array
) -> jax.Array:
  """Convolve `[B, H, W, C]` with `[3, 3, C, F]`, to `[B, H', W', F]`."""
  (top, _), (left, _) = geometry.padding
  first = top, left
  return _correlate(inputs, kernel, first, geometry.output_size)


def input_grads(
  geometry: Geometry, grads: jax.Array, kernel: jax.Array
) -> jax.Array:
  """Return the gradient of the inputs, `[B, H, W, C]`."""
  kernel = jnp.flip(kernel, axis=(0, 1)).swapaxes(2, 3)
  (top, _), (left, _) = geometry.padding
  first = 2 - top, 2 - left
  return _correlate(grads, kernel, first, geometry.size)


def kernel_grads(
  geometry: Geometry, inputs: jax.Array, grads: jax.Array
) -> jax.Array:
  """Return the gradient of the kernel, `[3, 3, C, F]`."""
  (top, _), (left, _) = geometry.padding
  first = top, left
  seen = _transform(_OF_INPUTS, _cover(inputs, first, geometry.output_size, 2))
  due = _transform(
    _OF_PRODUCTS.T, _cover(grads, (0, 0), geometry.output_size, 0)
  )
  products = [
    jnp.dot(_rows(s).T, _rows(d)) for s, d in zip(seen, due, strict=True)
  ]
  merged = _merge(_OF_KERNEL.T, products)
  return jnp.stack([jnp.stack(row) for row in merged])


def _correlate(
  inputs: jax.Array,
  kernel: jax.Array,
  first: tuple[int, int],
  size: tuple[int, int],
) -> jax.Array:
  """Return outputs `[B, *size, F]`, the first of which sees padding.

  Args:
    inputs: images `[B, H, W, C]`.
    kernel: kernel `[3, 3, C, F]`.
    first: how many rows and columns the first window begins before the image.
    size: height and width of the outputs.
  """
  seen = _transform(_OF_INPUTS, _cover(inputs, first, size, 2))
  weights = _transform(_OF_KERNEL, kernel[None])
  batch, num_rows, num_columns, _ = seen[0].shape
  products = [
    jnp.dot(_rows(s), w[0, 0, 0]).reshape(batch, num_rows, num_columns, -1)
    for s, w in zip(seen, weights, strict=True)
  ]
  tiles = jnp.stack(
    [jnp.stack(row, axis=3) for row in _merge(_OF_PRODUCTS, products)], axis=2
  )  # [B, rows, 4, columns, 4, F]
  whole = tiles.reshape(batch, num_rows * _TILE, num_columns * _TILE, -1)
  return whole[:, : size[0], : size[1]]


def _cover(
  x: jax.Array,
  first: tuple[int, int],
  size: tuple[int, int],
  overlap: int,
) -> jax.Array:
  """Pad or crop images so that whole tiles cover `size` outputs.

  Args:
    x: images `[B, H, W, C]`.
    first: how many rows and columns of zeros come before the image.
    size: height and width of the outputs.
    overlap: how many rows and columns two tiles share.
  """
  padding = [
    (low, -(-length // _TILE) * _TILE + overlap - low - given)
    for low, length, given in zip(first, size, x.shape[1:3], strict=True)
  ]
  return geometries.pad(x, padding)


def _transform(matrix: np.ndarray, x: jax.Array) -> list[jax.Array]:
  """Multiply a matrix with all tiles, along both axes of the images.

  Args:
    matrix: matrix with as many columns as a tile has rows.
    x: images `[B, H, W, C]` that tiles cover.

  Returns:
    An array for each pair of rows of the matrix, in which there is one row for
    each row of tiles, and one column for each column of tiles.
  """
  along_rows = _combine(matrix, _apart(x, 1, matrix.shape[1]))
  return [
    combined
    for row in along_rows
    for combined in _combine(matrix, _apart(row, 2, matrix.shape[1]))
  ]


def _rows(x: jax.Array) -> jax.Array:
  """Return a matrix of all tiles: products with more axes are slower."""
  return x.reshape(-1, x.shape[-1])


def _apart(x: jax.Array, axis: int, reach: int) -> list[jax.Array]:
  """Return the first rows of all tiles, the second ones, and so on."""
  end = x.shape[axis] - reach + 1
  return [
    jax.lax.slice_in_dim(x, k, k + end, _TILE, axis) for k in range(reach)
  ]


def _merge(
  matrix: np.ndarray, products: Sequence[jax.Array]
) -> list[list[jax.Array]]:
  """Multiply a matrix with the products, along both axes of a tile."""
  reach = matrix.shape[1]
  along_rows = [_combine(matrix, products[j::reach]) for j in range(reach)]
  return [_combine(matrix, column) for column in zip(*along_rows, strict=True)]


def _combine(matrix: np.ndarray, parts: Sequence[jax.Array]) -> list[jax.Array]:
  """Return one weighted sum of arrays for each row of weights."""
  return [
    functools.reduce(
      jnp.add,
      [
        part if weight == 1 else float(weight) * part
        for weight, part in zip(row, parts, strict=True)
        if weight
      ],
    )
    for row in matrix
  ]
