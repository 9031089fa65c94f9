"""Shapes of a model's layers, found without computing anything."""

import math
from typing import NamedTuple

import jax
import numpy as np

from splitjax.training import split

Array = jax.Array | np.ndarray

# What the activations of the runs that train side by side may take, in bytes.
_MEMORY = 2 << 30
# The same of the gradients that single examples have.
_EXAMPLE_MEMORY = 256 << 20


def layer_shapes(
  model: split.SplitModel, example: Array
) -> list[tuple[int, ...]]:
  """Return the shape of every layer's output, found without computing it.

  Args:
    model: the model.
    example: inputs `[B, ...]`.

  Returns:
    Shapes `[B, ...]`.
  """
  every = split.SplitModel(model.layers, tuple(range(1, len(model.layers))))

  def outputs(key: jax.Array, x: jax.Array) -> list[jax.Array]:
    params, state = every.init(key, x)
    shapes = []
    for part in range(len(every.bounds)):
      x, _ = every.apply_part(part, params[part], state[part], x)
      shapes.append(x)
    return shapes

  return [x.shape for x in jax.eval_shape(outputs, jax.random.key(0), example)]


def cut_widths(model: split.SplitModel, example: Array) -> list[int]:
  """Return how many numbers of a sample cross each cut.

  Args:
    model: the model.
    example: inputs `[B, ...]`.

  Returns:
    One width for each cut.
  """
  shapes = layer_shapes(model, example)
  return [math.prod(shapes[cut - 1][1:]) for cut in model.cuts]


def runs_at_once(model: split.SplitModel, batch: Array) -> int:
  """Return how many runs may train side by side.

  Args:
    model: the model.
    batch: the inputs of a step, `[B, ...]`.

  Returns:
    At least one.
  """
  numbers = sum(math.prod(shape) for shape in layer_shapes(model, batch))
  # Activations, their gradients, and what is computed from one to the other.
  return max(_MEMORY // (3 * 4 * numbers), 1)


class ServerPart(NamedTuple):
  """What the label party's part of a model is like.

  Attributes:
    has_state: whether it keeps batch statistics, and so mixes examples.
    examples_at_once: how many examples' gradients fit in memory; None for any.
  """

  has_state: bool
  examples_at_once: int | None


def server_part(model: split.SplitModel, example: Array) -> ServerPart:
  """Look at the last part of a model without drawing it.

  Args:
    model: the model.
    example: inputs `[B, ...]`.

  Returns:
    What it is like.
  """
  params, state = jax.eval_shape(model.init, jax.random.key(0), example)
  size = sum(4 * x.size for x in jax.tree.leaves(params[-1]))
  fitting = max(_EXAMPLE_MEMORY // max(size, 1), 1)
  return ServerPart(
    has_state=bool(jax.tree.leaves(state[-1])),
    examples_at_once=None if fitting >= 1024 else fitting,
  )
