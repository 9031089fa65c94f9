r"""A convolution of 3x3 windows by tiles of 4x4 outputs, after Winograd.

$$ Y = A^T [(G g G^T) \odot (B^T d B)] A $$

of Lavin and Gray (https://arxiv.org/abs/1509.09308), F(4x4, 3x3): 36 products
for a tile of 16 outputs, where the definition has 144. What is multiplied over
all tiles and channels at once are matrices. Points 0, 1, -1, 2, -2 and infinity
round to about 3e-6 of the largest output in float32, where the definition
rounds to 1e-7.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from splitjax.models.conv import geometry as geometries

_TILE = 4
# Rows: what is multiplied, of the inputs (B^T), and of the kernel (G).
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
# Rows: the outputs (A^T), of the products.
_OF_PRODUCTS = np.array(
  [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
  ]
)


def suits(geometry, inputs, kernel) -> bool:
  """Whether it is faster than a library: few zeros, and enough of the rest."""
  if geometry.window != (3, 3) or geometry.strides != (1, 1):
    return False
  if geometry.precision is not None or inputs.dtype.itemsize < 4:
    return False
  num_tiles = math.prod(-(-n // _TILE) for n in geometry.output_size)
  few_zeros = num_tiles * _TILE**2 <= 1.4 * math.prod(geometry.output_size)
  enough = min(kernel.shape[2:]) >= 64 and len(inputs) * num_tiles >= 128
  return few_zeros and enough


def outputs(geometry, inputs, kernel):
  """`[B, H, W, C]` and `[3, 3, C, F]` to `[B, H', W', F]`."""
  first = tuple(low for low, _ in geometry.padding)
  return _correlate(inputs, kernel, first, geometry.output_size)


def input_grads(geometry, grads, kernel):
  """The gradient of the inputs, `[B, H, W, C]`."""
  kernel = jnp.flip(kernel, axis=(0, 1)).swapaxes(2, 3)
  first = tuple(2 - low for low, _ in geometry.padding)
  return _correlate(grads, kernel, first, geometry.size)


def kernel_grads(geometry, inputs, grads):
  """The gradient of the kernel, `[3, 3, C, F]`."""
  first = tuple(low for low, _ in geometry.padding)
  seen = _transform(_OF_INPUTS, _cover(inputs, first, geometry.output_size, 2))
  due = _transform(
    _OF_PRODUCTS.T, _cover(grads, (0, 0), geometry.output_size, 0)
  )
  products = [
    jnp.dot(_rows(s).T, _rows(d)) for s, d in zip(seen, due, strict=True)
  ]
  merged = _merge(_OF_KERNEL.T, products)
  return jnp.stack([jnp.stack(row) for row in merged])


def _correlate(inputs, kernel, first, size):
  """As many outputs as `size` says, from `first` rows and columns before."""
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


def _cover(x, first, size, overlap):
  """Zeros around, so that tiles cover an image of `size`; or a crop."""
  padding = [
    (low, -(-length // _TILE) * _TILE + overlap - low - given)
    for low, length, given in zip(first, size, x.shape[1:3], strict=True)
  ]
  return geometries.pad(x, padding)


def _transform(matrix, x):
  """The rows of `matrix` by those of all tiles, along both axes of an image.

  Returns a list of arrays, one for each pair of rows of the matrix, and in each
  of them one row for each row of tiles, and one column for each column.
  """
  along_rows = _combine(matrix, _apart(x, 1, matrix.shape[1]))
  return [
    combined
    for row in along_rows
    for combined in _combine(matrix, _apart(row, 2, matrix.shape[1]))
  ]


def _rows(x):
  """All tiles one below the other: with more axes, products are slower."""
  return x.reshape(-1, x.shape[-1])


def _apart(x, axis, reach):
  """The first rows of all tiles, the second ones, and so on."""
  end = x.shape[axis] - reach + 1
  return [
    jax.lax.slice_in_dim(x, k, k + end, _TILE, axis) for k in range(reach)
  ]


def _merge(matrix, products):
  """The rows of `matrix` by the products, along both axes: lists in a list."""
  reach = matrix.shape[1]
  along_rows = [_combine(matrix, products[j::reach]) for j in range(reach)]
  return [_combine(matrix, column) for column in zip(*along_rows, strict=True)]


def _combine(matrix, parts):
  """Sums of arrays, one for each row of weights, without the zeros."""
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
