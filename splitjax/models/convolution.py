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
  kernel is a few matrix products, and kernels take turns. Elsewhere, and for
  dilated, grouped or not two-dimensional convolutions, it is `jax.lax`'s.

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
  products = functools.partial(_products, geometry)
  return custom_batching.sequential_vmap(products)(inputs, grads)


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


def _convolve(
  inputs, kernel, *, padding, precision, strides=(1, 1), dilation=(1, 1)
):
  """XLA's convolution, or a product where the window covers the input.

  There, XLA takes the input for the kernel, which is slow.
  """
  height, width = kernel.shape[:2]
  if height * width < inputs.shape[1] * inputs.shape[2]:
    return jax.lax.conv_general_dilated(
      inputs,
      kernel,
      strides,
      padding,
      lhs_dilation=dilation,
      dimension_numbers=DIMENSIONS,
      precision=precision,
    )
  inputs = _pad(inputs, padding, dilation)
  rows, columns = (
    (size - window) // stride * stride + 1
    for size, window, stride in zip(
      inputs.shape[1:3], (height, width), strides, strict=True
    )
  )
  windows = jnp.concatenate(
    [
      inputs[:, i : i + rows : strides[0], j : j + columns : strides[1]]
      for i in range(height)
      for j in range(width)
    ],
    axis=-1,
  )  # [B, H', W', h w C]
  flat = kernel.reshape(-1, kernel.shape[-1])
  return jnp.dot(windows, flat, precision=precision)


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


def _products(geometry, inputs, grads):
  """One matrix product for each row of the window, `[h, w, C, F]`.

  The inputs are gathered once for all: beside each position stand those of the
  window's columns, and the gradients are shifted against them row by row.
  """
  (height, width), strides = geometry.window, geometry.strides
  num_rows, num_columns = grads.shape[1:3]
  inputs = _pad(inputs, geometry.padding)
  last = (num_columns - 1) * strides[1] + 1
  gathered = jnp.concatenate(
    [inputs[:, :, j : j + last : strides[1]] for j in range(width)], axis=-1
  )
  # Else the products would gather again, element by element.
  gathered = jax.lax.optimization_barrier(gathered)
  gathered = gathered.reshape(-1, gathered.shape[-1])  # [B H' W', w C]
  spread = (num_rows - 1) * strides[0] + 1

  def product(i):
    below = inputs.shape[1] - i - spread
    shifted = _pad(grads, ((i, below), (0, 0)), (strides[0], 1))
    shifted = shifted.reshape(-1, grads.shape[-1])
    summed = jnp.dot(
      shifted.T,
      gathered,
      precision=geometry.precision,
      preferred_element_type=jnp.promote_types(inputs.dtype, jnp.float32),
    )  # [F, w C]
    return summed.T.reshape(width, -1, grads.shape[-1])

  products = jnp.stack([product(i) for i in range(height)])
  return products.astype(inputs.dtype)


Conv = functools.partial(nn.Conv, conv_general_dilated=conv)
