"""A step of training: one split step, after which every part updates itself.

In shape descriptions `B` is the batch size.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import optax

from splitjax.training import split

PyTree = Any


class TrainState(NamedTuple):
  """What the parties hold between steps.

  Attributes:
    params: parameters of each part, a tuple over parts.
    state: state of each part (batch statistics), a tuple over parts.
    opt_state: state of each part's optimizer, a tuple over parts.
  """

  params: tuple[PyTree, ...]
  state: tuple[PyTree, ...]
  opt_state: tuple[PyTree, ...]


def init(
  key: jax.Array,
  inputs: jax.Array,
  *,
  model: split.Model,
  optimizers: Sequence[optax.GradientTransformation],
) -> TrainState:
  """Draw a model and start one optimizer for each part.

  Args:
    key: random key for the parameters.
    inputs: example inputs `[B, ...]`; only their shape and type matter.
    model: the split model.
    optimizers: optimizer of each part, in order.

  Returns:
    The state before the first step.

  Raises:
    ValueError: if there are not as many optimizers as parts.

  Example:
    >>> from flax import linen as nn
    >>> model = split.SplitModel((nn.Dense(8), nn.Dense(3)), cuts=(1,))
    >>> train_state = init(
    ...   jax.random.key(0), jax.numpy.ones((4, 5)), model=model,
    ...   optimizers=[optax.sgd(0.1), optax.adam(0.1)],
    ... )
    >>> len(train_state.params), len(train_state.opt_state)
    (2, 2)
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
  """Take one split step, and update every part.

  Args:
    key: random key of the step, for dropout and for the protection.
    train_state: state before the step.
    inputs: inputs of the batch, `[B, ...]`.
    labels: labels of the batch, `[B]` or soft labels `[B, C]`.
    optimizers: optimizer of each part, in order.
    **split_kwargs: keyword arguments of `split.split_grads`.

  Returns:
    The state after the step, and the gradients and exchanges of the step.

  Example:
    >>> from flax import linen as nn
    >>> import jax.numpy as jnp
    >>> model = split.SplitModel((nn.Dense(8), nn.Dense(2)), cuts=(1,))
    >>> optimizers = [optax.sgd(0.1)] * 2
    >>> inputs, labels = jnp.ones((4, 5)), jnp.array([0, 1, 1, 1])
    >>> before = init(
    ...   jax.random.key(0), inputs, model=model, optimizers=optimizers
    ... )
    >>> after, step = train_step(
    ...   jax.random.key(1), before, inputs, labels, model=model,
    ...   optimizers=optimizers,
    ... )
    >>> again = split.split_grads(
    ...   jax.random.key(1), after.params, after.state, inputs, labels,
    ...   model=model,
    ... )
    >>> bool(again.loss < step.loss)
    True
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
