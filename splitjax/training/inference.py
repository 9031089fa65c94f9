"""Inference with a split model: what crosses its cuts, and its logits.

In shape descriptions `N` is the number of samples, `B` the batch size and `C`
the number of classes.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax.training import epochs
from splitjax.training import split
from splitjax.training.protection import Protection
from splitjax.training.protection import protect_each

PyTree = Any
# (smashed data of each cut) -> kept
RecordFn = Callable[[tuple[jax.Array, ...]], PyTree]


class Pass(NamedTuple):
  """The result of sending inputs through a model in evaluation mode.

  Attributes:
    recorded: what `record_fn` kept of the smashed data; leaves `[N, ...]`.
    logits: logits as the label party reads them, float32 `[N, C]`.
  """

  recorded: PyTree
  logits: jax.Array


def evaluate(
  train_state: epochs.TrainState,
  inputs: jax.Array,
  *,
  model: split.Model,
  record_fn: RecordFn | None = None,
  batch_size: int = 256,
  protection: Protection = Protection(),  # noqa: B008 (immutable)
  key: jax.Array | None = None,
) -> Pass:
  """Send inputs through a model without training it.

  Args:
    train_state: parameters and state of the model.
    inputs: inputs of the model, `[N, ...]`.
    model: the split model.
    record_fn: `smashed -> kept`, what to keep of a batch's smashed data (a
      tuple, one for each cut); leaves `[B, ...]`. Nothing is kept by default.
    batch_size: samples that are sent at a time, `B`.
    protection: the defense, of which `smashed` and `answers` act in inference.
    key: random key for the protection; None if it draws nothing.

  Returns:
    What was kept, and the logits.

  Example:
    >>> from flax import linen as nn
    >>> from splitjax import training
    >>> import optax
    >>> model = training.SplitModel((nn.Dense(8), nn.Dense(3)), cuts=(1,))
    >>> inputs = jnp.ones((5, 4))
    >>> train_state = training.init(
    ...   jax.random.key(0), inputs, model=model,
    ...   optimizers=[optax.sgd(0.1)] * 2,
    ... )
    >>> found = evaluate(
    ...   train_state, inputs, model=model, batch_size=2,
    ...   record_fn=lambda smashed: smashed[0],
    ... )
    >>> found.recorded.shape, found.logits.shape
    ((5, 8), (5, 3))
  """
  one_batch = functools.partial(
    _evaluate_batch, key, train_state, model, record_fn, protection
  )
  num_full = len(inputs) // batch_size
  full = inputs[: num_full * batch_size]
  rest = inputs[num_full * batch_size :]
  passes = []
  if num_full:
    batches = full.reshape(num_full, batch_size, *full.shape[1:])
    one = jax.lax.map(one_batch, (jnp.arange(num_full), batches))
    passes.append(jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), one))
  if len(rest):
    passes.append(one_batch((num_full, rest)))
  return jax.tree.map(lambda *parts: jnp.concatenate(parts), *passes)


def _evaluate_batch(
  key: jax.Array | None,
  train_state: epochs.TrainState,
  model: split.Model,
  record_fn: RecordFn | None,
  protection: Protection,
  index_and_inputs: tuple[jax.Array | int, jax.Array],
) -> Pass:
  """Send the batch of an index through the model."""
  index, x = index_and_inputs
  protect_fn = None
  if protection.smashed is not None:
    batch_key = None if key is None else jax.random.fold_in(key, index)
    protect_fn = functools.partial(protect_each, protection.smashed, batch_key)
  smashed, logits = model.infer(
    train_state.params, train_state.state, x, protect_fn=protect_fn
  )
  kept = None if record_fn is None else record_fn(smashed)
  logits = logits.astype(jnp.float32)
  if protection.answers is not None:
    logits = protection.answers(logits)
  return Pass(kept, logits)
