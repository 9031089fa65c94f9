"""A convolution by the faster of XLA's libraries for a CPU.

There are two. YNNPACK comes first; Eigen was up to twice as fast
(benchmarks/RESULTS.md). YNNPACK takes none whose outputs or window are higher
than the input, so that one more row chooses between them.
"""

import jax
import jax.numpy as jnp

from splitjax.models.conv import geometry as geometries

DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def outputs(geometry, inputs, kernel):
  """`[B, H, W, C]` and `[h, w, C, F]` to `[B, H', W', F]`."""
  return _convolve(
    inputs,
    kernel,
    strides=geometry.strides,
    padding=geometry.padding,
    precision=geometry.precision,
  )


def input_grads(geometry, grads, kernel):
  """The gradient of the inputs, `[B, H, W, C]`."""
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


def kernel_grads(geometry, inputs, grads):
  """The gradient of the kernel, `[h, w, C, F]`: a convolution again.

  Channels and images change places, and the window is as large as an image.
  """
  kwargs = dict(
    precision=geometry.precision,
    preferred_element_type=jnp.promote_types(inputs.dtype, jnp.float32),
  )
  window, strides = geometry.window, geometry.strides
  if window == (1, 1):
    seen = geometries.pad(inputs, geometry.padding)[
      :, :: strides[0], :: strides[1]
    ]
    seen = seen.reshape(-1, seen.shape[-1])
    summed = jnp.dot(seen.T, grads.reshape(-1, grads.shape[-1]), **kwargs)
    return summed[None, None].astype(inputs.dtype)
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
  before = geometry.padding[0][0], 0
  padding = [
    (low, length - 1 + (reach - 1) * stride + 1 - size - low)
    for low, length, reach, stride, size in zip(
      before, window, grads.shape[:2], strides, inputs.shape[1:3], strict=True
    )
  ]
  summed = jax.lax.conv_general_dilated(
    inputs,
    grads,
    (1, 1),
    padding,
    rhs_dilation=strides,
    dimension_numbers=DIMENSIONS,
    **kwargs,
  )  # [C, h, w, F]
  return summed.transpose(1, 2, 0, 3).astype(inputs.dtype)


def _convolve(
  inputs, kernel, *, padding, precision, strides=(1, 1), dilation=(1, 1)
):
  """XLA's convolution, one row higher where that chooses the library."""
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
