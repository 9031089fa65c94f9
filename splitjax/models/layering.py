"""What a layer is: any linen module, or a function of one array.

A module whose call takes `train`, `use_running_average` or `deterministic` is
told by that argument whether it is in training or in inference.
"""

from collections.abc import Callable, Sequence
import inspect
from typing import Any

from flax import linen as nn
import jax

Layer = nn.Module | Callable[[jax.Array], jax.Array]
PyTree = Any


def init(
  layer: Layer, key: jax.Array, x: jax.Array
) -> tuple[jax.Array, PyTree, PyTree]:
  """Draw the initial variables of a layer.

  Args:
    layer: the layer.
    key: random key for the initial parameters.
    x: an example of the layer's input, `[B, ...]`.

  Returns:
    The layer's output `[B, ...]`, its parameters and its state; both are empty
    for a function.
  """
  if not isinstance(layer, nn.Module):
    return layer(x), {}, {}
  x, drawn = layer.init_with_output(key, x, **mode(layer, train=False))
  state = {name: value for name, value in drawn.items() if name != 'params'}
  return x, drawn.get('params', {}), state


def apply(
  layer: Layer,
  params: PyTree,
  state: PyTree,
  x: jax.Array,
  *,
  train: bool,
  key: jax.Array | None,
) -> tuple[jax.Array, PyTree]:
  """Run a layer.

  Args:
    layer: the layer.
    params: parameters of the layer.
    state: state of the layer, such as batch statistics.
    x: input of the layer, `[B, ...]`.
    train: whether the layer is in training mode; only then its state changes.
    key: random key for dropout; None if nothing is to be drawn.

  Returns:
    The layer's output `[B, ...]` and its new state.
  """
  if not isinstance(layer, nn.Module):
    return layer(x), state
  x, updated = layer.apply(
    {'params': params, **state},
    x,
    rngs={} if key is None else {'dropout': key},
    mutable=list(state) if train else [],
    **mode(layer, train),
  )
  return x, {**state, **updated}


def init_all(
  layers: Sequence[Layer], first: int, key: jax.Array, x: jax.Array
) -> tuple[list[jax.Array], tuple[PyTree, ...], tuple[PyTree, ...]]:
  """Draw the initial variables of layers that follow each other.

  Args:
    layers: the layers, in order.
    first: index of the first of them in the whole model, from which its random
      key is made.
    key: random key for the parameters of the whole model.
    x: an example of the first layer's input, `[B, ...]`.

  Returns:
    The output `[B, ...]`, the parameters and the state of each layer.
  """
  outputs, params, state = [], [], []
  for index, layer in enumerate(layers, first):
    x, *drawn = init(layer, jax.random.fold_in(key, index), x)
    outputs.append(x)
    params.append(drawn[0])
    state.append(drawn[1])
  return outputs, tuple(params), tuple(state)


def apply_all(
  layers: Sequence[Layer],
  first: int,
  params: PyTree,
  state: PyTree,
  x: jax.Array,
  *,
  train: bool,
  key: jax.Array | None,
) -> tuple[jax.Array, PyTree]:
  """Run layers that follow each other.

  Args:
    layers: the layers, in order.
    first: index of the first of them in the whole model, from which its random
      key is made.
    params: parameters of each layer.
    state: state of each layer.
    x: input of the first layer, `[B, ...]`.
    train: whether the layers are in training mode.
    key: random key of the step, for dropout; None if nothing is to be drawn.

  Returns:
    The output of the last layer `[B, ...]` and the new state of each.
  """
  new_state = []
  for index, layer, layer_params, layer_state in zip(
    range(first, first + len(layers)), layers, params, state, strict=True
  ):
    x, layer_state = apply(
      layer,
      layer_params,
      layer_state,
      x,
      train=train,
      key=None if key is None else jax.random.fold_in(key, index),
    )
    new_state.append(layer_state)
  return x, tuple(new_state)


def name(layer: Layer) -> str:
  """Return a layer's type, followed by its width if it has one."""
  if isinstance(layer, nn.Module):
    features = getattr(layer, 'features', '')
    return f'{type(layer).__name__} {features}'.strip()
  return getattr(layer, '__name__', type(layer).__name__)


def mode(layer: nn.Module, train: bool) -> dict[str, Any]:
  """Return the keyword by which a module is told whether it trains.

  Args:
    layer: the module.
    train: whether it is in training mode.

  Returns:
    Keyword arguments of its call, at most one.
  """
  modes = {
    'train': train,
    'use_running_average': not train,
    'deterministic': not train,
  }
  taken = inspect.signature(type(layer).__call__).parameters
  return {key: value for key, value in modes.items() if key in taken}
