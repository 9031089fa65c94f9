"""One step of split learning: what crosses each cut is an explicit value.

The parts of a model are composed by `jax.vjp` at every cut. So the smashed data
and the cut gradients are values that can be recorded, and that a protection can
replace before they travel on. In shape descriptions, `B` is the batch size.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax import losses
from splitjax.training.protection import Protection
from splitjax.training.split_model import SplitModel as SplitModel

LossFn = losses.LossFn
PyTree = Any
# `SplitModel.apply_part` in training mode: (part, params, state, x) -> x, state
ForwardFn = Callable[[int, PyTree, PyTree, jax.Array], tuple[jax.Array, PyTree]]


class Exchange(NamedTuple):
  """All that crosses one cut in one step, as received.

  Attributes:
    smashed: output of the part before the cut, `[B, ...]`.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
  """

  smashed: jax.Array
  cut_grads: jax.Array


class SplitGrads(NamedTuple):
  """The result of one split step.

  Attributes:
    loss: mean loss of the batch, a scalar.
    grads: parameter gradients of each part, a tuple over parts.
    state: new state of each part (batch statistics), a tuple over parts.
    exchanges: what crossed each cut, a tuple over cuts.
    monitored: result of `Protection.monitor`, or None without a monitor.
    pairs: result of `Protection.pairs`, or None where nothing is mixed.
  """

  loss: jax.Array
  grads: tuple[PyTree, ...]
  state: tuple[PyTree, ...]
  exchanges: tuple[Exchange, ...]
  monitored: PyTree = None
  pairs: tuple[jax.Array, jax.Array] | None = None


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

  Without a protection, the gradients equal those of the joined model.

  Args:
    key: random key of the step, for dropout and for the protection.
    params: parameters of all parts, from `SplitModel.init`.
    state: state of all parts, from `SplitModel.init`.
    inputs: inputs of the batch, `[B, ...]`.
    labels: classes `[B]`, or what `loss_fn` takes instead.
    model: the split model.
    loss_fn: `(logits, labels) -> losses [B]`.
    protection: defenses, by the place where each acts.

  Returns:
    The loss, each part's gradients and new state, and each cut's `Exchange`.

  Example:
    >>> from flax import linen as nn
    >>> model = SplitModel((nn.Dense(8), nn.Dense(3)), cuts=(1,))
    >>> inputs, labels = jnp.ones((4, 5)), jnp.array([0, 1, 2, 0])
    >>> params, state = model.init(jax.random.key(0), inputs)
    >>> step = split_grads(
    ...   jax.random.key(1), params, state, inputs, labels, model=model
    ... )
    >>> step.loss.shape, step.exchanges[0].cut_grads.shape
    ((), (4, 8))
  """
  keys = _StepKeys(*jax.random.split(key, 6))
  forward = functools.partial(model.apply_part, train=True, key=keys.dropout)
  pairs = None
  if protection.pairs is not None:
    pairs = protection.pairs(keys.batch, len(inputs))
  if protection.batch is not None:
    inputs, labels = protection.batch(keys.batch, inputs, labels)
  if protection.labels is not None:
    labels = protection.labels(keys.labels, labels)

  smashed, vjp_fns, new_state = _run_to_last_cut(
    forward, params, state, inputs, protection.smashed, keys.smashed
  )
  mean_loss_fn = functools.partial(
    _mean_loss, forward, loss_fn, protection, state[-1]
  )
  last = _run_last_part(
    mean_loss_fn, keys, params[-1], smashed[-1], labels, protection
  )
  grads, exchanges = _run_back(smashed, vjp_fns, last.cut_grads)
  return SplitGrads(
    loss=last.loss,
    grads=(*grads, last.grads),
    state=(*new_state, last.state),
    exchanges=exchanges,
    monitored=last.monitored,
    pairs=pairs,
  )


class _StepKeys(NamedTuple):
  """Random keys of a step, by what they draw; the order is fixed."""

  dropout: jax.Array
  labels: jax.Array
  smashed: jax.Array
  cut_grads: jax.Array
  server_grads: jax.Array
  batch: jax.Array


class _LastPart(NamedTuple):
  """The result of the label party's part.

  Attributes:
    loss: mean loss of the batch, a scalar.
    grads: parameter gradients of the last part.
    state: new state of the last part.
    cut_grads: cut gradients that the label party sends back, `[B, ...]`.
    monitored: result of `Protection.monitor`, or None without a monitor.
  """

  loss: jax.Array
  grads: PyTree
  state: PyTree
  cut_grads: jax.Array
  monitored: PyTree


def _run_to_last_cut(
  forward: ForwardFn,
  params: PyTree,
  state: PyTree,
  inputs: jax.Array,
  protect_fn: Callable[..., jax.Array] | None,
  key: jax.Array,
) -> tuple[list[jax.Array], list[Callable[..., Any]], list[PyTree]]:
  """Run all parts but the last.

  Args:
    forward: function that runs a part.
    params: parameters of all parts.
    state: state of all parts.
    inputs: inputs of the batch, `[B, ...]`.
    protect_fn: `(key, smashed) -> smashed`, the protection of the first cut.
    key: random key for the protection.

  Returns:
    For each part its output, the function that maps the gradient of its output
    to those of its parameters and input, and its new state.
  """
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


def _mean_loss(
  forward: ForwardFn,
  loss_fn: LossFn,
  protection: Protection,
  state: PyTree,
  params: PyTree,
  smashed: jax.Array,
  labels: jax.Array,
) -> tuple[jax.Array, PyTree]:
  """Return the mean loss of the batch and the last part's new state."""
  logits, new_state = forward(-1, params, state, smashed)
  if protection.loss is None:
    example_losses = loss_fn(logits, labels)
  else:
    example_losses = protection.loss(loss_fn, logits, smashed, labels)
  return jnp.mean(example_losses), new_state


def _run_last_part(
  mean_loss_fn: Callable[..., tuple[jax.Array, PyTree]],
  keys: _StepKeys,
  params: PyTree,
  smashed: jax.Array,
  labels: jax.Array,
  protection: Protection,
) -> _LastPart:
  """Compute the loss, the last part's gradients, and what is sent back.

  Args:
    mean_loss_fn: `(params, smashed, labels) -> (loss, state)`.
    keys: random keys of the step.
    params: parameters of the last part.
    smashed: input of the last part, `[B, ...]`.
    labels: labels of the batch.
    protection: defenses, by the place where each acts.

  Returns:
    The results of the last part.
  """
  at = (params, smashed, labels)
  (loss, state), (grads, cut_grads) = jax.value_and_grad(
    mean_loss_fn, argnums=(0, 1), has_aux=True
  )(*at)
  if protection.server_grads is not None:
    only_loss_fn = lambda *args: mean_loss_fn(*args)[0]
    grads = protection.server_grads(keys.server_grads, only_loss_fn, *at)
  monitored = None
  if protection.monitor is not None:
    monitored = protection.monitor(cut_grads, labels)
  if protection.cut_grads is not None:
    cut_grads = protection.cut_grads(keys.cut_grads, cut_grads, labels)
  return _LastPart(loss, grads, state, cut_grads, monitored)


def _run_back(
  smashed: list[jax.Array],
  vjp_fns: list[Callable[..., Any]],
  cut_grads: jax.Array,
) -> tuple[tuple[PyTree, ...], tuple[Exchange, ...]]:
  """Pass the cut gradients back: each part continues with what it received.

  Args:
    smashed: output of each part but the last.
    vjp_fns: functions from the gradient of an output to those of the part's
      parameters and input.
    cut_grads: cut gradients that the last part sends, `[B, ...]`.

  Returns:
    The parameter gradients of each part but the last, and each cut's exchange.
  """
  grads, exchanges = [], []
  for output, vjp_fn in reversed(list(zip(smashed, vjp_fns, strict=True))):
    exchanges.append(Exchange(output, cut_grads))
    part_grads, *to_previous = vjp_fn(cut_grads)
    grads.append(part_grads)
    if to_previous:
      (cut_grads,) = to_previous
  return tuple(reversed(grads)), tuple(reversed(exchanges))
