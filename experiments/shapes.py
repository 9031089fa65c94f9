"""Shapes of a model's layers, found without computing anything."""

import math

import jax

from splitjax import split

# What the activations of the runs that train side by side may take, in bytes.
_MEMORY = 2 << 30


def layer_shapes(
  model: split.SplitModel, example: jax.Array
) -> list[tuple[int, ...]]:
  """The shape of every layer's output, found without computing it.

  Args:
    model: the model.
    example: inputs `[B, ...]`.

  Returns:
    Shapes `[B, ...]`.
  """
  every = split.SplitModel(model.layers, range(1, len(model.layers)))

  def outputs(key, x):
    params, state = every.init(key, x)
    shapes = []
    for part in range(len(every.bounds)):
      x, _ = every.apply_part(part, params[part], state[part], x)
      shapes.append(x)
    return shapes

  return [x.shape for x in jax.eval_shape(outputs, jax.random.key(0), example)]


def cut_widths(model: split.SplitModel, example: jax.Array) -> list[int]:
  """How many numbers of a sample cross each cut.

  Args:
    model: the model.
    example: inputs `[B, ...]`.

  Returns:
    One width for each cut.
  """
  shapes = layer_shapes(model, example)
  return [math.prod(shapes[cut - 1][1:]) for cut in model.cuts]


def runs_at_once(model: split.SplitModel, batch: jax.Array) -> int:
  """How many runs may train side by side.

  Args:
    model: the model.
    batch: the inputs of a step, `[B, ...]`.

  Returns:
    At least one.
  """
  numbers = sum(math.prod(shape) for shape in layer_shapes(model, batch))
  # Activations, their gradients, and what is computed from one to the other.
  return max(_MEMORY // (3 * 4 * numbers), 1)
