"""Shapes of a model's layers, found without computing anything."""

import math
from typing import NamedTuple

import jax
import numpy as np

from splitjax.training import split

Array = jax.Array | np.ndarray

# Bytes that the activations of all runs that train side by side may take.
_MEMORY = 2 << 30
# Numbers that a step of one run computes at most for runs to go side by side on
# a CPU: five ResNet18 of 10 million take 0.8 of the time there in turns; for
# networks below a million the ways do not differ.
_LARGEST_BESIDE_OTHERS = 4 << 20
# Bytes that the gradients of single examples may take.
_EXAMPLE_MEMORY = 256 << 20


def layer_shapes(
  model: split.SplitModel, example: Array
) -> list[tuple[int, ...]]:
  """Return the shape of every layer's output, found without computing it.

  Args:
    model: the split model.
    example: inputs `[B, ...]`; only their shape and type matter.

  Returns:
    The shapes `[B, ...]`, one for each layer.

  Example:
    >>> from flax import linen as nn
    >>> model = split.SplitModel((nn.Dense(8), nn.Dense(3)), cuts=(1,))
    >>> layer_shapes(model, np.ones((4, 5), np.float32))
    [(4, 8), (4, 3)]
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
    model: the split model.
    example: inputs `[B, ...]`; only their shape and type matter.

  Returns:
    One width for each cut.

  Example:
    >>> from flax import linen as nn
    >>> model = split.SplitModel((nn.Dense(8), nn.Dense(3)), cuts=(1,))
    >>> cut_widths(model, np.ones((4, 5), np.float32))
    [8]
  """
  shapes = layer_shapes(model, example)
  return [math.prod(shapes[cut - 1][1:]) for cut in model.cuts]


def runs_at_once(model: split.SplitModel, batch: Array) -> int:
  """Return how many runs should train side by side.

  As many as fit in memory; on a CPU, which a large network keeps busy alone, a
  single one of those.

  Args:
    model: the split model.
    batch: inputs of a step, `[B, ...]`; only their shape and type matter.

  Returns:
    A number of runs, at least one.

  Example:
    >>> from flax import linen as nn
    >>> model = split.SplitModel((nn.Dense(8), nn.Dense(3)), cuts=(1,))
    >>> runs_at_once(model, np.ones((32, 5), np.float32)) > 1000
    True
  """
  numbers = sum(math.prod(shape) for shape in layer_shapes(model, batch))
  if jax.default_backend() == 'cpu' and numbers > _LARGEST_BESIDE_OTHERS:
    return 1
  # Three float32 arrays of this size: activations, their gradients, and what is
  # computed between them.
  return max(_MEMORY // (3 * 4 * numbers), 1)


class ServerPart(NamedTuple):
  """Properties of the label party's part of a model.

  Attributes:
    has_state: whether the part keeps batch statistics, and so mixes examples.
    examples_at_once: number of examples whose gradients fit in memory at once;
      None if any number does.
  """

  has_state: bool
  examples_at_once: int | None


def server_part(model: split.SplitModel, example: Array) -> ServerPart:
  """Return the properties of a model's last part, without drawing the model.

  Args:
    model: the split model.
    example: inputs `[B, ...]`; only their shape and type matter.

  Returns:
    The properties.

  Example:
    >>> from flax import linen as nn
    >>> model = split.SplitModel((nn.Dense(8), nn.Dense(3)), cuts=(1,))
    >>> server_part(model, np.ones((4, 5), np.float32))
    ServerPart(has_state=False, examples_at_once=None)
  """
  params, state = jax.eval_shape(model.init, jax.random.key(0), example)
  size = sum(4 * x.size for x in jax.tree.leaves(params[-1]))
  fitting = max(_EXAMPLE_MEMORY // max(size, 1), 1)
  return ServerPart(
    has_state=bool(jax.tree.leaves(state[-1])),
    examples_at_once=None if fitting >= 1024 else fitting,
  )
