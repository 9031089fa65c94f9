"""Inference with a split model: what crosses its cuts, and what it answers.

In shape descriptions `N` is the number of samples, `B` those of a batch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax import split
from splitjax import training

PyTree = Any


class Pass(NamedTuple):
  """What a model in evaluation mode makes of inputs.

  Attributes:
    recorded: what `record_fn` kept of what crossed the cuts; leaves `[N, ...]`.
    logits: `[N, C]`, float32.
  """

  recorded: PyTree
  logits: jax.Array


def evaluate(
  train_state: training.TrainState,
  inputs: jax.Array,
  *,
  model: split.SplitModel,
  record_fn: Callable[[tuple[jax.Array, ...]], PyTree] | None = None,
  batch_size: int = 256,
) -> Pass:
  """Sends inputs through a model without training it, undefended.

  Args:
    train_state: the model's parameters and state.
    inputs: `[N, ...]`.
    model: the split model.
    record_fn: what to keep of a batch's smashed data (one for each cut); leaves
      `[B, ...]`. Nothing is kept by default.
    batch_size: samples at a time.

  Returns:
    What was kept, and the logits.
  """

  def one_batch(batch):
    x, smashed = batch, []
    for part in range(len(model.bounds)):
      x, _ = model.apply_part(
        part, train_state.params[part], train_state.state[part], x
      )
      smashed.append(x)
    kept = None if record_fn is None else record_fn(tuple(smashed[:-1]))
    return Pass(kept, smashed[-1].astype(jnp.float32))

  num_full = len(inputs) // batch_size
  full = inputs[: num_full * batch_size]
  rest = inputs[num_full * batch_size :]
  passes = []
  if num_full:
    one = jax.lax.map(
      one_batch, full.reshape(num_full, batch_size, *full.shape[1:])
    )
    passes.append(jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), one))
  if len(rest):
    passes.append(one_batch(rest))
  return jax.tree.map(lambda *parts: jnp.concatenate(parts), *passes)
