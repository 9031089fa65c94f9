"""Writing of cut records, batch by batch; `cut_record` reads them."""

from collections.abc import Mapping
import os
import pathlib
from types import TracebackType
from typing import Any, Self

import ml_dtypes
import numpy as np
from numpy import typing as npt

from splitjax import files
from splitjax.records import cut_folder
from splitjax.records import cut_format
from splitjax.records import cut_part

Arrays = cut_part.Arrays


class CutWriter:
  """Writes what crosses a cut as a cut record, version 1.

  A shard is written once `shard_rows` rows are there, so that a program that is
  killed loses less than a shard. Use it in a `with` statement: what is buffered
  is written at its end, also after an exception.

  Example:
    >>> import tempfile
    >>> from splitjax.records import cut_record
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   with CutWriter(f'{folder}/cut', metadata={'cut': 2}) as writer:
    ...     for epoch in range(2):
    ...       writer.new_pass()
    ...       writer.append([7, 4], cut_grads=np.ones((2, 3)), labels=[0, 1])
    ...   record = cut_record.read_cut_record(f'{folder}/cut')
    ...   len(record.passes), record.passes[1].sample_ids.tolist()
    (2, [7, 4])
  """

  def __init__(
    self,
    folder: str | os.PathLike,
    *,
    metadata: Mapping[str, Any] | None = None,
    shard_rows: int = 4096,
    overwrite: bool = False,
  ) -> None:
    """Create the folder.

    Args:
      folder: folder of the record, new or empty.
      metadata: JSON values by name, such as data set, model, cut, framework.
      shard_rows: rows that are buffered before they are written.
      overwrite: whether a cut record that is there is removed. A folder that
        holds other files is refused all the same.

    Raises:
      FileExistsError: if the folder holds something.
      ValueError: if `shard_rows` is below 1 or metadata are no JSON values.
    """
    if shard_rows < 1:
      raise ValueError(f'shard_rows must be at least 1, got {shard_rows}.')
    text = cut_format.manifest_text(metadata)
    self._folder = pathlib.Path(folder)
    self._shard_rows = shard_rows
    self._closed = False
    self._num_passes = 0
    self._kinds: dict[str, str] = {}
    self._truth: dict[int, Any] = {}
    cut_folder.claim(self._folder, overwrite=overwrite)
    with files.replacing(self._folder / cut_format.MANIFEST) as scratch:
      scratch.write_text(text)
    self._training = self._next_pass()
    self._inference = self._next_inference()

  def __enter__(self) -> Self:
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    self.close()

  def append(
    self,
    sample_ids: npt.ArrayLike,
    *,
    cut_grads: npt.ArrayLike | None = None,
    smashed: npt.ArrayLike | None = None,
    untrained_smashed: npt.ArrayLike | None = None,
    inputs: npt.ArrayLike | None = None,
    labels: npt.ArrayLike | None = None,
    step: int | None = None,
  ) -> None:
    """Record a batch of the training. Arrays are copied.

    Args:
      sample_ids: id of each row's sample, integers `[n]`; a sample has the same
        id in every pass, and comes once in a pass.
      cut_grads: gradients at the cut, as received, `[n, ...]`.
      smashed: the cut layer's output, as sent, `[n, ...]`.
      untrained_smashed: output of the client before it was trained, `[n, ...]`.
      inputs: the client's own inputs, `[n, ...]`.
      labels: the truth, only for scoring: integers, real numbers or strings
        `[n]`.
      step: step at which the batch crossed; by default batches are counted.

    Raises:
      ValueError: if an array does not belong into this pass. Nothing of the
        batch is recorded then.
    """
    number = self._training.num_batches if step is None else step
    arrays = _to_arrays(
      sample_ids,
      {
        'cut_grads': cut_grads,
        'smashed': smashed,
        'untrained_smashed': untrained_smashed,
        cut_format.INPUTS: inputs,
        cut_format.LABELS: labels,
      },
    )
    ids = arrays[cut_format.SAMPLE_IDS]
    arrays[cut_format.STEPS] = np.full(ids.shape, number, np.int64)
    self._add(self._training, arrays)

  def append_inference(
    self,
    sample_ids: npt.ArrayLike,
    *,
    smashed: npt.ArrayLike,
    untrained_smashed: npt.ArrayLike | None = None,
    inputs: npt.ArrayLike | None = None,
    labels: npt.ArrayLike | None = None,
  ) -> None:
    """Record a batch that the trained model was asked about.

    Args:
      sample_ids: ids, integers `[n]`; they are apart from those of training.
      smashed: the cut layer's output, as sent, `[n, ...]`.
      untrained_smashed: output of the client before it was trained, `[n, ...]`.
      inputs: the client's own inputs, `[n, ...]`.
      labels: the truth, only for scoring, `[n]`.

    Raises:
      ValueError: if an array does not belong into this record. Nothing of the
        batch is recorded then.
    """
    arrays = _to_arrays(
      sample_ids,
      {
        'smashed': smashed,
        'untrained_smashed': untrained_smashed,
        cut_format.INPUTS: inputs,
        cut_format.LABELS: labels,
      },
    )
    self._add(self._inference, arrays)

  def new_pass(self) -> None:
    """Begin a pass over the samples: call it at the start of every epoch.

    The first pass is open from the beginning, and an empty pass stays open, so
    that calling it before the first epoch does nothing.
    """
    self._check_open()
    if self._training.num_batches:
      self._training.flush()
      self._training = self._next_pass()

  def new_inference(self) -> None:
    """Begin an evaluation; it replaces the one recorded before, if any."""
    self._check_open()
    if self._inference.num_batches:
      cut_folder.remove_shards(self._inference.folder)
      self._inference = self._next_inference()

  def close(self) -> None:
    """Write what is buffered. Nothing can be recorded afterwards."""
    if not self._closed:
      self._closed = True
      self._training.flush()
      self._inference.flush()

  def _next_pass(self) -> cut_part.Part:
    """Open the next pass."""
    self._num_passes += 1
    name = cut_format.pass_name(self._num_passes)
    return cut_part.Part(
      self._folder / cut_format.TRAINING / name,
      self._shard_rows,
      'call new_pass() at the start of every epoch',
    )

  def _next_inference(self) -> cut_part.Part:
    """Open an evaluation."""
    return cut_part.Part(
      self._folder / cut_format.INFERENCE,
      self._shard_rows,
      'call new_inference() before the model is evaluated again',
    )

  def _check_open(self) -> None:
    """Raise ValueError if the writer is closed."""
    if self._closed:
      raise ValueError(f'the writer of {self._folder} is closed.')

  def _add(self, part: cut_part.Part, arrays: Arrays) -> None:
    """Check a batch, and buffer it if all is well."""
    self._check_open()
    cut_format.check_arrays(arrays)
    arrays[cut_format.SAMPLE_IDS] = arrays[cut_format.SAMPLE_IDS].astype('<i8')
    part.check(arrays)
    cut_format.check_kinds(self._kinds, arrays)
    if part is self._training and cut_format.LABELS in arrays:
      self._check_truth(arrays)
    self._kinds.update(cut_format.kinds_of(arrays))
    part.add(arrays)

  def _check_truth(self, arrays: Arrays) -> None:
    """Raise ValueError if a sample had another label in an earlier pass."""
    ids = arrays[cut_format.SAMPLE_IDS].tolist()
    labels = dict(zip(ids, arrays[cut_format.LABELS].tolist(), strict=True))
    for one, label in labels.items():
      before = self._truth.get(one, label)
      if label != before:
        raise ValueError(
          f'labels of sample {one} must be {before!r} as in an earlier pass, '
          f'got {label!r}: a sample has the same id in every pass.'
        )
    self._truth.update(labels)


def _to_arrays(
  sample_ids: npt.ArrayLike, given: Mapping[str, npt.ArrayLike | None]
) -> Arrays:
  """Return copies of what was given, in types that `.npy` files have."""
  arrays = {cut_format.SAMPLE_IDS: np.array(sample_ids)}
  for name, value in given.items():
    if value is None:
      continue
    array = np.array(value, order='C')
    if array.dtype == ml_dtypes.bfloat16:
      array = array.astype(np.float32)
    if array.dtype == np.bool_ and name == cut_format.LABELS:
      array = array.astype(np.int64)
    # The same bytes, whatever machine or framework the numbers come from.
    arrays[name] = array.astype(array.dtype.newbyteorder('<'), copy=False)
  return arrays
