"""A small convolutional network for small images."""

from typing import Any

from flax import linen as nn

from splitjax.models import layering
from splitjax.models import layers


def conv_net(
  num_classes: int, *, dtype: Any = None
) -> tuple[layering.Layer, ...]:
  """Return the layers of a small network for images `[B, H, W, C]`.

  Two 3x3 convolutions (16 and 32 channels) with ReLU, 2x2 max pooling, a hidden
  layer of width 64 with ReLU, and a head of three linear layers. The cut before
  the head is at 8; the cut before the images are flattened is at 5.

  Args:
    num_classes: width of the logits.
    dtype: type of the computation; by default the wider of inputs and
      parameters.

  Returns:
    The 11 layers.
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
