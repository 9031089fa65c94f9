"""The convolution of the models, fast inside a compiled loop on a CPU too."""

import functools
from typing import Any, NamedTuple

from flax import linen as nn
import jax
from jax import custom_batching
import jax.numpy as jnp

DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def conv(inputs, kernel, strides, padding, **kwargs):
  """`jax.lax.conv_general_dilated` for `nn.Conv`, with a gradient of its own.

  On a CPU, XLA computes the gradient of a kernel up to seventy times slower
  inside a loop than outside, and a convolution that is vmapped over kernels
  (models that train side by side) slower still. There, the gradient of the
  kernel is a convolution of another form, and kernels take turns. Elsewhere,
  and for dilated, grouped or not two-dimensional convolutions, it is
  `jax.lax`'s.

  Args:
    inputs: `[B, H, W, C]`.
    kernel: `[h, w, C, F]`.
    strides: of the window.
    padding: 'SAME', 'VALID', or pairs.
    **kwargs: dilations, groups, dimension numbers and precision.

  Returns:
    `[B, H', W', F]`.
  """
  native = functools.partial(
    jax.lax.conv_general_dilated,
    window_strides=strides,
    padding=padding,
    **kwargs,
  )
  dilations = (*kwargs.get('lhs_dilation', ()), *kwargs.get('rhs_dilation', ()))
  if (
    kernel.ndim != 4
    or set(dilations) > {1}
    or kwargs.get('feature_group_count', 1) != 1
  ):
    return native(inputs, kernel)
  if isinstance(padding, str):
    padding = jax.lax.padtype_to_pads(
      inputs.shape[1:3], kernel.shape[:2], strides, padding
    )
  geometry = _Geometry(
    size=inputs.shape[1:3],
    window=kernel.shape[:2],
    strides=tuple(strides),
    padding=tuple(tuple(pair) for pair in padding),
    precision=kwargs.get('precision'),
  )
  return jax.lax.platform_dependent(
    inputs,
    kernel,
    cpu=functools.partial(_outputs, geometry),
    default=native,
  )


class _Geometry(NamedTuple):
  """What is known of a convolution without its arrays."""

  size: tuple[int, int]
  window: tuple[int, int]
  strides: tuple[int, int]
  padding: tuple[tuple[int, int], tuple[int, int]]
  precision: Any


# A convolution is linear in each argument, and so are its two gradients: each
# of the three has the other two as its own gradients, to any order.


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _outputs(geometry, inputs, kernel):
  convolve = functools.partial(
    _convolve,
    strides=geometry.strides,
    padding=geometry.padding,
    precision=geometry.precision,
  )
  return _by_kernel(convolve)(inputs, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _input_grads(geometry, grads, kernel):
  def transposed(grads, kernel):
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

  return _by_kernel(transposed)(grads, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _kernel_grads(geometry, inputs, grads):
  summed = functools.partial(_sum_over_images, geometry)
  return custom_batching.sequential_vmap(summed)(inputs, grads)


def _keep(fn):
  return lambda geometry, *args: (fn(geometry, *args), args)


_outputs.defvjp(
  _keep(_outputs),
  lambda geometry, args, grads: (
    _input_grads(geometry, grads, args[1]),
    _kernel_grads(geometry, args[0], grads),
  ),
)
_input_grads.defvjp(
  _keep(_input_grads),
  lambda geometry, args, inputs: (
    _outputs(geometry, inputs, args[1]),
    _kernel_grads(geometry, inputs, args[0]),
  ),
)
_kernel_grads.defvjp(
  _keep(_kernel_grads),
  lambda geometry, args, kernel: (
    _input_grads(geometry, args[1], kernel),
    _outputs(geometry, args[0], kernel),
  ),
)


# XLA has two libraries for convolutions. YNNPACK comes first; Eigen was up to
# twice as fast (benchmarks/RESULTS.md). YNNPACK takes none whose outputs or
# window are higher than the input, so that one more row chooses between them.


def _convolve(
  inputs, kernel, *, padding, precision, strides=(1, 1), dilation=(1, 1)
):
  """XLA's convolution, or a product where the window covers the input.

  There, XLA takes the input for the kernel, which is slow.
  """
  if _covers(kernel.shape[:2], inputs.shape[1:3]):
    inputs = _pad(inputs, padding, dilation)
    windows = _gather(inputs, kernel.shape[:2], strides)
    flat = kernel.reshape(-1, kernel.shape[-1])
    return jnp.dot(windows, flat, precision=precision)
  height = inputs.shape[1]
  (low, high), beside = padding
  rows = low + height + high - kernel.shape[0] + 1
  plain = strides == (1, 1) and dilation == (1, 1)
  if plain and 0 < rows <= height:
    high += height + 1 - rows
  outputs = jax.lax.conv_general_dilated(
    inputs,
    kernel,
    strides,
    ((low, high), beside),
    lhs_dilation=dilation,
    dimension_numbers=DIMENSIONS,
    precision=precision,
  )
  return outputs[:, :rows] if plain else outputs


def _covers(window, size):
  return window[0] * window[1] >= size[0] * size[1]


def _gather(inputs, window, strides):
  """What each window sees, `[B, H, W, C] -> [B, H', W', h w C]`."""
  rows, columns = (
    (size - length) // stride * stride + 1
    for size, length, stride in zip(
      inputs.shape[1:3], window, strides, strict=True
    )
  )
  return jnp.concatenate(
    [
      inputs[:, i : i + rows : strides[0], j : j + columns : strides[1]]
      for i in range(window[0])
      for j in range(window[1])
    ],
    axis=-1,
  )


def _pad(x, padding, dilation=(1, 1)):
  """Zeros around and between the rows and columns, `[B, H, W, C]`."""
  # Unlike `jnp.pad`, it takes negative padding, which crops.
  between = [
    (*pair, step - 1) for pair, step in zip(padding, dilation, strict=True)
  ]
  return jax.lax.pad(
    x, jnp.zeros((), x.dtype), ((0, 0, 0), *between, (0, 0, 0))
  )


def _by_kernel(fn):
  """Under `jax.vmap`: one pass for a shared kernel, else kernels in turn."""
  fn = custom_batching.custom_vmap(fn)

  @fn.def_vmap
  def rule(axis_size, in_batched, rows, kernel):
    if in_batched[1]:
      one_fn = lambda index: fn(
        rows[index] if in_batched[0] else rows, kernel[index]
      )
      return jax.lax.map(one_fn, jnp.arange(axis_size)), True
    out = fn(rows.reshape(-1, *rows.shape[2:]), kernel)
    return out.reshape(*rows.shape[:2], *out.shape[1:]), True

  return fn


def _sum_over_images(geometry, inputs, grads):
  """The gradient of the kernel, `[h, w, C, F]`: a convolution again.

  Channels and images change places, and the window is as large as an image.
  """
  kwargs = dict(
    precision=geometry.precision,
    preferred_element_type=jnp.promote_types(inputs.dtype, jnp.float32),
  )
  window, strides = geometry.window, geometry.strides
  if window == (1, 1) or _covers(window, geometry.size):
    windows = _gather(_pad(inputs, geometry.padding), window, strides)
    windows = windows.reshape(-1, windows.shape[-1])
    summed = jnp.dot(windows.T, grads.reshape(-1, grads.shape[-1]), **kwargs)
    return summed.reshape(*window, -1, grads.shape[-1]).astype(inputs.dtype)
  (height, _), (num_rows, num_columns) = geometry.size, grads.shape[1:3]
  # Rows of zeros make the window higher than the image, and columns of zeros
  # keep the image the larger of the two, which else would change places.
  rows = max(num_rows, height + 1)
  inputs = _pad(inputs, ((0, 0), geometry.padding[1]))
  columns = max(inputs.shape[2], rows * num_columns // height + 1)
  inputs = _pad(inputs, ((0, 0), (0, columns - inputs.shape[2])))
  grads = _pad(grads, ((0, rows - num_rows), (0, 0)))
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


Conv = functools.partial(nn.Conv, conv_general_dilated=conv)
