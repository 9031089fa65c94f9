"""Wide and deep: a linear model beside a perceptron, for tables."""

from collections.abc import Sequence
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from splitjax.models import embeddings
from splitjax.models import layering
from splitjax.models import layers


class WideAndDeepInputs(nn.Module):
  """The first layer: inputs of the deep part beside logits of the wide part.

  Attributes:
    category_sizes: how many values each of the last columns can take.
    embedding_size: width of the vector of a category.
    num_classes: width of the logits of the wide part.
    dtype: type of the computation; None for the wider of inputs and
      parameters.
  """

  category_sizes: Sequence[int]
  embedding_size: int
  num_classes: int
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Run, `[B, F + C] -> [B, F + C * embedding_size + num_classes]`."""
    sizes = self.category_sizes
    numbers, vectors = embeddings.CategoryEmbeddings(
      sizes, self.embedding_size, self.dtype
    )(x)
    _, weights = embeddings.CategoryEmbeddings(
      sizes, self.num_classes, self.dtype
    )(x)
    # Without a column, the usual initialisation would divide by zero.
    init = nn.initializers.lecun_normal() if numbers.size else nn.zeros_init()
    wide = nn.Dense(self.num_classes, dtype=self.dtype, kernel_init=init)(
      numbers
    )
    wide += jnp.sum(weights, axis=1)
    parts = (numbers, layers.flatten(vectors), wide)
    return jnp.concatenate([part.astype(wide.dtype) for part in parts], axis=1)


class AddWide(nn.Module):
  """The last layer: logits of the deep part plus those of the wide part.

  The logits of the wide part are the last columns of the input.

  Attributes:
    features: width of the logits.
    dtype: type of the computation; None for the wider of inputs and
      parameters.
  """

  features: int
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Add the logits, `[B, D + features] -> [B, features]`."""
    deep, wide = x[:, : -self.features], x[:, -self.features :]
    return nn.Dense(self.features, dtype=self.dtype)(deep) + wide


def wide_deep(
  num_classes: int,
  *,
  category_sizes: Sequence[int] = (),
  embedding_size: int = 16,
  hidden_sizes: Sequence[int] = (64, 64),
  dtype: Any = None,
) -> tuple[layering.Layer, ...]:
  """Return the layers for tables `[B, F + C]` of numbers and category ids.

  The model of Cheng et al. (https://arxiv.org/abs/1606.07792) with a head of
  three linear layers. The wide part is linear in the inputs, so it belongs to
  the client, and its logits cross every cut beside the activations of the deep
  part. Their gradient is `softmax - onehot`, which reveals the label. The cut
  before the head is at `1 + 2 * len(hidden_sizes)`.

  Args:
    num_classes: width of the logits.
    category_sizes: how many values each of the last columns can take.
    embedding_size: width of the vector of a category.
    hidden_sizes: widths of the layers of the deep part; the head is as wide as
      the last.
    dtype: type of the computation; None for the wider of inputs and
      parameters.

  Returns:
    The layers.
  """
  beside = lambda layer: layers.Beside(layer, num_classes)
  hidden = [
    beside(layer)
    for size in hidden_sizes
    for layer in (nn.Dense(size, dtype=dtype), nn.relu)
  ]
  head = [beside(nn.Dense(hidden_sizes[-1], dtype=dtype)) for _ in range(2)]
  return (
    WideAndDeepInputs(
      tuple(category_sizes), embedding_size, num_classes, dtype
    ),
    *hidden,
    *head,
    AddWide(num_classes, dtype),
  )
