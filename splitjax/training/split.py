"""A network cut into parts: what crosses each cut is an explicit value.

A model is a tuple of layers; `cuts` slice it into parts that different parties
hold. The parts are composed by `jax.vjp` at every cut, so that the smashed data
and the cut gradients are values that can be recorded, and protected before they
travel on. In shape descriptions, `B` is the batch.
"""

from collections.abc import Callable
import dataclasses
import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax import losses
from splitjax.models import layering
from splitjax.training.protection import Protection

LossFn = losses.LossFn
PyTree = Any


class Exchange(NamedTuple):
  """All that crosses one cut in one step, as received.

  Attributes:
    smashed: the output of the part before the cut, `[B, ...]`.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
  """

  smashed: jax.Array
  cut_grads: jax.Array


class SplitGrads(NamedTuple):
  """The result of one split step.

  Attributes:
    loss: the mean loss of the batch, a scalar.
    grads: each part's parameter gradients, a tuple over parts.
    state: each part's new state (batch statistics), a tuple over parts.
    exchanges: what crossed each cut, a tuple over cuts.
    monitored: what `Protection.monitor` noted, if it is there.
  """

  loss: jax.Array
  grads: tuple[PyTree, ...]
  state: tuple[PyTree, ...]
  exchanges: tuple[Exchange, ...]
  monitored: PyTree = None


@dataclasses.dataclass(frozen=True)
class SplitModel:
  """Layers, and the cuts that slice them into parts.

  One cut is the two-party setting: the non-label party holds part 0 (the
  client), the label party part 1 (the server). Two cuts are the U-shaped
  setting: the data owner holds parts 0 and 2 with inputs and labels, the
  attacker is the server in the middle, and sees both exchanges.

  See `layering` for what can be a layer. Parameters and random draws depend on
  a layer's index in the whole model alone, so that models that differ only in
  `cuts` are equal.

  Attributes:
    layers: the layers, in order.
    cuts: cut `c` comes after the first `c` layers, so `0 < c < len(layers)`.
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
      key: the random key.
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
      part: which part.
      params: the part's parameters.
      state: the part's state.
      x: what the part receives, `[B, ...]`.
      train: whether batch statistics and dropout are in training mode.
      key: the step's key, for dropout; the same for all parts.

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
    """Run the joined model; the arguments are those of `apply_part`."""
    x, new_state = inputs, []
    for part in range(len(self.bounds)):
      x, part_state = self.apply_part(
        part, params[part], state[part], x, train=train, key=key
      )
      new_state.append(part_state)
    return x, tuple(new_state)


def split_grads(
  key: jax.Array,
  params: PyTree,
  state: PyTree,
  inputs: jax.Array,
  labels: jax.Array,
  *,
  model: SplitModel,
  loss_fn: LossFn = losses.cross_entropy,
  protection: Protection = Protection(),  # noqa: B008 (immutable)
) -> SplitGrads:
  """Take one step of the protocol: forward through the cuts, and back.

  Undefended, the gradients are those of the joined model.

  Args:
    key: the step's key, for dropout and for the protection.
    params: the parameters, from `SplitModel.init`.
    state: the state, from `SplitModel.init`.
    inputs: `[B, ...]`.
    labels: `[B]`.
    model: the split model.
    loss_fn: `(logits, labels) -> losses [B]`.
    protection: what the parties do to what leaves them.

  Returns:
    The loss, each part's gradients and new state, and each cut's `Exchange`.
  """
  key_dropout, key_labels, key_smashed, key_cut, key_server, key_batch = (
    jax.random.split(key, 6)
  )
  forward = functools.partial(model.apply_part, train=True, key=key_dropout)
  if protection.batch is not None:
    inputs, labels = protection.batch(key_batch, inputs, labels)
  if protection.labels is not None:
    labels = protection.labels(key_labels, labels)

  smashed, vjp_fns, new_state = _run_to_last_cut(
    forward, params, state, inputs, protection.smashed, key_smashed
  )

  # The label party: loss, its own gradients, and what it sends back.
  def server_loss(
    server_params: PyTree, smashed: jax.Array, labels: jax.Array
  ) -> tuple[jax.Array, PyTree]:
    logits, server_state = forward(-1, server_params, state[-1], smashed)
    if protection.loss is None:
      example_losses = loss_fn(logits, labels)
    else:
      example_losses = protection.loss(loss_fn, logits, smashed, labels)
    return jnp.mean(example_losses), server_state

  at = (params[-1], smashed[-1], labels)
  (loss, server_state), (server_grads, cut_grads) = jax.value_and_grad(
    server_loss, argnums=(0, 1), has_aux=True
  )(*at)
  if protection.server_grads is not None:
    mean_loss_fn = lambda *args: server_loss(*args)[0]
    server_grads = protection.server_grads(key_server, mean_loss_fn, *at)
  monitored = None
  if protection.monitor is not None:
    monitored = protection.monitor(cut_grads, labels)
  if protection.cut_grads is not None:
    cut_grads = protection.cut_grads(key_cut, cut_grads, labels)

  # Backward: each part continues with what it received.
  grads, exchanges = [server_grads], []
  for output, vjp_fn in reversed(list(zip(smashed, vjp_fns, strict=True))):
    exchanges.append(Exchange(output, cut_grads))
    part_grads, *to_previous = vjp_fn(cut_grads)
    grads.append(part_grads)
    if to_previous:
      (cut_grads,) = to_previous
  return SplitGrads(
    loss=loss,
    grads=tuple(reversed(grads)),
    state=(*new_state, server_state),
    exchanges=tuple(reversed(exchanges)),
    monitored=monitored,
  )


def _run_to_last_cut(
  forward: Callable[..., tuple[jax.Array, PyTree]],
  params: PyTree,
  state: PyTree,
  inputs: jax.Array,
  protect_fn: Callable[..., jax.Array] | None,
  key: jax.Array,
) -> tuple[list[jax.Array], list[Callable[..., Any]], list[PyTree]]:
  """Return what each part but the last sends, how to go back, and its state."""
  run = lambda p, x, part: forward(part, p, state[part], x)
  # The inputs may be integers, and need no gradient.
  output, vjp_fn, part_state = jax.vjp(
    functools.partial(run, x=inputs, part=0), params[0], has_aux=True
  )
  if protect_fn is not None:
    output = protect_fn(key, output)
  smashed, vjp_fns, new_state = [output], [vjp_fn], [part_state]
  for part in range(1, len(params) - 1):
    output, vjp_fn, part_state = jax.vjp(
      functools.partial(run, part=part), params[part], output, has_aux=True
    )
    smashed.append(output)
    vjp_fns.append(vjp_fn)
    new_state.append(part_state)
  return smashed, vjp_fns, new_state
