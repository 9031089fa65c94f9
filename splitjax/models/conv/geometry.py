"""What is known of a convolution without its arrays."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Geometry(NamedTuple):
  """Of a two-dimensional convolution, neither dilated nor grouped.

  Attributes:
    size: height and width of the images.
    window: of the window.
    strides: from one window to the next.
    padding: rows of zeros before and after, and columns; negative ones crop.
    precision: of the products.
  """

  size: tuple[int, int]
  window: tuple[int, int]
  strides: tuple[int, int]
  padding: tuple[tuple[int, int], tuple[int, int]]
  precision: Any

  @property
  def output_size(self) -> tuple[int, int]:
    """Height and width of the outputs."""
    return tuple(
      (low + size + high - length) // stride + 1
      for (low, high), size, length, stride in zip(
        self.padding, self.size, self.window, self.strides, strict=True
      )
    )

  @property
  def has_few_outputs(self) -> bool:
    """Whether a window has as many positions as the outputs, or more."""
    return 0 < math.prod(self.output_size) <= math.prod(self.window)

  def seen_from(self, axis: int, position: int) -> tuple[slice, slice]:
    """What an output sees of an image, and through which part of a window."""
    start = position * self.strides[axis] - self.padding[axis][0]
    end = min(start + self.window[axis], self.size[axis])
    first = min(max(start, 0), end)
    return slice(first, end), slice(first - start, end - start)


def pad(x: jax.Array, padding) -> jax.Array:
  """Zeros around the rows and columns of `[B, H, W, C]`.

  Args:
    x: the images.
    padding: rows before and after, and columns. Unlike those of `jnp.pad`, they
      may be negative, which crops.

  Returns:
    `[B, H', W', C]`.
  """
  around = [(*pair, 0) for pair in padding]
  return jax.lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *around, (0, 0, 0)))
