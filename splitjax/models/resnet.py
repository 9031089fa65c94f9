"""ResNet18 with the paper's head."""

from typing import Any

from flax import linen as nn
import jax

from splitjax.models import layering
from splitjax.models import layers

_INIT = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


class ResidualBlock(nn.Module):
  """Two 3x3 convolutions, to whose output the block's input is added.

  Attributes:
    features: how many channels the block has.
    stride: stride of the first convolution.
    norm: kind of normalisation, 'batch' or 'group'.
    dtype: type of the computation; None for the wider of inputs and
      parameters.
  """

  features: int
  stride: int
  norm: str
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    """Run, `[B, H, W, C] -> [B, H / stride, W / stride, features]`."""

    def normalized(x: jax.Array, width: int, stride: int) -> jax.Array:
      x = _conv(self.features, width, stride, self.dtype)(x)
      layer = layers.norm(self.norm, self.dtype)
      if self.norm == 'batch':
        return layer(x, use_running_average=not train)
      return layer(x)

    out = nn.relu(normalized(x, 3, self.stride))
    out = normalized(out, 3, 1)
    if x.shape != out.shape:
      x = normalized(x, 1, self.stride)
    return nn.relu(out + x)


def _conv(features: int, width: int, stride: int, dtype: Any) -> nn.Module:
  """Return a convolution without bias, initialised as He et al. do."""
  return layers.Conv(
    features,
    (width, width),
    strides=stride,
    padding=width // 2,
    use_bias=False,
    kernel_init=_INIT,
    dtype=dtype,
  )


def stem_pool(x: jax.Array) -> jax.Array:
  """Return 3x3 maxima at stride 2, `[B, H, W, C] -> [B, H / 2, W / 2, C]`."""
  return layers.max_pool(x, window=3, stride=2, padding=1)


def pool_to_2x2(x: jax.Array) -> jax.Array:
  """Return the means of the four quarters, `[B, H, W, C] -> [B, 2, 2, C]`."""
  return layers.average_pool_to(x, 2)


def resnet18(
  num_classes: int, *, norm: str = 'batch', dtype: Any = None
) -> tuple[layering.Layer, ...]:
  """Return the layers of ResNet18 for images `[B, H, W, C]`.

  The network of He et al. (https://arxiv.org/abs/1512.03385) with the head of
  Liu et al. (TIFS 2024, https://arxiv.org/abs/2203.05222): pooled to 2x2,
  flattened to 2,048, and three linear layers without activation. A residual
  block is one layer. The cuts, and in brackets the numbers that the paper's
  code gives them, are 4 (4) after the stem; 6 (14), 8 (26), 10 (38) and 12 (50,
  the main cut) after the stages; 14 (52) after pooling and flattening; and 16
  (54) before the last linear layer.

  Args:
    num_classes: width of the logits.
    norm: kind of normalisation, 'batch' or 'group'.
    dtype: type of the computation; by default the wider of inputs and
      parameters.

  Returns:
    The 17 layers.

  Raises:
    ValueError: if the normalisation is unknown.
  """
  blocks = [
    ResidualBlock(channels, stride, norm, dtype)
    for channels, first_stride in ((64, 1), (128, 2), (256, 2), (512, 2))
    for stride in (first_stride, 1)
  ]
  return (
    _conv(64, 7, 2, dtype),
    layers.norm(norm, dtype),
    nn.relu,
    stem_pool,
    *blocks,
    pool_to_2x2,
    layers.flatten,
    layers.Linear(2048, dtype=dtype),
    layers.Linear(2048, dtype=dtype),
    layers.Linear(num_classes, dtype=dtype),
  )
