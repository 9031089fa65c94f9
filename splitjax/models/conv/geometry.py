"""The shape of a convolution: sizes, strides and padding."""

from collections.abc import Sequence
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Geometry(NamedTuple):
  """The shape of a two-dimensional convolution without dilation or groups.

  Attributes:
    size: height and width of the images.
    window: height and width of the window.
    strides: distance from one window to the next, in rows and in columns.
    padding: how many rows of zeros to add before and after the image, and how
      many columns; negative numbers crop it.
    precision: precision of the products, as `jax.lax` takes it.
  """

  size: tuple[int, int]
  window: tuple[int, int]
  strides: tuple[int, int]
  padding: tuple[tuple[int, int], tuple[int, int]]
  precision: Any

  @property
  def output_size(self) -> tuple[int, int]:
    """Height and width of the outputs."""
    return self._length(0), self._length(1)

  def _length(self, axis: int) -> int:
    """Return how many outputs there are along an axis."""
    low, high = self.padding[axis]
    reach = low + self.size[axis] + high - self.window[axis]
    return reach // self.strides[axis] + 1

  @property
  def has_few_outputs(self) -> bool:
    """Whether there are no more outputs than positions in a window."""
    return 0 < math.prod(self.output_size) <= math.prod(self.window)

  def seen_from(self, axis: int, position: int) -> tuple[slice, slice]:
    """Find what an output sees of an image, and through which part of a window.

    Args:
      axis: 0 for rows, 1 for columns.
      position: position of the output along the axis.

    Returns:
      A slice of the image and a slice of the window, of one length.
    """
    start = position * self.strides[axis] - self.padding[axis][0]
    end = min(start + self.window[axis], self.size[axis])
    first = min(max(start, 0), end)
    return slice(first, end), slice(first - start, end - start)


def pad(x: jax.Array, padding: Sequence[tuple[int, int]]) -> jax.Array:
  """Add rows and columns of zeros around images, or crop them.

  Args:
    x: images `[B, H, W, C]`.
    padding: how many rows to add before and after, and how many columns. Unlike
      those of `jnp.pad`, they may be negative, which crops.

  Returns:
    The images, `[B, H', W', C]`.
  """
  around = [(*pair, 0) for pair in padding]
  return jax.lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *around, (0, 0, 0)))
