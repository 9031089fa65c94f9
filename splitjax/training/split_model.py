"""A network that is cut into parts, which different parties hold."""

from collections.abc import Callable
import dataclasses
import functools
import itertools
from typing import Any, Self

import jax

from splitjax.models import layering
from splitjax.training.sending import Sent
from splitjax.training.sending import pass_back

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

  @property
  def num_parts(self) -> int:
    """The number of parts."""
    return len(self.cuts) + 1

  @property
  def crossings(self) -> tuple[dict[str, int], ...]:
    """What the metadata of a record say of each cut."""
    return tuple({'cut': cut} for cut in self.cuts)

  def with_top(
    self, fn: Callable[[tuple[layering.Layer, ...]], tuple[layering.Layer, ...]]
  ) -> Self:
    """Return the model with other layers after its last cut.

    Args:
      fn: from the layers of the last part to those in place of them.
    """
    cut = self.cuts[-1]
    layers = (*self.layers[:cut], *fn(self.layers[cut:]))
    return dataclasses.replace(self, layers=layers)

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
    _, params, state = layering.init_all(self.layers, 0, key, inputs[:1])
    return (
      tuple(params[a:b] for a, b in self.bounds),
      tuple(state[a:b] for a, b in self.bounds),
    )

  def trace(
    self, key: jax.Array, inputs: jax.Array
  ) -> tuple[list[jax.Array], list[jax.Array]]:
    """Return the output of every layer, and of these what crosses each cut.

    Args:
      key: random key for the parameters.
      inputs: example inputs `[B, ...]`.

    Returns:
      Arrays `[B, ...]`, one a layer, and one a cut.
    """
    outputs, _, _ = layering.init_all(self.layers, 0, key, inputs)
    return outputs, [outputs[cut - 1] for cut in self.cuts]

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
    return layering.apply_all(
      self.layers[first:last], first, params, state, x, train=train, key=key
    )

  def send(
    self,
    params: PyTree,
    state: PyTree,
    inputs: jax.Array,
    *,
    key: jax.Array,
    protect_fn: Callable[[jax.Array], jax.Array] | None = None,
  ) -> Sent:
    """Run all parts but the last in training mode.

    Args:
      params: parameters of all parts.
      state: state of all parts.
      inputs: inputs of the batch, `[B, ...]`.
      key: random key of the step, for dropout.
      protect_fn: `smashed -> smashed`, the protection of the first cut.

    Returns:
      What crosses the cuts, and how gradients go back.
    """
    forward = functools.partial(self.apply_part, train=True, key=key)
    run = lambda p, x, part: forward(part, p, state[part], x)
    # The inputs may be integers, and need no gradient.
    output, vjp_fn, part_state = jax.vjp(
      functools.partial(run, x=inputs, part=0), params[0], has_aux=True
    )
    if protect_fn is not None:
      output = protect_fn(output)
    smashed, vjp_fns, new_state = [output], [vjp_fn], [part_state]
    for part in range(1, len(params) - 1):
      output, vjp_fn, part_state = jax.vjp(
        functools.partial(run, part=part), params[part], output, has_aux=True
      )
      smashed.append(output)
      vjp_fns.append(vjp_fn)
      new_state.append(part_state)
    return Sent(
      tuple(smashed),
      received=output,
      state=tuple(new_state),
      last_fn=functools.partial(forward, -1),
      back_fn=functools.partial(pass_back, vjp_fns),
    )

  def infer(
    self,
    params: PyTree,
    state: PyTree,
    inputs: jax.Array,
    *,
    protect_fn: Callable[[jax.Array], jax.Array] | None = None,
  ) -> tuple[tuple[jax.Array, ...], jax.Array]:
    """Run all parts in evaluation mode.

    Args:
      params: parameters of all parts.
      state: state of all parts.
      inputs: inputs of the batch, `[B, ...]`.
      protect_fn: `smashed -> smashed`, the protection of the first cut.

    Returns:
      What crosses each cut, and the outputs, `[B, ...]` each.
    """
    x, smashed = inputs, []
    for part in range(self.num_parts):
      x, _ = self.apply_part(part, params[part], state[part], x)
      if part == 0 and protect_fn is not None:
        x = protect_fn(x)
      smashed.append(x)
    return tuple(smashed[:-1]), x

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
    for part in range(self.num_parts):
      x, part_state = self.apply_part(
        part, params[part], state[part], x, train=train, key=key
      )
      new_state.append(part_state)
    return x, tuple(new_state)
