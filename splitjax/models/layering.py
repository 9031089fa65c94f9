"""What a layer is: any linen module, or a function of one array.

A module's call may take `train`, `use_running_average` or `deterministic`; it
is told the mode by whichever it takes.
"""

from collections.abc import Callable
import inspect
from typing import Any

from flax import linen as nn
import jax

Layer = nn.Module | Callable[[jax.Array], jax.Array]
PyTree = Any


def init(
  layer: Layer, key: jax.Array, x: jax.Array
) -> tuple[jax.Array, PyTree, PyTree]:
  """Draws a layer's variables.

  Args:
    layer: the layer.
    key: the random key.
    x: an example of its input, `[B, ...]`.

  Returns:
    Its output `[B, ...]`, parameters and state; a function has neither.
  """
  if not isinstance(layer, nn.Module):
    return layer(x), {}, {}
  x, drawn = layer.init_with_output(key, x, **_mode(layer, train=False))
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
  """Runs a layer.

  Args:
    layer: the layer.
    params: its parameters.
    state: its state (batch statistics).
    x: its input, `[B, ...]`.
    train: whether it is in training mode; only then its state may change.
    key: for dropout; None where nothing is drawn.

  Returns:
    Its output `[B, ...]` and new state.
  """
  if not isinstance(layer, nn.Module):
    return layer(x), state
  x, updated = layer.apply(
    {'params': params, **state},
    x,
    rngs={} if key is None else {'dropout': key},
    mutable=list(state) if train else [],
    **_mode(layer, train),
  )
  return x, {**state, **updated}


def name(layer: Layer) -> str:
  """A layer's type, and its width if it has one."""
  if isinstance(layer, nn.Module):
    features = getattr(layer, 'features', '')
    return f'{type(layer).__name__} {features}'.strip()
  return getattr(layer, '__name__', type(layer).__name__)


def _mode(layer: nn.Module, train: bool) -> dict[str, bool]:
  """The keyword by which a module is told whether it trains."""
  modes = {
    'train': train,
    'use_running_average': not train,
    'deterministic': not train,
  }
  taken = inspect.signature(type(layer).__call__).parameters
  return {key: value for key, value in modes.items() if key in taken}
