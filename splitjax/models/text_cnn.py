"""TextCNN: convolutions over the words of a text."""

from collections.abc import Sequence
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from splitjax.models import layering
from splitjax.models import layers


class WordConvolutions(nn.Module):
  """Convolutions of several widths side by side.

  Attributes:
    features: how many channels each convolution has.
    widths: how many words each convolution sees.
    dtype: type of the computation; None for the wider of inputs and
      parameters.
  """

  features: int
  widths: Sequence[int]
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Convolve, `[B, L, E] -> [B, L, len(widths) * features]`."""
    length = x.shape[1]
    outputs = []
    for width in self.widths:
      padding = ((0, 0), ((width - 1) // 2, width // 2), (0, 0))
      padded = jnp.pad(x, padding)
      windows = [padded[:, i : i + length] for i in range(width)]
      layer = nn.Dense(self.features, dtype=self.dtype)
      outputs.append(layer(jnp.concatenate(windows, axis=-1)))
    return jnp.concatenate(outputs, axis=-1)


def max_over_words(x: jax.Array) -> jax.Array:
  """Return the maximum of each channel, `[B, L, C] -> [B, C]`."""
  return jnp.max(x, axis=1)


def text_cnn(
  num_classes: int,
  *,
  vocabulary_size: int,
  embedding_size: int = 300,
  widths: Sequence[int] = (3, 4, 5),
  channels: int = 100,
  dtype: Any = None,
) -> tuple[layering.Layer, ...]:
  """Return the layers of TextCNN for token ids `[B, L]`.

  The network of Kim (https://arxiv.org/abs/1408.5882) with the head of Liu et
  al. (TIFS 2024, https://arxiv.org/abs/2203.05222): three linear layers without
  activation. The main cut, before the head, is at 5.

  Args:
    num_classes: width of the logits.
    vocabulary_size: bound of the token ids, which lie below it.
    embedding_size: width of the vector of a token.
    widths: how many tokens each of the convolutions sees.
    channels: how many channels each of the convolutions has.
    dtype: type of the computation; by default the wider of inputs and
      parameters.

  Returns:
    The 8 layers.
  """
  width = channels * len(widths)
  return (
    nn.Embed(vocabulary_size, embedding_size, dtype=dtype),
    WordConvolutions(channels, tuple(widths), dtype),
    nn.relu,
    max_over_words,
    nn.Dropout(0.5),
    layers.Linear(width, dtype=dtype),
    layers.Linear(width, dtype=dtype),
    layers.Linear(num_classes, dtype=dtype),
  )
