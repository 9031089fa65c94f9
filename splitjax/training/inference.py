"""Inference with a split model: what crosses its cuts, and what it answers.

In shape descriptions `N` is the number of samples, `B` those of a batch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax.training import epochs
from splitjax.training import split
from splitjax.training.protection import Protection

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
  train_state: epochs.TrainState,
  inputs: jax.Array,
  *,
  model: split.SplitModel,
  record_fn: Callable[[tuple[jax.Array, ...]], PyTree] | None = None,
  batch_size: int = 256,
  protection: Protection = Protection(),  # noqa: B008 (immutable)
  key: jax.Array | None = None,
) -> Pass:
  """Send inputs through a model without training it.

  Args:
    train_state: the model's parameters and state.
    inputs: `[N, ...]`.
    model: the split model.
    record_fn: what to keep of a batch's smashed data (one for each cut); leaves
      `[B, ...]`. Nothing is kept by default.
    batch_size: samples at a time.
    protection: of what crosses in inference: `smashed` and `answers`.
    key: of its draws, if it draws.

  Returns:
    What was kept, and the logits as the label party reads them.
  """

  def one_batch(index_and_batch: tuple[jax.Array | int, jax.Array]) -> Pass:
    index, x = index_and_batch
    smashed = []
    for part in range(len(model.bounds)):
      x, _ = model.apply_part(
        part, train_state.params[part], train_state.state[part], x
      )
      if part == 0 and protection.smashed is not None:
        batch_key = None if key is None else jax.random.fold_in(key, index)
        x = protection.smashed(batch_key, x)
      smashed.append(x)
    kept = None if record_fn is None else record_fn(tuple(smashed[:-1]))
    logits = smashed[-1].astype(jnp.float32)
    if protection.answers is not None:
      logits = protection.answers(logits)
    return Pass(kept, logits)

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
