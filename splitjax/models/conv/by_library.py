"""A convolution by the faster of XLA's two libraries for a CPU.

XLA takes YNNPACK if it can, and else Eigen, which was up to twice as fast
(benchmarks/RESULTS.md). YNNPACK cannot take a convolution whose outputs or
window are higher than the inputs, so that one more row makes XLA take Eigen.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from splitjax.models.conv import geometry as geometries
from splitjax.models.conv.geometry import Geometry

DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def outputs(
  geometry: Geometry, inputs: jax.Array, kernel: jax.Array
) -> jax.Array:
  """Convolve `[B, H, W, C]` with `[h, w, C, F]`, to `[B, H', W', F]`."""
  return _convolve(
    inputs,
    kernel,
    strides=geometry.strides,
    padding=geometry.padding,
    precision=geometry.precision,
  )


def input_grads(
  geometry: Geometry, grads: jax.Array, kernel: jax.Array
) -> jax.Array:
  """Return the gradient of the inputs, `[B, H, W, C]`."""
  padding = []
  for axis in range(2):
    window = geometry.window[axis]
    spread = (grads.shape[1 + axis] - 1) * geometry.strides[axis] + 1
    low = window - 1 - geometry.padding[axis][0]
    padding.append((low, geometry.size[axis] - spread - low + window - 1))
  # XLA's own transpose, of a kernel read backwards, is slow inside a loop.
  return _convolve(
    grads,
    jnp.flip(kernel, axis=(0, 1)).swapaxes(2, 3),
    padding=padding,
    dilation=geometry.strides,
    precision=geometry.precision,
  )


def kernel_grads(
  geometry: Geometry, inputs: jax.Array, grads: jax.Array
) -> jax.Array:
  """Return the gradient of the kernel, `[h, w, C, F]`.

  It is a convolution in which channels and images have changed places, and the
  window is as large as an image.
  """
  kwargs = {
    'precision': geometry.precision,
    'preferred_element_type': jnp.promote_types(inputs.dtype, jnp.float32),
  }
  if geometry.window == (1, 1):
    return _pointwise_kernel_grads(geometry, inputs, grads, kwargs)
  (height, _), (num_rows, num_columns) = geometry.size, grads.shape[1:3]
  # Rows of zeros make the window higher than the image, and columns of zeros
  # keep the image the larger of the two, which else would change places.
  rows = max(num_rows, height + 1)
  inputs = geometries.pad(inputs, ((0, 0), geometry.padding[1]))
  columns = max(inputs.shape[2], rows * num_columns // height + 1)
  inputs = geometries.pad(inputs, ((0, 0), (0, columns - inputs.shape[2])))
  grads = geometries.pad(grads, ((0, rows - num_rows), (0, 0)))
  # Else XLA would take the zeros for padding of its own.
  inputs, grads = jax.lax.optimization_barrier(
    (inputs.transpose(3, 1, 2, 0), grads.transpose(1, 2, 0, 3))
  )
  summed = jax.lax.conv_general_dilated(
    inputs,
    grads,
    (1, 1),
    _kernel_padding(geometry, inputs.shape[1:3], grads.shape[:2]),
    rhs_dilation=geometry.strides,
    dimension_numbers=DIMENSIONS,
    **kwargs,
  )  # [C, h, w, F]
  return summed.transpose(1, 2, 0, 3).astype(inputs.dtype)


def _pointwise_kernel_grads(
  geometry: Geometry,
  inputs: jax.Array,
  grads: jax.Array,
  kwargs: dict[str, Any],
) -> jax.Array:
  """Return the gradient of a kernel of 1x1: one matrix product."""
  (row_stride, column_stride), padding = geometry.strides, geometry.padding
  seen = geometries.pad(inputs, padding)[:, ::row_stride, ::column_stride]
  seen = seen.reshape(-1, seen.shape[-1])
  summed = jnp.dot(seen.T, grads.reshape(-1, grads.shape[-1]), **kwargs)
  return summed[None, None].astype(inputs.dtype)


def _kernel_padding(
  geometry: Geometry, size: tuple[int, int], reaches: tuple[int, int]
) -> list[tuple[int, int]]:
  """Return the padding with which a kernel's gradient has the kernel's size.

  Args:
    geometry: shape of the convolution.
    size: height and width of the images, whose columns are padded already.
    reaches: height and width of the gradients, which are the window.
  """
  before = geometry.padding[0][0], 0
  return [
    (low, length - 1 + (reach - 1) * stride + 1 - given - low)
    for low, length, reach, stride, given in zip(
      before, geometry.window, reaches, geometry.strides, size, strict=True
    )
  ]


def _convolve(
  inputs: jax.Array,
  kernel: jax.Array,
  *,
  padding: Sequence[tuple[int, int]],
  precision: Any,
  strides: tuple[int, int] = (1, 1),
  dilation: tuple[int, int] = (1, 1),
) -> jax.Array:
  """Convolve by XLA, with one more row where that makes it take Eigen."""
  height = inputs.shape[1]
  (low, high), beside = padding
  rows = low + height + high - kernel.shape[0] + 1
  plain = strides == (1, 1) and dilation == (1, 1)
  if plain and 0 < rows <= height:
    high += height + 1 - rows
  convolved = jax.lax.conv_general_dilated(
    inputs,
    kernel,
    strides,
    ((low, high), beside),
    lhs_dilation=dilation,
    dimension_numbers=DIMENSIONS,
    precision=precision,
  )
  return convolved[:, :rows] if plain else convolved
