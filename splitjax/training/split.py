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
from splitjax.training.party_model import PartyModel
from splitjax.training.protection import Protection
from splitjax.training.protection import protect_each
from splitjax.training.sending import side_by_side
from splitjax.training.split_model import SplitModel as SplitModel

LossFn = losses.LossFn
PyTree = Any
Model = SplitModel | PartyModel


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
  model: Model,
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
  pairs = None
  if protection.pairs is not None:
    pairs = protection.pairs(keys.batch, len(inputs))
  if protection.batch is not None:
    inputs, labels = protection.batch(keys.batch, inputs, labels)
  if protection.labels is not None:
    labels = protection.labels(keys.labels, labels)

  protect_fn = None
  if protection.smashed is not None:
    protect_fn = functools.partial(
      protect_each, protection.smashed, keys.smashed
    )
  sent = model.send(
    params, state, inputs, key=keys.dropout, protect_fn=protect_fn
  )
  mean_loss_fn = functools.partial(
    _mean_loss, sent.last_fn, loss_fn, protection, state[-1]
  )
  last = _run_last_part(
    mean_loss_fn, keys, params[-1], sent.received, labels, protection
  )
  grads, cut_grads = sent.back_fn(last.cut_grads)
  return SplitGrads(
    loss=last.loss,
    grads=(*grads, last.grads),
    state=(*sent.state, last.state),
    exchanges=tuple(map(Exchange, sent.smashed, cut_grads)),
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
    cut_grads: cut gradients that the label party sends back, `[B, ...]`; of
      several parties a tuple.
    monitored: result of `Protection.monitor`, or None without a monitor.
  """

  loss: jax.Array
  grads: PyTree
  state: PyTree
  cut_grads: PyTree
  monitored: PyTree


def _mean_loss(
  last_fn: Callable[..., tuple[jax.Array, PyTree]],
  loss_fn: LossFn,
  protection: Protection,
  state: PyTree,
  params: PyTree,
  received: PyTree,
  labels: jax.Array,
) -> tuple[jax.Array, PyTree]:
  """Return the mean loss of the batch and the last part's new state."""
  logits, new_state = last_fn(params, state, received)
  if protection.loss is None:
    example_losses = loss_fn(logits, labels)
  else:
    if isinstance(received, tuple):  # Of several parties.
      one = len(received) == 1
      received = received[0] if one else side_by_side(received)
    example_losses = protection.loss(loss_fn, logits, received, labels)
  return jnp.mean(example_losses), new_state


def _run_last_part(
  mean_loss_fn: Callable[..., tuple[jax.Array, PyTree]],
  keys: _StepKeys,
  params: PyTree,
  received: PyTree,
  labels: jax.Array,
  protection: Protection,
) -> _LastPart:
  """Compute the loss, the last part's gradients, and what is sent back.

  Args:
    mean_loss_fn: `(params, smashed, labels) -> (loss, state)`.
    keys: random keys of the step.
    params: parameters of the last part.
    received: input of the last part, `[B, ...]`; of several parties a tuple.
    labels: labels of the batch.
    protection: defenses, by the place where each acts.

  Returns:
    The results of the last part.
  """
  at = (params, received, labels)
  (loss, state), (grads, cut_grads) = jax.value_and_grad(
    mean_loss_fn, argnums=(0, 1), has_aux=True
  )(*at)
  if protection.server_grads is not None:
    only_loss_fn = lambda *args: mean_loss_fn(*args)[0]
    grads = protection.server_grads(keys.server_grads, only_loss_fn, *at)
  monitored = None
  if protection.monitor is not None:
    monitored = _monitored(protection.monitor, cut_grads, labels)
  if protection.party_cut_grads is not None:
    cut_grads = _protect_together(
      protection.party_cut_grads, keys.cut_grads, cut_grads, labels
    )
  if protection.cut_grads is not None:
    cut_grads = protect_each(
      protection.cut_grads, keys.cut_grads, cut_grads, labels
    )
  return _LastPart(loss, grads, state, cut_grads, monitored)


def _monitored(
  monitor_fn: Callable[..., PyTree], cut_grads: PyTree, labels: jax.Array
) -> PyTree:
  """Return what is noted of gradients; nothing is noted of several parties.

  What a defense promises of one exchange does not hold for several together.
  """
  if not isinstance(cut_grads, tuple):
    return monitor_fn(cut_grads, labels)
  return monitor_fn(*cut_grads, labels) if len(cut_grads) == 1 else None


def _protect_together(
  protect_fn: Callable[..., Any],
  key: jax.Array,
  cut_grads: PyTree,
  labels: jax.Array,
) -> PyTree:
  """Protect the gradients of all parties together, each `[B, ...]`."""
  key = jax.random.fold_in(key, 1)  # The key itself is the next place's.
  if isinstance(cut_grads, tuple):
    return tuple(protect_fn(key, cut_grads, labels))
  (protected,) = protect_fn(key, (cut_grads,), labels)
  return protected
