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
    features: channels of each.
    widths: how many words each sees.
    dtype: of the computation.
  """

  features: int
  widths: Sequence[int]
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """`[B, L, E] -> [B, L, len(widths) * features]`."""
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
  """The maximum of each channel, `[B, L, C] -> [B, C]`."""
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
  """The 8 layers, for token ids `[B, L]`.

  The network of Kim (https://arxiv.org/abs/1408.5882) with the paper's head of
  three linear layers, before which, at 5, is the main cut.

  Args:
    num_classes: width of the logits.
    vocabulary_size: ids lie in `[0, vocabulary_size)`.
    embedding_size: width of a word's vector.
    widths: of the convolutions, in words.
    channels: of each of them.
    dtype: of the computation.

  Returns:
    The layers.
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
