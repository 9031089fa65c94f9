"""The fit of a surrogate top model, and of what each sample has, by Adam.

In shape descriptions `N` is the number of samples, `B` that of a batch and `T`
the number of epochs.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

LossFn = Callable[[jax.Array, jax.Array, Any, jax.Array, jax.Array], jax.Array]


class _State(NamedTuple):
  """What a step changes: parameters and states of their optimizers."""

  top: Any
  top_state: optax.OptState
  labels: jax.Array
  label_state: optax.OptState


def fit(
  key: jax.Array,
  top: Any,
  labels: jax.Array,
  loss_fn: LossFn,
  *,
  num_epochs: int,
  batch_size: int,
  learning_rate: float,
  label_learning_rate: float = 0.0,
) -> tuple[Any, jax.Array, jax.Array]:
  """Minimise a loss over a top model and over what each sample has, by Adam.

  Each sample's row of `labels` has an optimizer of its own, so that it moves
  only in the one step of an epoch that the sample is in, however many batches
  there are. The last batch of an epoch is filled up with samples of the first.

  Args:
    key: random key for the order of the samples and for what `loss_fn` draws.
    top: parameters that all samples share.
    labels: parameters of each sample, `[N, ...]`; `[N, 0]` for none.
    loss_fn: function `(key, progress, top, labels, rows)` to the mean loss of a
      batch, of a key, the share of the epochs done in [0, 1), `top`, the labels
      of the batch `[B, ...]` and its row numbers `[B]`.
    num_epochs: number of epochs `T`.
    batch_size: largest number of samples of a step; batches are made even.
    learning_rate: learning rate of `top`.
    label_learning_rate: learning rate of `labels`.

  Returns:
    The fitted `top` and `labels`, and the mean loss of each epoch `[T]`.
  """
  num_batches = -(-len(labels) // batch_size)
  optimizers = optax.adam(learning_rate), optax.adam(label_learning_rate)
  step_fn = functools.partial(_step, loss_fn, optimizers)

  def epoch(
    state: _State, inputs: tuple[jax.Array, jax.Array]
  ) -> tuple[_State, jax.Array]:
    key_epoch, progress = inputs
    key_order, key_steps = jax.random.split(key_epoch)
    batches = _draw_batches(key_order, len(labels), num_batches)
    keys = jax.random.split(key_steps, num_batches)
    one_step = functools.partial(step_fn, progress)
    state, losses = jax.lax.scan(one_step, state, (keys, batches))
    return state, jnp.mean(losses)

  label_state = jax.vmap(optimizers[1].init)(labels)
  state = _State(top, optimizers[0].init(top), labels, label_state)
  keys = jax.random.split(key, num_epochs)
  state, losses = jax.lax.scan(
    epoch, state, (keys, jnp.arange(num_epochs) / num_epochs)
  )
  return state.top, state.labels, losses


def _draw_batches(key: jax.Array, num: int, num_batches: int) -> jax.Array:
  """Draw an order of the samples, cut into batches `[num_batches, B]`."""
  order = jax.random.permutation(key, num)
  return jnp.resize(order, (num_batches, -(-num // num_batches)))


def _step(
  loss_fn: LossFn,
  optimizers: tuple[optax.GradientTransformation, ...],
  progress: jax.Array,
  state: _State,
  inputs: tuple[jax.Array, jax.Array],
) -> tuple[_State, jax.Array]:
  """Take one step on a batch, and return its loss."""
  top_optimizer, label_optimizer = optimizers
  key_step, rows = inputs
  all_rows = state.labels, state.label_state
  own, own_state = jax.tree.map(lambda x: x[rows], all_rows)
  loss, (top_grads, own_grads) = jax.value_and_grad(loss_fn, (2, 3))(
    key_step, progress, state.top, own, rows
  )
  updates, top_state = top_optimizer.update(top_grads, state.top_state)
  top = optax.apply_updates(state.top, updates)
  updates, own_state = jax.vmap(label_optimizer.update)(
    own_grads * len(rows), own_state
  )
  own = optax.apply_updates(own, updates)
  labels, label_state = jax.tree.map(
    lambda x, new: x.at[rows].set(new), all_rows, (own, own_state)
  )
  return _State(top, top_state, labels, label_state), loss
