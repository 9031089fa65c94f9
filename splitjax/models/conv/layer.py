"""The convolution of the models, fast inside a compiled loop on a CPU too."""

from collections.abc import Callable, Sequence
import functools
from types import ModuleType
from typing import Any

from flax import linen as nn
import jax
from jax import custom_batching
import jax.numpy as jnp

from splitjax.models.conv import by_library
from splitjax.models.conv import by_output
from splitjax.models.conv import by_tiles
from splitjax.models.conv.geometry import Geometry


def conv(
  inputs: jax.Array,
  kernel: jax.Array,
  strides: Sequence[int],
  padding: str | Sequence[tuple[int, int]],
  **kwargs: Any,
) -> jax.Array:
  """Convolve as `jax.lax.conv_general_dilated`, faster inside loops on a CPU.

  On a CPU, XLA computes the gradient of a kernel up to seventy times slower
  inside a loop than outside, and a convolution that is vmapped over kernels
  (models that train side by side) slower still. On a CPU, one of three forms
  that are fast there takes its place, each with gradients of its own:

  - `by_output`, for images not much larger than a window: one matrix product
    for each position of the outputs, without padding.
  - `by_tiles`, for 3x3 windows over many channels: a quarter of the products,
    which round to about 3e-6 of the largest output. It is not taken if a
    precision is asked for.
  - `by_library` for all others: convolutions of XLA in a form that it computes
    fast, one kernel after the other.

  On other devices, and for dilated, grouped or not two-dimensional
  convolutions, it is `jax.lax.conv_general_dilated`.

  Args:
    inputs: images `[B, H, W, C]`.
    kernel: kernel `[h, w, C, F]`.
    strides: distance from one window to the next, in rows and in columns.
    padding: 'SAME', 'VALID', or numbers of rows and of columns to add before
      and after.
    **kwargs: dilations, groups, dimension numbers and precision, as
      `jax.lax.conv_general_dilated` takes them.

  Returns:
    The outputs, `[B, H', W', F]`.
  """
  native = functools.partial(
    jax.lax.conv_general_dilated,
    window_strides=strides,
    padding=padding,
    **kwargs,
  )
  if not _is_plain(kernel, kwargs):
    return native(inputs, kernel)
  if isinstance(padding, str):
    padding = jax.lax.padtype_to_pads(
      inputs.shape[1:3], kernel.shape[:2], strides, padding
    )
  (top, bottom), (left, right) = padding
  geometry = Geometry(
    size=(inputs.shape[1], inputs.shape[2]),
    window=(kernel.shape[0], kernel.shape[1]),
    strides=(strides[0], strides[1]),
    padding=((top, bottom), (left, right)),
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


def _is_plain(kernel: jax.Array, kwargs: dict[str, Any]) -> bool:
  """Return whether a convolution is 2D, neither dilated nor grouped."""
  dilations = (*kwargs.get('lhs_dilation', ()), *kwargs.get('rhs_dilation', ()))
  groups = kwargs.get('feature_group_count', 1)
  return kernel.ndim == 4 and set(dilations) <= {1} and groups == 1


# A convolution is linear in each argument, and so are its two gradients. So the
# gradients of each of these three functions are the other two, to any order.


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _outputs(
  method: ModuleType,
  geometry: Geometry,
  inputs: jax.Array,
  kernel: jax.Array,
) -> jax.Array:
  """Convolve by one of the methods."""
  fn = functools.partial(method.outputs, geometry)
  return _by_kernel(method, fn)(inputs, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _input_grads(
  method: ModuleType,
  geometry: Geometry,
  grads: jax.Array,
  kernel: jax.Array,
) -> jax.Array:
  """Return the gradient of the inputs by one of the methods."""
  fn = functools.partial(method.input_grads, geometry)
  return _by_kernel(method, fn)(grads, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _kernel_grads(
  method: ModuleType,
  geometry: Geometry,
  inputs: jax.Array,
  grads: jax.Array,
) -> jax.Array:
  """Return the gradient of the kernel by one of the methods."""
  fn = functools.partial(method.kernel_grads, geometry)
  if method is not by_tiles:
    fn = custom_batching.sequential_vmap(fn)
  return fn(inputs, grads)


def _keep(fn: Callable[..., jax.Array]) -> Callable[..., Any]:
  """Return the forward rule that keeps the arguments for the gradient."""
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


def _by_kernel(
  method: ModuleType, fn: Callable[[jax.Array, jax.Array], jax.Array]
) -> Callable[[jax.Array, jax.Array], jax.Array]:
  """Make `jax.vmap` take one pass for a shared kernel, else kernels in turn."""
  if method is by_tiles:  # Products of many kernels at once are fast, too.
    return fn
  fn = custom_batching.custom_vmap(fn)

  @fn.def_vmap
  def rule(
    axis_size: int,
    in_batched: list[bool],
    rows: jax.Array,
    kernel: jax.Array,
  ) -> tuple[jax.Array, bool]:
    if in_batched[1]:
      one_fn = lambda index: fn(
        rows[index] if in_batched[0] else rows, kernel[index]
      )
      return jax.lax.map(one_fn, jnp.arange(axis_size)), True
    out = fn(rows.reshape(-1, *rows.shape[2:]), kernel)
    return out.reshape(*rows.shape[:2], *out.shape[1:]), True

  return fn


Conv = functools.partial(nn.Conv, conv_general_dilated=conv)
