"""VGG16, with a normalisation after each convolution."""

from typing import Any

from flax import linen as nn
import jax

from splitjax.models import layering
from splitjax.models import layers

_GROUPS = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
_CONV_INIT = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


def pool_to_7x7(x: jax.Array) -> jax.Array:
  """Return the means of 49 windows, `[B, H, W, C] -> [B, 7, 7, C]`."""
  return layers.average_pool_to(x, 7)


def vgg16(
  num_classes: int,
  *,
  norm: str = 'batch',
  dtype: Any = None,
  head_size: int = 4096,
) -> tuple[layering.Layer, ...]:
  """Return the layers of VGG16 for images `[B, H, W, C]`, at least 32x32.

  The network of Simonyan and Zisserman (https://arxiv.org/abs/1409.1556) with a
  normalisation after each convolution. The cut before the head is at 46.

  Args:
    num_classes: width of the logits.
    norm: kind of normalisation, 'batch' or 'group'.
    dtype: type of the computation; by default the wider of inputs and
      parameters.
    head_size: width of the two hidden layers of the head.

  Returns:
    The 53 layers.

  Raises:
    ValueError: if the normalisation is unknown.
  """
  dense = lambda width: nn.Dense(
    width, kernel_init=nn.initializers.normal(0.01), dtype=dtype
  )
  hidden = (nn.relu, nn.Dropout(0.5))
  return (
    *_features(norm, dtype),
    pool_to_7x7,
    layers.flatten,
    dense(head_size),
    *hidden,
    dense(head_size),
    *hidden,
    dense(num_classes),
  )


def _features(norm: str, dtype: Any) -> list[layering.Layer]:
  """Return the convolutions, with what follows each, and the poolings."""
  features = []
  for group in _GROUPS:
    for channels in group:
      features += [
        layers.Conv(channels, (3, 3), kernel_init=_CONV_INIT, dtype=dtype),
        layers.norm(norm, dtype),
        nn.relu,
      ]
    features.append(layers.max_pool)
  return features
