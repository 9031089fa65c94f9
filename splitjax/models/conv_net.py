"""A small convolutional network for small images."""

from typing import Any

from flax import linen as nn

from splitjax.models import layering
from splitjax.models import layers


def conv_net(
  num_classes: int, *, dtype: Any = None
) -> tuple[layering.Layer, ...]:
  """The layers of the network, for images `[B, H, W, C]`.

  Two 3x3 convolutions (16 and 32 channels) with ReLU, 2x2 max pooling, a hidden
  layer of 64 with ReLU, and three linear layers. The cut before the head is at
  8, the cut before the images are flattened at 5.

  Args:
    num_classes: width of the logits.
    dtype: of the computation; that of the inputs by default.

  Returns:
    The layers.
  """
  return (
    layers.Conv(16, (3, 3), dtype=dtype),
    nn.relu,
    layers.Conv(32, (3, 3), dtype=dtype),
    nn.relu,
    layers.max_pool,
    layers.flatten,
    nn.Dense(64, dtype=dtype),
    nn.relu,
    nn.Dense(64, dtype=dtype),
    nn.Dense(64, dtype=dtype),
    nn.Dense(num_classes, dtype=dtype),
  )
