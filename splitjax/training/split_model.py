"""A network that is cut into parts, which different parties hold."""

import dataclasses
import itertools
from typing import Any

import jax

from splitjax.models import layering

PyTree = Any


@dataclasses.dataclass(frozen=True)
class SplitModel:
  """Layers, and the cuts that slice them into parts.

  One cut is the two-party setting: the non-label party holds part 0 (the
  client), the label party part 1 (the server). Two cuts are the U-shaped
  setting: the data owner holds parts 0 and 2 with inputs and labels, and the
  attacker is the server in the middle, who sees both exchanges.

  `splitjax.models.layering` describes what can be a layer. Parameters and
  random draws depend only on a layer's index in the whole model, so models that
  differ only in `cuts` have equal parameters.

  Attributes:
    layers: layers of the whole model, in order.
    cuts: number of layers before each cut, increasing; each is between 1 and
      `len(layers) - 1`.

  Raises:
    ValueError: if there is no cut, or the cuts are not as above.

  Example:
    >>> from splitjax import models
    >>> import jax.numpy as jnp
    >>> model = SplitModel(models.mlp(3, hidden_sizes=(8,)), cuts=(3,))
    >>> model.describe()
    'flatten, Dense 8, relu | Dense 8, Dense 8, Dense 3'
    >>> inputs = jnp.zeros((4, 5))
    >>> params, state = model.init(jax.random.key(0), inputs)
    >>> smashed, _ = model.apply_part(0, params[0], state[0], inputs)
    >>> smashed.shape
    (4, 8)
  """

  layers: tuple[layering.Layer, ...]
  cuts: tuple[int, ...]

  def __post_init__(self) -> None:
    object.__setattr__(self, 'layers', tuple(self.layers))
    object.__setattr__(self, 'cuts', tuple(self.cuts))
    inside = all(0 < cut < len(self.layers) for cut in self.cuts)
    increasing = all(a < b for a, b in itertools.pairwise(self.cuts))
    if not (self.cuts and inside and increasing):
      raise ValueError(
        'cuts must be one or more increasing layer indices between 1 and '
        f'{len(self.layers) - 1}, got cuts={self.cuts}.'
      )

  @property
  def bounds(self) -> tuple[tuple[int, int], ...]:
    """Each part's first layer index and the one after its last."""
    edges = (0, *self.cuts, len(self.layers))
    return tuple(itertools.pairwise(edges))

  def describe(self) -> str:
    """Return the layers in words, with the cuts marked by bars."""
    names = [layering.name(layer) for layer in self.layers]
    return ' | '.join(', '.join(names[a:b]) for a, b in self.bounds)

  def init(self, key: jax.Array, inputs: jax.Array) -> tuple[PyTree, PyTree]:
    """Draw the parameters and state of every part.

    Args:
      key: random key for the parameters.
      inputs: example inputs `[B, ...]`; only their shape and type matter.

    Returns:
      The parameters and the state, each a tuple over parts of tuples over
      layers.
    """
    variables = []
    x = inputs[:1]
    for index, layer in enumerate(self.layers):
      layer_key = jax.random.fold_in(key, index)
      x, params, state = layering.init(layer, layer_key, x)
      variables.append((params, state))
    params, state = (
      tuple(tuple(v[which] for v in variables[a:b]) for a, b in self.bounds)
      for which in (0, 1)
    )
    return params, state

  def apply_part(
    self,
    part: int,
    params: PyTree,
    state: PyTree,
    x: jax.Array,
    *,
    train: bool = False,
    key: jax.Array | None = None,
  ) -> tuple[jax.Array, PyTree]:
    """Run one part, as the party that holds it does.

    Args:
      part: index of the part; -1 is the last.
      params: parameters of the part.
      state: state of the part, such as batch statistics.
      x: input of the part, `[B, ...]`.
      train: whether batch statistics and dropout are in training mode.
      key: random key of the step, for dropout; all parts get this one key.

    Returns:
      The part's output `[B, ...]` and its new state.
    """
    first, last = self.bounds[part]
    new_state = []
    for index, layer_params, layer_state in zip(
      range(first, last), params, state, strict=True
    ):
      x, layer_state = layering.apply(
        self.layers[index],
        layer_params,
        layer_state,
        x,
        train=train,
        key=None if key is None else jax.random.fold_in(key, index),
      )
      new_state.append(layer_state)
    return x, tuple(new_state)

  def apply(
    self,
    params: PyTree,
    state: PyTree,
    inputs: jax.Array,
    *,
    train: bool = False,
    key: jax.Array | None = None,
  ) -> tuple[jax.Array, PyTree]:
    """Run all parts one after the other, as the joined model.

    Args:
      params: parameters of all parts, from `init`.
      state: state of all parts, from `init`.
      inputs: inputs of the model, `[B, ...]`.
      train: whether batch statistics and dropout are in training mode.
      key: random key of the step, for dropout.

    Returns:
      The outputs `[B, ...]` and the new state of all parts.
    """
    x, new_state = inputs, []
    for part in range(len(self.bounds)):
      x, part_state = self.apply_part(
        part, params[part], state[part], x, train=train, key=key
      )
      new_state.append(part_state)
    return x, tuple(new_state)
