"""Training of a split model: pure functions of a key and of hyperparameters.

Nothing here is jitted: the caller composes (`jax.jit(jax.vmap(...))` over keys,
learning rates or defense strengths) and compiles once. In shape descriptions
`N` is the number of samples, `B` the batch size, `T` the steps of an epoch.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from splitjax.training import split
from splitjax.training.keys import epoch_key as epoch_key
from splitjax.training.keys import init_key as init_key
from splitjax.training.protection import Protection
from splitjax.training.protection import draw_stored_labels
from splitjax.training.sending import side_by_side
from splitjax.training.steps import TrainState as TrainState
from splitjax.training.steps import init as init
from splitjax.training.steps import train_step as train_step

PyTree = Any
Exchanges = tuple[split.Exchange, ...]
AugmentFn = Callable[[jax.Array, jax.Array], jax.Array]
RecordFn = Callable[[Exchanges], PyTree]
ObserveFn = Callable[[PyTree, Exchanges], tuple[PyTree, PyTree]]


class EpochLog(NamedTuple):
  """The record of one pass over the data, in the order of its samples.

  Attributes:
    positions: row of the data that each sample has, `[N]`.
    steps: step at which each sample was used, from 0, `[N]`.
    losses: mean loss of each step, `[T]`.
    recorded: what `record_fn` or `observe_fn` kept of each sample; leaves
      `[N, ...]`.
    monitored: result of `Protection.monitor` at each step; leaves `[T, ...]`.
    seen: what `observe_fn` carries on after the last step.
    pairs: the weight of each sample in its mixture and the row of its partner,
      `[N]` each; None where nothing is mixed.
  """

  positions: jax.Array
  steps: jax.Array
  losses: jax.Array
  recorded: PyTree
  monitored: PyTree = None
  seen: PyTree = None
  pairs: tuple[jax.Array, jax.Array] | None = None


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

  If the batch size does not divide `N`, the last step has a smaller batch. No
  sample is left out and none is padded, so batch statistics are exact.

  Args:
    key: random key of the epoch, for the order of the data, dropout and the
      protection.
    train_state: state before the epoch.
    inputs: inputs of the training set, `[N, ...]`.
    labels: labels of the training set, `[N]` or soft labels `[N, C]`.
    batch_size: samples of a step, between 1 and `N`.
    record_fn: `exchanges -> kept`, what to keep of a step's exchanges (one for
      each cut); leaves `[B, ...]`. Nothing is kept by default.
    observe_fn: `(seen, exchanges) -> (seen, kept)`, for an observer that
      carries something from step to step; replaces `record_fn`.
    seen: what `observe_fn` gets in the first step.
    augment_fn: `(key, inputs) -> inputs`, a random change of each batch.
    **step_kwargs: further keyword arguments of `train_step`.

  Returns:
    The state after the epoch, and its log.

  Raises:
    ValueError: if `batch_size` is out of range.

  Example:
    >>> from flax import linen as nn
    >>> model = split.SplitModel((nn.Dense(8), nn.Dense(3)), cuts=(1,))
    >>> kwargs = dict(model=model, optimizers=[optax.sgd(0.1)] * 2)
    >>> inputs, labels = jnp.ones((5, 4)), jnp.array([0, 1, 2, 0, 1])
    >>> train_state = init(jax.random.key(0), inputs, **kwargs)
    >>> train_state, log = train_epoch(
    ...   jax.random.key(1), train_state, inputs, labels, batch_size=2,
    ...   record_fn=lambda exchanges: exchanges[0].cut_grads, **kwargs,
    ... )
    >>> log.steps.tolist(), log.losses.shape, log.recorded.shape
    ([0, 0, 1, 1, 2], (3,), (5, 8))
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
    observe_fn = _observe_by(record_fn)

  def step(
    carry: tuple[TrainState, PyTree], step_input: tuple[jax.Array, jax.Array]
  ) -> tuple[tuple[TrainState, PyTree], _StepLog]:
    train_state, seen = carry
    index, batch = step_input
    key_step, batch_inputs = jax.random.fold_in(key_steps, index), inputs[batch]
    if augment_fn is not None:
      key_step, key_augment = jax.random.split(key_step)
      batch_inputs = augment_fn(key_augment, batch_inputs)
    train_state, result = train_step(
      key_step, train_state, batch_inputs, labels[batch], **step_kwargs
    )
    seen, kept = observe_fn(seen, result.exchanges)
    pairs = result.pairs
    if pairs is not None:
      pairs = pairs[0], batch[pairs[1]]
    log = _StepLog(result.loss, (kept, pairs), result.monitored)
    return (train_state, seen), log

  (train_state, seen), steps_log = _run_batches(
    step, (train_state, seen), positions, batch_size
  )
  steps = jnp.arange(num_samples) // batch_size
  losses, (recorded, pairs), monitored = steps_log
  return train_state, EpochLog(
    positions, steps, losses, recorded, monitored, seen, pairs
  )


class _StepLog(NamedTuple):
  """What a step adds to the log of its epoch.

  Attributes:
    losses: mean loss of the batch.
    recorded: what was kept of each sample of the batch, and its pair.
    monitored: result of `Protection.monitor`.
  """

  losses: jax.Array
  recorded: PyTree
  monitored: PyTree


def _observe_by(record_fn: RecordFn | None) -> ObserveFn:
  """Return an observer that carries nothing on and keeps what is recorded."""
  record_fn = record_fn or (lambda exchanges: None)
  return lambda seen, exchanges: (seen, record_fn(exchanges))


def _run_batches(
  step_fn: Callable[[PyTree, PyTree], tuple[PyTree, _StepLog]],
  carry: PyTree,
  positions: jax.Array,
  batch_size: int,
) -> tuple[PyTree, _StepLog]:
  """Take a step on every full batch in one loop, then one on the rest.

  Args:
    step_fn: `(carry, (index, batch)) -> (carry, log)`; `index` is the number of
      the step, and `batch` the positions of its samples.
    carry: what the first step gets.
    positions: rows of the data in the order of their use, `[N]`.
    batch_size: samples of a full batch.

  Returns:
    What the last step carries on, and the joined logs of all steps.
  """
  num_full, rest = divmod(len(positions), batch_size)
  full = positions[: num_full * batch_size].reshape(num_full, batch_size)
  carry, (losses, recorded, monitored) = jax.lax.scan(
    step_fn, carry, (jnp.arange(num_full), full)
  )
  recorded = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), recorded)
  if rest:
    carry, (loss, kept, noted) = step_fn(
      carry, (num_full, positions[num_full * batch_size :])
    )
    losses = jnp.append(losses, loss)
    recorded = jax.tree.map(lambda *xs: jnp.concatenate(xs), recorded, kept)
    monitored = jax.tree.map(
      lambda xs, x: jnp.concatenate([xs, x[None]]), monitored, noted
    )
  return carry, _StepLog(losses, recorded, monitored)


def train(
  key: jax.Array,
  inputs: jax.Array,
  labels: jax.Array,
  *,
  num_epochs: int,
  batch_size: int,
  record_fn: RecordFn | None = None,
  optimizers: Sequence[optax.GradientTransformation],
  model: split.Model,
  protection: Protection = Protection(),  # noqa: B008 (immutable)
  **step_kwargs: Any,
) -> tuple[TrainState, EpochLog, jax.Array]:
  """Train a model from initialisation.

  Equal to `init` with `init_key(key)`, then `train_epoch` with `epoch_key(key,
  epoch)` for every epoch, on the labels of `draw_stored_labels`. To train
  several models, `jax.vmap` it over keys.

  Args:
    key: random key of the run.
    inputs: inputs of the training set, `[N, ...]`.
    labels: labels of the training set, `[N]`.
    num_epochs: passes over the data, at least one.
    batch_size: samples of a step, between 1 and `N`.
    record_fn: `exchanges -> kept`, what to keep of the exchanges of each step
      of the first pass; leaves `[B, ...]`. Nothing is kept by default.
    optimizers: optimizer of each part, in order.
    model: the split model.
    protection: defenses, by the place where each acts.
    **step_kwargs: further keyword arguments of `train_step`.

  Returns:
    The trained state, the log of the first pass, and the mean losses of all
    steps, `[num_epochs, T]`.

  Raises:
    ValueError: if `num_epochs` or `batch_size` is out of range.

  Example:
    >>> from flax import linen as nn
    >>> model = split.SplitModel((nn.Dense(8), nn.Dense(2)), cuts=(1,))
    >>> train_state, log, losses = train(
    ...   jax.random.key(0), jnp.eye(4), jnp.array([0, 1, 0, 1]),
    ...   num_epochs=20, batch_size=4, model=model,
    ...   optimizers=[optax.sgd(0.5)] * 2,
    ... )
    >>> losses.shape, bool(losses[-1, 0] < losses[0, 0])
    ((20, 1), True)
  """
  if num_epochs < 1:
    raise ValueError(f'num_epochs must be at least 1, got {num_epochs}.')
  train_state = init(init_key(key), inputs, model=model, optimizers=optimizers)
  smashed_fn = lambda: side_by_side(
    model.infer(train_state.params, train_state.state, inputs)[0]
  )
  labels = draw_stored_labels(key, labels, protection, smashed_fn)
  run_epoch = functools.partial(
    train_epoch,
    inputs=inputs,
    labels=labels,
    batch_size=batch_size,
    optimizers=optimizers,
    model=model,
    protection=protection,
    **step_kwargs,
  )
  train_state, log = run_epoch(
    epoch_key(key, 0), train_state, record_fn=record_fn
  )

  def next_epoch(
    train_state: TrainState, epoch: jax.Array
  ) -> tuple[TrainState, jax.Array]:
    train_state, epoch_log = run_epoch(epoch_key(key, epoch), train_state)
    return train_state, epoch_log.losses

  train_state, later = jax.lax.scan(
    next_epoch, train_state, jnp.arange(1, num_epochs)
  )
  losses = jnp.concatenate([log.losses[None], later])
  return train_state, log, losses
