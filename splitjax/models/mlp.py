"""A multilayer perceptron with the paper's head of three linear layers."""

from collections.abc import Sequence
from typing import Any

from flax import linen as nn

from splitjax.models import layering
from splitjax.models import layers


def mlp(
  num_classes: int,
  *,
  hidden_sizes: Sequence[int] = (64, 64, 64),
  dtype: Any = None,
) -> tuple[layering.Layer, ...]:
  """Return the layers of a multilayer perceptron.

  `flatten`, then a linear layer and ReLU for each hidden size, then a head of
  three linear layers without activation, as in the networks of Liu et al. (TIFS
  2024, https://arxiv.org/abs/2203.05222). The cut before the head is at
  `1 + 2 * len(hidden_sizes)`.

  Args:
    num_classes: width of the logits.
    hidden_sizes: widths of the hidden layers; the head is as wide as the last.
    dtype: type of the computation; by default the wider of inputs and
      parameters.

  Returns:
    The layers, for inputs `[B, ...]` of any shape.
  """
  dense = lambda size: nn.Dense(size, dtype=dtype)
  hidden = [x for size in hidden_sizes for x in (dense(size), nn.relu)]
  last = tuple(hidden_sizes[-1:])
  head = [dense(size) for size in (*last, *last, num_classes)]
  return (layers.flatten, *hidden, *head)
