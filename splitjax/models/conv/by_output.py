"""A convolution as one matrix product for each position of its outputs.

If an image is small, most of what a window sees is padding, and XLA exchanges
the image and the kernel. A product here takes only what a window sees of the
image, and no padding.
"""

import jax
import jax.numpy as jnp

from splitjax.models.conv.geometry import Geometry


def outputs(
  geometry: Geometry, inputs: jax.Array, kernel: jax.Array
) -> jax.Array:
  """Convolve `[B, H, W, C]` with `[h, w, C, F]`, to `[B, H', W', F]`."""

  def output(row: int, column: int) -> jax.Array:
    (rows, window_rows), (columns, window_columns) = (
      geometry.seen_from(0, row),
      geometry.seen_from(1, column),
    )
    seen = inputs[:, rows, columns].reshape(len(inputs), -1)
    weights = kernel[window_rows, window_columns].reshape(-1, kernel.shape[-1])
    return jnp.dot(seen, weights, precision=geometry.precision)

  num_rows, num_columns = geometry.output_size
  return jnp.stack(
    [
      jnp.stack([output(i, j) for j in range(num_columns)], axis=1)
      for i in range(num_rows)
    ],
    axis=1,
  )


def input_grads(
  geometry: Geometry, grads: jax.Array, kernel: jax.Array
) -> jax.Array:
  """Return the gradient of the inputs, `[B, H, W, C]`, summed in float32."""
  kernel = _widen(kernel)
  shape = len(grads), *geometry.size, kernel.shape[2]
  (summed,) = jax.linear_transpose(
    lambda inputs: outputs(geometry, inputs, kernel),
    jax.ShapeDtypeStruct(shape, kernel.dtype),
  )(_widen(grads))
  return summed.astype(grads.dtype)


def kernel_grads(
  geometry: Geometry, inputs: jax.Array, grads: jax.Array
) -> jax.Array:
  """Return the gradient of the kernel, `[h, w, C, F]`, summed in float32."""
  inputs = _widen(inputs)
  shape = *geometry.window, inputs.shape[-1], grads.shape[-1]
  (summed,) = jax.linear_transpose(
    lambda kernel: outputs(geometry, inputs, kernel),
    jax.ShapeDtypeStruct(shape, inputs.dtype),
  )(_widen(grads))
  return summed.astype(grads.dtype)


def _widen(x: jax.Array) -> jax.Array:
  """Return an array in float32, or in its own type if that is wider."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))
