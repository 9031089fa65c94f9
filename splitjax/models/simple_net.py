"""SimpleNet, the main network of the paper."""

from typing import Any

from flax import linen as nn

from splitjax.models import layering
from splitjax.models import layers

# Channels of the convolutions between one pooling and the next.
_GROUPS = ((64, 128, 128, 128), (128, 128, 256), (256, 256), (512,))


def simple_net(
  num_classes: int, *, norm: str = 'batch', dtype: Any = None
) -> tuple[layering.Layer, ...]:
  """Return the layers of SimpleNet for images `[B, H, W, C]`, at least 32x32.

  The convolutions of Hasanpour et al. (https://arxiv.org/abs/1608.06037) with
  the head of Liu et al. (TIFS 2024, https://arxiv.org/abs/2203.05222): three
  linear layers without activation. Layers are counted as in the latter, so that
  its cuts 4, 10, 14, 18, 24, 29, 33, 37, 42, 46, 50 and 54 have these numbers
  here; 50, after the global max pooling, is the main one.

  Args:
    num_classes: width of the logits.
    norm: kind of normalisation, 'batch' or 'group'.
    dtype: type of the computation; by default the wider of inputs and
      parameters.

  Returns:
    The 55 layers.

  Raises:
    ValueError: if the normalisation is unknown.
  """

  def convolution(channels: int, width: int) -> tuple[layering.Layer, ...]:
    return (
      layers.Conv(
        channels,
        (width, width),
        kernel_init=nn.initializers.xavier_uniform(),
        dtype=dtype,
      ),
      layers.norm(norm, dtype),
      nn.relu,
    )

  def pooled() -> tuple[layering.Layer, ...]:
    return layers.max_pool, nn.Dropout(0.1)

  features = []
  for group in _GROUPS:
    for channels in group:
      features += convolution(channels, 3)
    features += pooled()
  return (
    *features,
    *convolution(2048, 1),
    *convolution(256, 1),
    *pooled(),
    *convolution(256, 3),
    layers.global_max_pool,
    nn.Dropout(0.1),
    layers.flatten,
    layers.Linear(256, dtype=dtype),
    layers.Linear(256, dtype=dtype),
    layers.Linear(num_classes, dtype=dtype),
  )
