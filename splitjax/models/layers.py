"""Layers that the models share."""

import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.models.conv.layer import Conv as Conv

NORMS = ('batch', 'group')

# As PyTorch draws them, so that the paper's networks start as its own did.
Linear = functools.partial(
  nn.Dense,
  kernel_init=nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform'),
)


def flatten(x: jax.Array) -> jax.Array:
  """All axes but the first as one, `[B, ...] -> [B, D]`."""
  return x.reshape(len(x), -1)


def max_pool(
  x: jax.Array, *, window: int = 2, stride: int = 2, padding: int = 0
) -> jax.Array:
  """Maxima of square windows, `[B, H, W, C] -> [B, H', W', C]`.

  A maximum of slices: on a CPU its gradient takes a fraction of the time of
  XLA's windowed one. Where several values of a window are largest, they share
  its gradient. Windows that neither overlap nor leave gaps have no forward-mode
  derivative.

  Args:
    x: the images.
    window: its width and height.
    stride: from one window to the next.
    padding: rows and columns of minus infinity on every side.

  Returns:
    The maxima; windows that would reach over the edge are left out.
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
def _largest_of_tiles(x, size):
  """`max_pool` where windows touch: its gradient then is one pass, too."""
  return functools.reduce(jnp.maximum, _tiles(x, size))


def _tiles(x, size):
  return [x[:, i::size, j::size] for i in range(size) for j in range(size)]


def _largest_of_tiles_fwd(x, size):
  largest = _largest_of_tiles(x, size)
  return largest, (x, largest)


def _largest_of_tiles_bwd(size, residuals, grads):
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
  """The maximum of each channel, `[B, H, W, C] -> [B, 1, 1, C]`."""
  return jnp.max(x, axis=(1, 2), keepdims=True)


def average_pool_to(x: jax.Array, size: int) -> jax.Array:
  """Means of `size` x `size` windows that cover an image of any size.

  Window `i` of `n` positions reaches from `floor(i n / size)` to
  `ceil((i + 1) n / size)`, as in PyTorch's adaptive pooling.

  Args:
    x: `[B, H, W, C]`.
    size: of the result.

  Returns:
    `[B, size, size, C]`.
  """

  def averages(length):
    matrix = np.zeros((size, length))
    for i in range(size):
      first, last = i * length // size, -(-(i + 1) * length // size)
      matrix[i, first:last] = 1 / (last - first)
    return jnp.asarray(matrix, x.dtype)

  rows, columns = (averages(length) for length in x.shape[1:3])
  return jnp.einsum('ih,bhwc,jw->bijc', rows, x, columns)


def norm(kind: str, dtype: Any) -> nn.Module:
  """A normalisation by name.

  Args:
    kind: one of `NORMS`: 'batch' for BatchNorm with running averages of decay
      0.9, or 'group' for GroupNorm with 32 groups, in which samples do not see
      each other.
    dtype: of the computation.

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
  """A layer for all but the last columns, which pass by unchanged.

  Attributes:
    layer: what the first columns go through.
    width: how many columns pass by.
  """

  layer: Any
  width: int

  @property
  def features(self) -> str:
    """What it does, for descriptions of a model."""
    inner = getattr(self.layer, 'features', None)
    name = getattr(self.layer, '__name__', type(self.layer).__name__)
    return name if inner is None else f'{name} {inner}'

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """`[B, D + width] -> [B, D' + width]`."""
    through = x.shape[-1] - self.width
    out = self.layer(x[:, :through])
    return jnp.concatenate([out, x[:, through:].astype(out.dtype)], axis=-1)
