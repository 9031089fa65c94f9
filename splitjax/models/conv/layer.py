"""The convolution of the models, fast inside a compiled loop on a CPU too."""

import functools

from flax import linen as nn
import jax
from jax import custom_batching
import jax.numpy as jnp

from splitjax.models.conv import by_library
from splitjax.models.conv import by_output
from splitjax.models.conv import by_tiles
from splitjax.models.conv.geometry import Geometry


def conv(inputs, kernel, strides, padding, **kwargs):
  """`jax.lax.conv_general_dilated` for `nn.Conv`, with a gradient of its own.

  On a CPU, XLA computes the gradient of a kernel up to seventy times slower
  inside a loop than outside, and a convolution that is vmapped over kernels
  (models that train side by side) slower still. There, it is written as what is
  fast: another form of convolution, kernels in turn (`by_library`), or
  products: of images not much larger than a window, without their padding
  (`by_output`), or of tiles, a quarter as many, which round to about 3e-6
  of the largest output (`by_tiles`; none if a precision is asked for).
  Elsewhere, and for dilated, grouped or not two-dimensional convolutions, it is
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
  geometry = Geometry(
    size=inputs.shape[1:3],
    window=kernel.shape[:2],
    strides=tuple(strides),
    padding=tuple(tuple(pair) for pair in padding),
    precision=kwargs.get('precision'),
  )
  method = by_library
  if geometry.has_few_outputs:
    method = by_output
  elif by_tiles.suits(geometry, inputs, kernel):
    method = by_tiles
  return jax.lax.platform_dependent(
    inputs,
    kernel,
    cpu=functools.partial(_outputs, method, geometry),
    default=native,
  )


# A convolution is linear in each argument, and so are its two gradients: each
# of the three has the other two as its own gradients, to any order.


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _outputs(method, geometry, inputs, kernel):
  fn = functools.partial(method.outputs, geometry)
  return _by_kernel(method, fn)(inputs, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _input_grads(method, geometry, grads, kernel):
  fn = functools.partial(method.input_grads, geometry)
  return _by_kernel(method, fn)(grads, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _kernel_grads(method, geometry, inputs, grads):
  fn = functools.partial(method.kernel_grads, geometry)
  if method is not by_tiles:
    fn = custom_batching.sequential_vmap(fn)
  return fn(inputs, grads)


def _keep(fn):
  return lambda method, geometry, *args: (fn(method, geometry, *args), args)


_outputs.defvjp(
  _keep(_outputs),
  lambda method, geometry, args, grads: (
    _input_grads(method, geometry, grads, args[1]),
    _kernel_grads(method, geometry, args[0], grads),
  ),
)
_input_grads.defvjp(
  _keep(_input_grads),
  lambda method, geometry, args, inputs: (
    _outputs(method, geometry, inputs, args[1]),
    _kernel_grads(method, geometry, inputs, args[0]),
  ),
)
_kernel_grads.defvjp(
  _keep(_kernel_grads),
  lambda method, geometry, args, kernel: (
    _input_grads(method, geometry, args[1], kernel),
    _outputs(method, geometry, args[0], kernel),
  ),
)


def _by_kernel(method, fn):
  """Under `jax.vmap`: one pass for a shared kernel, else kernels in turn."""
  if method is by_tiles:  # Products, of many kernels at once as well.
    return fn
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


Conv = functools.partial(nn.Conv, conv_general_dilated=conv)
