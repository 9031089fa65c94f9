"""DLRM: embeddings that meet in inner products, for tables."""

from collections.abc import Sequence
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.models import embeddings
from splitjax.models import layering
from splitjax.models import layers


class DlrmInputs(nn.Module):
  """The first layer: numbers stay, category ids become vectors beside them.

  Attributes:
    category_sizes: how many values each of the last columns can take.
    embedding_size: width of the vector of a category.
    dtype: type of the computation; None for the wider of inputs and
      parameters.
  """

  category_sizes: Sequence[int]
  embedding_size: int
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Look up the vectors: `[B, F + C] -> [B, F + C * embedding_size]`."""
    numbers, vectors = embeddings.CategoryEmbeddings(
      self.category_sizes, self.embedding_size, self.dtype
    )(x)
    if not numbers.shape[1]:
      raise ValueError(
        'inputs must have a column of numbers beside the categories, got none.'
      )
    return jnp.concatenate([numbers, layers.flatten(vectors)], axis=1)


class Interaction(nn.Module):
  """Inner products of all pairs of vectors, after the first vector itself.

  Attributes:
    embedding_size: width `E` of a vector.
  """

  embedding_size: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Multiply all pairs: `[B, V * E] -> [B, E + V (V - 1) / 2]`."""
    vectors = x.reshape(len(x), -1, self.embedding_size)
    products = jnp.einsum('bve,bwe->bvw', vectors, vectors)
    first, second = np.tril_indices(vectors.shape[1], -1)
    return jnp.concatenate([vectors[:, 0], products[:, first, second]], axis=1)


def dlrm(
  num_classes: int,
  *,
  category_sizes: Sequence[int] = (),
  embedding_size: int = 16,
  bottom_sizes: Sequence[int] = (64,),
  top_sizes: Sequence[int] = (64, 64),
  dtype: Any = None,
) -> tuple[layering.Layer, ...]:
  """Return the layers for tables `[B, F + C]` of numbers and category ids.

  The model of Naumov et al. (https://arxiv.org/abs/1906.00091): a bottom
  perceptron turns the numbers into a vector as wide as an embedding; the inner
  products of all pairs of vectors follow, and a top perceptron. The cut after
  the products is at `2 * len(bottom_sizes) + 4`.

  Args:
    num_classes: width of the logits.
    category_sizes: how many values each of the last columns can take.
    embedding_size: width of the vector of a category.
    bottom_sizes: widths of the bottom perceptron before its last layer.
    top_sizes: widths of the top perceptron.
    dtype: type of the computation; None for the wider of inputs and
      parameters.

  Returns:
    The layers.
  """
  carried = len(category_sizes) * embedding_size
  perceptron = lambda sizes: [
    layer for size in sizes for layer in (nn.Dense(size, dtype=dtype), nn.relu)
  ]
  bottom = perceptron((*bottom_sizes, embedding_size))
  return (
    DlrmInputs(tuple(category_sizes), embedding_size, dtype),
    *(layers.Beside(layer, carried) for layer in bottom),
    Interaction(embedding_size),
    *perceptron(top_sizes),
    nn.Dense(num_classes, dtype=dtype),
  )
