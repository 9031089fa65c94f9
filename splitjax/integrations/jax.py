"""A recorder for training loops in JAX, and the cut as one `jax.vjp`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from splitjax.records import cut_writer

__all__ = ['CutRecorder', 'Crossed', 'split_grads']

PyTree = Any


class CutRecorder(cut_writer.CutWriter):
  """Records what crosses a cut in a training loop of JAX.

  It is `records.CutWriter`, and takes arrays of JAX too. Call it outside of
  `jax.jit`, with what the jitted step returns.

  Example:
    >>> import tempfile
    >>> import jax.numpy as jnp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   with CutRecorder(f'{folder}/cut') as recorder:
    ...     for epoch in range(2):
    ...       recorder.new_pass()
    ...       recorder.record([7, 4], cut_grads=jnp.ones((2, 3)))
  """

  def record(
    self,
    sample_ids: Any,
    *,
    smashed: jax.Array | None = None,
    cut_grads: jax.Array | None = None,
    untrained_smashed: jax.Array | None = None,
    inputs: jax.Array | None = None,
    labels: Any = None,
    step: int | None = None,
  ) -> None:
    """Record a batch of the training.

    Args:
      sample_ids: id of each row's sample, integers `[n]`; a sample has the same
        id in every pass, and comes once in a pass.
      smashed: the cut layer's output, as sent, `[n, ...]`.
      cut_grads: gradients at the cut, as received, `[n, ...]`.
      untrained_smashed: output of the client before it was trained, `[n, ...]`.
      inputs: the client's own inputs, `[n, ...]`.
      labels: the truth, only for scoring, `[n]`.
      step: step at which the batch crossed; by default batches are counted.

    Raises:
      ValueError: if an array does not belong into this pass, or is traced.
    """
    _check_concrete(sample_ids, smashed, cut_grads, untrained_smashed, inputs)
    self.append(
      sample_ids,
      smashed=smashed,
      cut_grads=cut_grads,
      untrained_smashed=untrained_smashed,
      inputs=inputs,
      labels=labels,
      step=step,
    )

  def record_inference(
    self,
    sample_ids: Any,
    *,
    smashed: jax.Array,
    untrained_smashed: jax.Array | None = None,
    inputs: jax.Array | None = None,
    labels: Any = None,
  ) -> None:
    """Record a batch that the trained model was asked about.

    Args:
      sample_ids: ids, integers `[n]`; they are apart from those of training.
      smashed: the cut layer's output, as sent, `[n, ...]`.
      untrained_smashed: output of the client before it was trained, `[n, ...]`.
      inputs: the client's own inputs, `[n, ...]`.
      labels: the truth, only for scoring, `[n]`.

    Raises:
      ValueError: if an array does not belong into this record, or is traced.
    """
    _check_concrete(sample_ids, smashed, untrained_smashed, inputs)
    self.append_inference(
      sample_ids,
      smashed=smashed,
      untrained_smashed=untrained_smashed,
      inputs=inputs,
      labels=labels,
    )


def _check_concrete(*values: Any) -> None:
  """Raise ValueError inside of `jax.jit`, where nothing can be written."""
  if any(isinstance(value, jax.core.Tracer) for value in values):
    raise ValueError(
      'arrays must be those that a jitted function returned, got a tracer: '
      'record outside of jax.jit.'
    )


class Crossed(NamedTuple):
  """A step of split training.

  Attributes:
    loss: mean loss of the batch.
    client_grads: gradients of the client's parameters.
    server_grads: gradients of the server's parameters.
    smashed: the cut layer's output, as sent, `[B, ...]`.
    cut_grads: gradients at the cut, as received, `[B, ...]`.
  """

  loss: jax.Array
  client_grads: PyTree
  server_grads: PyTree
  smashed: jax.Array
  cut_grads: jax.Array


def split_grads(
  client_fn: Callable[[PyTree, jax.Array], jax.Array],
  server_loss_fn: Callable[[PyTree, jax.Array, jax.Array], jax.Array],
  client_params: PyTree,
  server_params: PyTree,
  inputs: jax.Array,
  labels: jax.Array,
) -> Crossed:
  """Compute the gradients of both parties, and what crossed between them.

  Args:
    client_fn: `(client_params, inputs) -> smashed`.
    server_loss_fn: `(server_params, smashed, labels) -> mean loss`.
    client_params: parameters before the cut.
    server_params: parameters after the cut.
    inputs: inputs of the batch, `[B, ...]`.
    labels: labels of the batch, `[B]`.

  Returns:
    Loss, gradients and what crossed. It may be jitted.

  Example:
    >>> crossed = split_grads(
    ...   lambda p, x: p * x, lambda p, h, y: (p * h.sum() - y.sum()) ** 2,
    ...   2.0, 3.0, jax.numpy.ones((1, 1)), jax.numpy.ones(1),
    ... )
    >>> float(crossed.loss), crossed.cut_grads.tolist()
    (25.0, [[30.0]])
  """
  smashed, client_vjp = jax.vjp(lambda p: client_fn(p, inputs), client_params)
  loss, (server_grads, cut_grads) = jax.value_and_grad(
    server_loss_fn, argnums=(0, 1)
  )(server_params, smashed, labels)
  (client_grads,) = client_vjp(cut_grads)
  return Crossed(loss, client_grads, server_grads, smashed, cut_grads)
