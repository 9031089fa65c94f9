"""Layers that the models share."""

import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.models.conv import Conv as Conv

NORMS = ('batch', 'group')

# Initialised as in PyTorch, as the networks of the paper were.
Linear = functools.partial(
  nn.Dense,
  kernel_init=nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform'),
)


def flatten(x: jax.Array) -> jax.Array:
  """Make one axis of all but the first, `[B, ...] -> [B, D]`."""
  return x.reshape(len(x), -1)


def max_pool(
  x: jax.Array, *, window: int = 2, stride: int = 2, padding: int = 0
) -> jax.Array:
  """Return the maxima of square windows, `[B, H, W, C] -> [B, H', W', C]`.

  It is computed as a maximum of slices, whose gradient takes a fraction of the
  time of XLA's windowed maximum on a CPU. If several values of a window are the
  largest, they share its gradient. If windows neither overlap nor leave gaps,
  there is no forward-mode derivative.

  Args:
    x: images `[B, H, W, C]`.
    window: width and height of a window.
    stride: distance from one window to the next, in rows and columns.
    padding: rows and columns of minus infinity that are added on every side.

  Returns:
    The maxima, `[B, H', W', C]`; windows that would reach over the edge are
    left out.
  """
  pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
  x = jnp.pad(x, pads, constant_values=-jnp.inf) if padding else x
  rows, columns = ((n - window) // stride + 1 for n in x.shape[1:3])
  if window == stride:
    return _largest_of_tiles(x[:, : rows * stride, : columns * stride], stride)
  slices = [
    x[:, i : i + rows * stride : stride, j : j + columns * stride : stride]
    for i in range(window)
    for j in range(window)
  ]
  return functools.reduce(
    jnp.maximum, [part[:, :rows, :columns] for part in slices]
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _largest_of_tiles(x: jax.Array, size: int) -> jax.Array:
  """Return the maxima of windows that touch: their gradient is one pass."""
  return functools.reduce(jnp.maximum, _tiles(x, size))


def _tiles(x: jax.Array, size: int) -> list[jax.Array]:
  """Return the first values of all windows, the second ones, and so on."""
  return [x[:, i::size, j::size] for i in range(size) for j in range(size)]


def _largest_of_tiles_fwd(
  x: jax.Array, size: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  """Return the maxima, and what their gradient needs."""
  largest = _largest_of_tiles(x, size)
  return largest, (x, largest)


def _largest_of_tiles_bwd(
  size: int, residuals: tuple[jax.Array, jax.Array], grads: jax.Array
) -> tuple[jax.Array]:
  """Give each window's gradient in equal shares to its largest values."""
  x, largest = residuals
  num_largest = sum(
    (tile == largest).astype(x.dtype) for tile in _tiles(x, size)
  )
  batch, rows, columns, channels = largest.shape
  shape = batch, rows, size, columns, size, channels
  spread = lambda y: jnp.broadcast_to(y[:, :, None, :, None], shape)
  shared = jnp.where(
    x.reshape(shape) == spread(largest), spread(grads / num_largest), 0
  )
  return (shared.reshape(x.shape),)


_largest_of_tiles.defvjp(_largest_of_tiles_fwd, _largest_of_tiles_bwd)


def global_max_pool(x: jax.Array) -> jax.Array:
  """Return the maximum of each channel, `[B, H, W, C] -> [B, 1, 1, C]`."""
  return jnp.max(x, axis=(1, 2), keepdims=True)


def average_pool_to(x: jax.Array, size: int) -> jax.Array:
  """Return means of `size` by `size` windows that cover images of any size.

  Of `n` rows, window `i` takes those from `floor(i n / size)` to
  `ceil((i + 1) n / size)`, as PyTorch's adaptive pooling does.

  Args:
    x: images `[B, H, W, C]`.
    size: height and width of the result.

  Returns:
    The means, `[B, size, size, C]`.
  """

  def averages(length: int) -> jax.Array:
    matrix = np.zeros((size, length))
    for i in range(size):
      first, last = i * length // size, -(-(i + 1) * length // size)
      matrix[i, first:last] = 1 / (last - first)
    return jnp.asarray(matrix, x.dtype)

  rows, columns = (averages(length) for length in x.shape[1:3])
  return jnp.einsum('ih,bhwc,jw->bijc', rows, x, columns)


def norm(kind: str, dtype: Any) -> nn.Module:
  """Return a normalisation layer by name.

  Args:
    kind: 'batch' for BatchNorm with running averages of decay 0.9, or 'group'
      for GroupNorm with 32 groups, which normalises each sample by itself.
    dtype: type of the computation; None for the wider of inputs and
      parameters.

  Returns:
    The layer.

  Raises:
    ValueError: if the name is unknown.
  """
  if kind not in NORMS:
    raise ValueError(f'norm must be one of {NORMS}, got {kind!r}.')
  if kind == 'group':
    return nn.GroupNorm(num_groups=32, epsilon=1e-5, dtype=dtype)
  return nn.BatchNorm(momentum=0.9, epsilon=1e-5, dtype=dtype)


class Beside(nn.Module):
  """A layer for all but the last columns, which stay unchanged.

  Attributes:
    layer: layer that the first columns go through.
    width: how many of the last columns stay unchanged.
  """

  layer: Any
  width: int

  @property
  def features(self) -> str:
    """What the layer does, for descriptions of a model."""
    inner = getattr(self.layer, 'features', None)
    name = getattr(self.layer, '__name__', type(self.layer).__name__)
    return name if inner is None else f'{name} {inner}'

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Run the layer beside the columns, `[B, D + width] -> [B, D' + width]`."""
    through = x.shape[-1] - self.width
    out = self.layer(x[:, :through])
    return jnp.concatenate([out, x[:, through:].astype(out.dtype)], axis=-1)
