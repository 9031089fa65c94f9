"""Embeddings of category ids, for the networks for tables."""

from collections.abc import Sequence
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class CategoryEmbeddings(nn.Module):
  """Vectors for the categories of a table, which are its last columns.

  Attributes:
    category_sizes: how many values each of the last columns can take.
    features: width of the vector of a category.
    dtype: type of the vectors; None for the type of the parameters.
  """

  category_sizes: Sequence[int]
  features: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Look up the vectors, `[B, F + C] -> [B, F], [B, C, features]`."""
    num_categories = len(self.category_sizes)
    numbers = x[:, : x.shape[1] - num_categories]
    if not num_categories:
      return numbers, jnp.zeros((len(x), 0, self.features), x.dtype)
    # One table for all columns, in which each column has rows of its own.
    starts = np.cumsum((0, *self.category_sizes[:-1]))
    ids = x[:, numbers.shape[1] :].astype(jnp.int32) + starts[None]
    table = nn.Embed(sum(self.category_sizes), self.features, dtype=self.dtype)
    return numbers, table(ids)
