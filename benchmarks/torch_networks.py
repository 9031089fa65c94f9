"""Our networks in PyTorch, to compare with."""

from collections.abc import Sequence

from flax import linen
import jax
import jax.numpy as jnp

from splitjax.models import layering
from splitjax.models import layers
from splitjax.models import resnet

try:
  import torch
except ModuleNotFoundError:
  torch = None

MISSING = "PyTorch is missing: pip install -e '.[bench]'"


def to_torch(
  network: tuple[layering.Layer, ...], shape: tuple[int, ...]
) -> 'torch.nn.Sequential':
  """Return a network's layers in PyTorch, for images of a shape `(H, W, C)`."""

  def walk(x: jax.Array) -> None:
    for layer in network:
      widths.append(x.shape[-1])
      x, _, _ = layering.init(layer, jax.random.key(0), x)

  widths = []
  jax.eval_shape(walk, jax.ShapeDtypeStruct((1, *shape), jnp.float32))
  return torch.nn.Sequential(*map(_to_torch, network, widths))


def _to_torch(layer: layering.Layer, width: int) -> 'torch.nn.Module':
  """Return one layer, for inputs with `width` channels or columns."""
  nn = torch.nn
  if isinstance(layer, linen.Conv):
    return _convolution(
      width, layer.features, layer.kernel_size, layer.strides, layer.use_bias
    )
  if isinstance(layer, linen.BatchNorm):
    return nn.BatchNorm2d(width, layer.epsilon, 1 - layer.momentum)
  if isinstance(layer, linen.Dropout):
    return nn.Dropout(layer.rate)
  if isinstance(layer, linen.Dense):
    return nn.Linear(width, layer.features)
  if isinstance(layer, resnet.ResidualBlock):
    return _residual_block(width, layer.features, layer.stride)
  functions = {
    linen.relu: nn.ReLU(inplace=True),
    layers.max_pool: nn.MaxPool2d(2),
    layers.global_max_pool: nn.AdaptiveMaxPool2d(1),
    layers.flatten: nn.Flatten(),
    resnet.stem_pool: nn.MaxPool2d(3, stride=2, padding=1),
    resnet.pool_to_2x2: nn.AdaptiveAvgPool2d(2),
  }
  return functions[layer]


def _convolution(
  width: int,
  features: int,
  window: Sequence[int],
  stride: int | Sequence[int],
  bias: bool,
) -> 'torch.nn.Module':
  """Return a convolution that keeps the size of images, if its stride is 1."""
  padding = tuple(size // 2 for size in window)
  return torch.nn.Conv2d(width, features, window, stride, padding, bias=bias)


def _residual_block(
  width: int, features: int, stride: int
) -> 'torch.nn.Module':
  """Return a residual block as torchvision writes it."""
  nn = torch.nn

  def normalized(width: int, size: int, stride: int) -> 'torch.nn.Module':
    return nn.Sequential(
      _convolution(width, features, (size, size), stride, bias=False),
      nn.BatchNorm2d(features),
    )

  class ResidualBlock(nn.Module):
    def __init__(self) -> None:
      super().__init__()
      self.through = nn.Sequential(
        normalized(width, 3, stride),
        nn.ReLU(inplace=True),
        normalized(features, 3, 1),
      )
      same = stride == 1 and width == features
      self.beside = nn.Identity() if same else normalized(width, 1, stride)
      self.relu = nn.ReLU(inplace=True)

    def forward(self, x: 'torch.Tensor') -> 'torch.Tensor':
      return self.relu(self.through(x) + self.beside(x))

  return ResidualBlock()
