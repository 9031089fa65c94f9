"""Layers without parameters, and the convolution, that the models share."""

import functools

from flax import linen as nn
import jax
import jax.numpy as jnp


def flatten(x: jax.Array) -> jax.Array:
  """All axes but the first as one, `[B, ...] -> [B, D]`."""
  return x.reshape(len(x), -1)


def max_pool(x: jax.Array) -> jax.Array:
  """The maxima of 2x2 windows, `[B, H, W, C] -> [B, H // 2, W // 2, C]`."""
  return nn.max_pool(x, (2, 2), strides=(2, 2))


def conv_by_product(inputs, kernel, strides, padding, **kwargs):
  """`jax.lax.conv_general_dilated` as one matrix product, where it can be.

  On a CPU, XLA runs a convolution inside a loop, or one that is vmapped over
  kernels, many times slower than the matrix product that it equals. Takes what
  `nn.Conv` hands over; only stride 1 and 'SAME' padding with an odd kernel are
  rewritten, the rest goes to `jax.lax` as it is.

  Args:
    inputs: `[B, H, W, C]`.
    kernel: `[h, w, C, F]`.
    strides: of the window.
    padding: 'SAME', or anything that `jax.lax` takes.
    **kwargs: dilations, groups and precision.

  Returns:
    `[B, H, W, F]`.
  """
  dilations = (*kwargs.get('lhs_dilation', ()), *kwargs.get('rhs_dilation', ()))
  height, width = kernel.shape[:2]
  rewritten = (
    kernel.ndim == 4
    and padding == 'SAME'
    and set(strides) == {1}
    and set(dilations) <= {1}
    and kwargs.get('feature_group_count', 1) == 1
    and height % 2 == width % 2 == 1
  )
  native = functools.partial(
    jax.lax.conv_general_dilated,
    window_strides=strides,
    padding=padding,
    **kwargs,
  )
  if not rewritten:
    return native(inputs, kernel)
  product = functools.partial(
    _shifted_product, precision=kwargs.get('precision')
  )
  return jax.lax.platform_dependent(inputs, kernel, cpu=product, default=native)


def _shifted_product(inputs, kernel, precision):
  height, width, channels, features = kernel.shape
  rows, columns = inputs.shape[1:3]
  padded = jnp.pad(
    inputs,
    ((0, 0), (height // 2,) * 2, (width // 2,) * 2, (0, 0)),
  )
  windows = jnp.concatenate(
    [
      padded[:, i : i + rows, j : j + columns]
      for i in range(height)
      for j in range(width)
    ],
    axis=-1,
  )  # [B, H, W, h * w * C]
  return jnp.dot(
    windows,
    kernel.reshape(height * width * channels, features),
    precision=precision,
  )


Conv = functools.partial(nn.Conv, conv_general_dilated=conv_by_product)
