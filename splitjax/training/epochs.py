"""Training a split model: pure functions of a key and of hyperparameters.

Nothing here is jitted: the caller composes (`jax.jit(jax.vmap(...))` over keys,
learning rates or defense strengths) and compiles once. In shape descriptions
`N` is the number of samples, `B` the batch size, `T` the steps of an epoch.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from splitjax.training import split
from splitjax.training.keys import epoch_key as epoch_key
from splitjax.training.keys import init_key as init_key
from splitjax.training.protection import Protection
from splitjax.training.protection import draw_stored_labels

PyTree = Any
AugmentFn = Callable[[jax.Array, jax.Array], jax.Array]
RecordFn = Callable[[tuple[split.Exchange, ...]], PyTree]
ObserveFn = Callable[
  [PyTree, tuple[split.Exchange, ...]], tuple[PyTree, PyTree]
]


class TrainState(NamedTuple):
  """What the parties hold between steps, each a tuple over parts."""

  params: tuple[PyTree, ...]
  state: tuple[PyTree, ...]
  opt_state: tuple[PyTree, ...]


class EpochLog(NamedTuple):
  """What happened in one pass over the data, in the order it happened.

  Attributes:
    positions: which row of the data each sample was, `[N]`.
    steps: the step at which each sample was used, from 0, `[N]`.
    losses: the mean loss of each step, `[T]`.
    recorded: what `record_fn` kept of each sample; leaves `[N, ...]`.
    monitored: what `Protection.monitor` noted of each step; leaves `[T, ...]`.
    seen: what an observer carries on after the last step.
  """

  positions: jax.Array
  steps: jax.Array
  losses: jax.Array
  recorded: PyTree
  monitored: PyTree = None
  seen: PyTree = None


def init(
  key: jax.Array,
  inputs: jax.Array,
  *,
  model: split.SplitModel,
  optimizers: Sequence[optax.GradientTransformation],
) -> TrainState:
  """Draw a model and start one optimizer for each part.

  Args:
    key: the random key.
    inputs: example inputs `[B, ...]`; only their shape and type matter.
    model: the split model.
    optimizers: one for each part.

  Returns:
    The state before the first step.
  """
  params, state = model.init(key, inputs)
  opt_state = tuple(
    optimizer.init(part_params)
    for optimizer, part_params in zip(optimizers, params, strict=True)
  )
  return TrainState(params, state, opt_state)


def train_step(
  key: jax.Array,
  train_state: TrainState,
  inputs: jax.Array,
  labels: jax.Array,
  *,
  optimizers: Sequence[optax.GradientTransformation],
  **split_kwargs: Any,
) -> tuple[TrainState, split.SplitGrads]:
  """Take one step of the protocol, after which every part updates itself.

  Args:
    key: the step's key.
    train_state: the state before the step.
    inputs: `[B, ...]`.
    labels: `[B]`.
    optimizers: one for each part.
    **split_kwargs: the keyword arguments of `split.split_grads`.

  Returns:
    The state after the step, and what the step computed.
  """
  result = split.split_grads(
    key,
    train_state.params,
    train_state.state,
    inputs,
    labels,
    **split_kwargs,
  )
  params, opt_state = [], []
  for optimizer, grads, part_opt_state, part_params in zip(
    optimizers,
    result.grads,
    train_state.opt_state,
    train_state.params,
    strict=True,
  ):
    updates, part_opt_state = optimizer.update(
      grads, part_opt_state, part_params
    )
    params.append(optax.apply_updates(part_params, updates))
    opt_state.append(part_opt_state)
  new_state = TrainState(tuple(params), result.state, tuple(opt_state))
  return new_state, result


def train_epoch(
  key: jax.Array,
  train_state: TrainState,
  inputs: jax.Array,
  labels: jax.Array,
  *,
  batch_size: int,
  record_fn: RecordFn | None = None,
  observe_fn: ObserveFn | None = None,
  seen: PyTree = None,
  augment_fn: AugmentFn | None = None,
  **step_kwargs: Any,
) -> tuple[TrainState, EpochLog]:
  """Train for one pass over the data in a random order.

  A last batch that is not full is one more, smaller step: no sample is lost
  and none is padded, so that batch statistics are exact.

  Args:
    key: the epoch's key: order of the data, dropout and protection.
    train_state: the state before the epoch.
    inputs: `[N, ...]`.
    labels: `[N]`, or soft labels `[N, C]`.
    batch_size: samples a step, at most `N`.
    record_fn: what to keep of a step's exchanges (one for each cut); leaves
      `[B, ...]`. Nothing is kept by default.
    observe_fn: `(seen, exchanges) -> (seen, kept)`, instead, of an observer who
      carries something from step to step.
    seen: what it carries into the first step.
    augment_fn: `(key, inputs) -> inputs`, random changes of each batch.
    **step_kwargs: the keyword arguments of `train_step`.

  Returns:
    The state after the epoch, and its log.

  Raises:
    ValueError: if the batch is not between 1 and `N`.
  """
  num_samples = len(labels)
  if not 1 <= batch_size <= num_samples:
    raise ValueError(
      f'batch_size must be between 1 and the {num_samples} samples, got '
      f'{batch_size=}.'
    )
  key_order, key_steps = jax.random.split(key)
  positions = jax.random.permutation(key_order, num_samples)
  if observe_fn is None:
    record_fn = record_fn or (lambda exchanges: None)
    observe_fn = lambda seen, exchanges: (seen, record_fn(exchanges))

  def step(carry: PyTree, step_input: PyTree) -> tuple[PyTree, PyTree]:
    train_state, seen = carry
    index, batch = step_input
    key_step, batch_inputs = jax.random.fold_in(key_steps, index), inputs[batch]
    if augment_fn is not None:
      key_step, key_augment = jax.random.split(key_step)
      batch_inputs = augment_fn(key_augment, batch_inputs)
    train_state, result = train_step(
      key_step,
      train_state,
      batch_inputs,
      labels[batch],
      **step_kwargs,
    )
    seen, kept = observe_fn(seen, result.exchanges)
    return (train_state, seen), (result.loss, kept, result.monitored)

  num_full, rest = divmod(num_samples, batch_size)
  full = positions[: num_full * batch_size].reshape(num_full, batch_size)
  carry, (losses, recorded, monitored) = jax.lax.scan(
    step, (train_state, seen), (jnp.arange(num_full), full)
  )
  recorded = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), recorded)
  if rest:
    carry, (loss, kept, noted) = step(
      carry, (num_full, positions[num_full * batch_size :])
    )
    losses = jnp.append(losses, loss)
    recorded = jax.tree.map(lambda *xs: jnp.concatenate(xs), recorded, kept)
    monitored = jax.tree.map(
      lambda xs, x: jnp.concatenate([xs, x[None]]), monitored, noted
    )
  steps = jnp.arange(num_samples) // batch_size
  train_state, seen = carry
  log = EpochLog(positions, steps, losses, recorded, monitored, seen)
  return train_state, log


def train(
  key: jax.Array,
  inputs: jax.Array,
  labels: jax.Array,
  *,
  num_epochs: int,
  batch_size: int,
  record_fn: RecordFn | None = None,
  optimizers: Sequence[optax.GradientTransformation],
  model: split.SplitModel,
  protection: Protection = Protection(),  # noqa: B008 (immutable)
  **step_kwargs: Any,
) -> tuple[TrainState, EpochLog, jax.Array]:
  """Train from initialisation; `jax.vmap` it over keys.

  Equal to `init` and then `train_epoch` with `epoch_key(key, epoch)`, on the
  labels of `draw_stored_labels`.

  Args:
    key: the run's key.
    inputs: `[N, ...]`.
    labels: `[N]`.
    num_epochs: passes over the data, at least one.
    batch_size: samples a step.
    record_fn: what to keep of the first pass; see `train_epoch`.
    optimizers: one for each part.
    model: the split model.
    protection: the defenses.
    **step_kwargs: further keyword arguments of `train_step`.

  Returns:
    The trained state, the log of the first pass, and the losses
    `[num_epochs, T]`.

  Raises:
    ValueError: if there is no epoch, or a batch as in `train_epoch`.
  """
  if num_epochs < 1:
    raise ValueError(f'num_epochs must be at least 1, got {num_epochs}.')
  kwargs: dict[str, Any] = dict(
    step_kwargs,
    batch_size=batch_size,
    optimizers=optimizers,
    model=model,
    protection=protection,
  )
  labels = draw_stored_labels(key, labels, protection)
  train_state = init(init_key(key), inputs, model=model, optimizers=optimizers)
  train_state, log = train_epoch(
    epoch_key(key, 0),
    train_state,
    inputs,
    labels,
    record_fn=record_fn,
    **kwargs,
  )

  def epoch_fn(
    train_state: TrainState, epoch: jax.Array
  ) -> tuple[TrainState, jax.Array]:
    train_state, epoch_log = train_epoch(
      epoch_key(key, epoch), train_state, inputs, labels, **kwargs
    )
    return train_state, epoch_log.losses

  train_state, later = jax.lax.scan(
    epoch_fn, train_state, jnp.arange(1, num_epochs)
  )
  losses = jnp.concatenate([log.losses[None], later])
  return train_state, log, losses
