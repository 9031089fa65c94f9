"""A recorder for PyTorch: hooks on the module before the cut.

It needs PyTorch, which splitjax does not install by itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import os
from types import TracebackType
from typing import Any, Self
import warnings

try:
  import torch
except ImportError:
  raise ImportError(
    "splitjax.integrations.torch needs PyTorch: pip install 'splitjax[torch]'"
  ) from None

import numpy as np

from splitjax.integrations import torch_capture
from splitjax.integrations import torch_tensors
from splitjax.records import cut_writer

__all__ = ['CutRecorder']


class CutRecorder:
  """Records what a module sends over the cut, and the gradient it gets back.

  The module is the part before the cut. While it trains, its output and the
  gradient that comes back for it are a row of the training part. In evaluation
  mode, or without gradients, its output is recorded as inference; an evaluation
  after more training replaces the one before.

  The gradient is taken where it enters the module in the backward pass, after
  what hooks and `backward(gradient)` made of it. A batch waits for it until the
  pass ends, so that several forward passes may come before one backward pass.
  Batches that got none, or one that is not finite (as `GradScaler` makes), are
  left out with a warning.

  Example:
    >>> import tempfile
    >>> bottom = torch.nn.Linear(4, 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   with CutRecorder(f'{folder}/cut', bottom) as recorder:
    ...     for epoch in range(2):
    ...       recorder.new_pass()
    ...       recorder.batch([7, 4], labels=[0, 1])
    ...       bottom(torch.ones(2, 4)).sum().backward()
  """

  def __init__(
    self,
    folder: str | os.PathLike,
    module: torch.nn.Module,
    *,
    metadata: Mapping[str, Any] | None = None,
    shard_rows: int = 4096,
    overwrite: bool = False,
    record: Sequence[str] = ('smashed', 'cut_grads'),
    output_index: int | str = 0,
    loss_scale: Callable[[], float] | None = None,
  ) -> None:
    """Prepare a recorder; the `with` statement starts it.

    Args:
      folder: folder of the record, new or empty.
      module: the part before the cut. Call it, not its `forward`.
      metadata: JSON values by name.
      shard_rows: rows that are buffered before they are written.
      overwrite: whether a cut record that is there is removed.
      record: what to record: 'smashed', 'cut_grads', and for baselines
        'untrained_smashed' (of a copy that is made when the recorder starts, in
        evaluation mode) and 'inputs' (the module's first argument).
      output_index: which output crosses, where the module returns several.
      loss_scale: returns what losses are multiplied with, such as `get_scale`
        of a `GradScaler`: gradients are recorded without it, in float32.

    Raises:
      ValueError: if `record` is empty or names something else.
    """
    self._capture = torch_capture.Capture(record, output_index)
    self._module = module
    self._settings = (folder, metadata, shard_rows, overwrite)
    self._names = frozenset(record)
    self._loss_scale = loss_scale
    self._writer: cut_writer.CutWriter | None = None
    self._hook: Any = None
    self._announced: torch_capture.Batch | None = None
    self._waiting: list[torch_capture.Batch] = []
    self._num_batches = 0
    self._evaluating = False
    self._paused = False

  def __enter__(self) -> Self:
    folder, metadata, shard_rows, overwrite = self._settings
    self._writer = cut_writer.CutWriter(
      folder, metadata=metadata, shard_rows=shard_rows, overwrite=overwrite
    )
    self._capture.start(self._module)
    self._hook = self._module.register_forward_hook(
      self._after_forward, with_kwargs=True
    )
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    self._hook.remove()
    self._hook = None
    try:
      self._drop_waiting(warn=error is None)
    finally:
      self._open_writer().close()

  def batch(
    self,
    sample_ids: Any,
    *,
    labels: Any = None,
    step: int | None = None,
    training: bool | None = None,
  ) -> None:
    """Announce the batch that the module's next forward pass is about.

    Args:
      sample_ids: id of each sample, integers `[n]`, a tensor, array or list; a
        sample has the same id in every pass. Row numbers of a shuffled batch
        are no ids: let the data set return the index too.
      labels: the truth, only for scoring, `[n]`.
      step: step at which the batch crosses; by default batches are counted.
      training: whether it is a batch of training; by default, if the module is
        in training mode and gradients are enabled.

    Raises:
      ValueError: if the batch before it was never seen by the module.
    """
    self._open_writer()
    if self._announced is not None:
      raise ValueError(
        'batch() must be followed by a forward pass, got another batch(): call '
        'the module itself, not its forward().'
      )
    self._announced = torch_capture.Batch(
      torch_tensors.to_numpy(sample_ids),
      None if labels is None else torch_tensors.to_numpy(labels),
      step,
      training,
    )

  def new_pass(self) -> None:
    """Begin a pass over the training samples, at the start of every epoch."""
    writer = self._open_writer()
    self._drop_waiting(warn=True)
    self._num_batches = 0
    writer.new_pass()

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Record nothing of the forward passes inside the `with` statement."""
    before, self._paused = self._paused, True
    try:
      yield
    finally:
      self._paused = before

  def _open_writer(self) -> cut_writer.CutWriter:
    """Return the writer, or raise ValueError outside of the `with`."""
    if self._writer is None:
      raise ValueError('CutRecorder must be used in a `with` statement.')
    return self._writer

  def _after_forward(
    self,
    module: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    output: Any,
  ) -> Any:
    """Take what the module sends; return what the program gets."""
    if self._paused:
      return output
    sent = self._capture.sent(output)
    if sent is output:
      sent = torch_tensors.own(sent)
    batch, self._announced = self._announced, None
    if batch is None:
      raise ValueError(
        'a forward pass must come after batch(sample_ids), once for each, got '
        'one without: use paused() for what does not cross the cut.'
      )
    if len(sent) != len(np.atleast_1d(batch.sample_ids)):
      raise ValueError(
        f'sample_ids must be {len(sent)}, one for each row that the module '
        f'returns, got {len(np.atleast_1d(batch.sample_ids))}.'
      )
    batch.arrays = self._capture.arrays(args, kwargs, sent)
    if batch.training is None:
      batch.training = module.training and torch.is_grad_enabled()
    if batch.training:
      self._train(batch, sent)
    elif 'smashed' in self._names:
      self._evaluate(batch)
    if sent.requires_grad and not batch.training:
      torch_tensors.on_gradient(sent, self._unexpected)
    return sent if isinstance(output, torch.Tensor) else output

  def _unexpected(self, grad: torch.Tensor) -> None:
    """Raise ValueError: a gradient that leaks must not go unseen."""
    if self._hook is not None:
      raise ValueError(
        'a module in evaluation mode must get no gradient, got one of shape '
        f'{tuple(grad.shape)}: say batch(sample_ids, training=True).'
      )

  def _evaluate(self, batch: torch_capture.Batch) -> None:
    """Record a batch of inference."""
    writer = self._open_writer()
    if not self._evaluating:
      writer.new_inference()
      self._evaluating = True
    writer.append_inference(
      batch.sample_ids, labels=batch.labels, **batch.arrays
    )

  def _train(self, batch: torch_capture.Batch, sent: torch.Tensor) -> None:
    """Record a batch of training, or wait for its gradient."""
    self._evaluating = False
    if batch.step is None:
      batch.step = self._num_batches
    self._num_batches += 1
    if 'cut_grads' not in self._names:
      self._append(batch)
      return
    if not sent.requires_grad:
      raise ValueError(
        'the output must require a gradient to record cut_grads, got one that '
        "does not: record=('smashed',) records what is sent alone."
      )
    self._waiting.append(batch)
    batch.hook = torch_tensors.on_gradient(
      sent, lambda grad: self._received(batch, grad)
    )

  def _received(self, batch: torch_capture.Batch, grad: torch.Tensor) -> None:
    """Record a batch whose gradient came."""
    if batch.done:
      raise ValueError(
        'a batch must get one gradient, got a second one: sum the losses and '
        'call backward() once.'
      )
    batch.done = True
    self._waiting = [x for x in self._waiting if x is not batch]
    value = torch_tensors.to_numpy(grad)
    if self._loss_scale is not None:
      value = value.astype(np.float32) / np.float32(self._loss_scale())
    if not np.isfinite(value).all():
      _warn('a batch whose gradient is not finite is not recorded.')
      return
    batch.arrays['cut_grads'] = value
    self._append(batch)

  def _append(self, batch: torch_capture.Batch) -> None:
    """Write a batch of training."""
    self._open_writer().append(
      batch.sample_ids, labels=batch.labels, step=batch.step, **batch.arrays
    )

  def _drop_waiting(self, *, warn: bool) -> None:
    """Forget the batches that got no gradient."""
    for batch in self._waiting:
      batch.hook.remove()
    number, self._waiting = len(self._waiting), []
    if warn and self._announced is not None:
      _warn('the last batch() was not followed by a forward pass.')
    self._announced = None
    if warn and number:
      _warn(
        f'batches that got no gradient are not recorded, {number} in this pass.'
      )


def _warn(message: str) -> None:
  """Warn about what is left out of a record."""
  warnings.warn(f'CutRecorder: {message}', RuntimeWarning, stacklevel=3)
