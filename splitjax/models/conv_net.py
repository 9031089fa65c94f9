"""A small convolutional network for small images."""

from flax import linen as nn

from splitjax import layering
from splitjax.models import layers


def conv_net(num_classes: int) -> tuple[layering.Layer, ...]:
  """The layers of the network, for images `[B, H, W, C]`.

  Two 3x3 convolutions (16 and 32 channels) with ReLU, 2x2 max pooling, a hidden
  layer of 64 with ReLU, and three linear layers. The cut before the head is at
  8, the cut before the images are flattened at 5.

  Args:
    num_classes: width of the logits.

  Returns:
    The layers.
  """
  return (
    layers.Conv(16, (3, 3)),
    nn.relu,
    layers.Conv(32, (3, 3)),
    nn.relu,
    layers.max_pool,
    layers.flatten,
    nn.Dense(64),
    nn.relu,
    nn.Dense(64),
    nn.Dense(64),
    nn.Dense(num_classes),
  )
