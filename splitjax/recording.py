"""What crossed a cut (a record), and what an attacker may read of it (a view).

In shape descriptions `N` is the number of recorded samples, `D` the flattened
width of the cut, `R` the number of auxiliary draws, `A` the auxiliary samples
of a draw.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import os
import pathlib
from typing import Any

from flax import struct
import jax
import ml_dtypes
import numpy as np

from splitjax import checks
from splitjax import files

INTERMEDIATES = ('smashed', 'cut_grads')


@dataclasses.dataclass(frozen=True)
class Record:
  """What crossed one cut in one pass; checked when it is made.

  Attributes:
    intermediate: 'smashed' or 'cut_grads'.
    vectors: the smashed data or cut gradients, as received, `[N, ...]`.
    sample_ids: which sample each row belongs to, distinct integers `[N]`.
    steps: the step at which each row crossed, integers `[N]`.
    metadata: JSON values: dataset, model, cut, phase, defense, seed, versions.
  """

  intermediate: str
  vectors: np.ndarray
  sample_ids: np.ndarray
  steps: np.ndarray
  metadata: Mapping[str, Any]

  def __post_init__(self):
    if self.intermediate not in INTERMEDIATES:
      raise ValueError(
        f'intermediate must be one of {INTERMEDIATES}, got '
        f'{self.intermediate!r}.'
      )
    checks.vectors('vectors', self.vectors)
    for name in ('sample_ids', 'steps'):
      value = np.asarray(getattr(self, name))
      object.__setattr__(self, name, value)
      if np.shape(value) != (len(self.vectors),):
        raise ValueError(
          f'{name} must have shape ({len(self.vectors)},), one a vector, got '
          f'{np.shape(value)}.'
        )
      if not np.issubdtype(value.dtype, np.integer):
        raise ValueError(f'{name} must be integers, got {value.dtype}.')
    if len(np.unique(self.sample_ids)) != len(self.sample_ids):
      raise ValueError('sample_ids must be distinct: a record is one pass.')


def save_record(path: str | os.PathLike, record: Record) -> None:
  """Writes a record as a folder of `.npy` files and `metadata.json`.

  The folder appears complete or not at all.

  Args:
    path: the folder to create.
    record: what to write.

  Raises:
    FileExistsError: if the folder exists and is not empty.
    OSError: if it cannot be written.
  """
  vectors = np.asarray(record.vectors)
  dtype = vectors.dtype
  if dtype == ml_dtypes.bfloat16:  # Which .npy files do not know.
    vectors = vectors.view(np.uint16)
  metadata = {
    'intermediate': record.intermediate,
    'dtype': dtype.name,
    'metadata': dict(record.metadata),
  }
  with files.creating_folder(path) as folder:
    np.save(folder / f'{record.intermediate}.npy', vectors)
    np.save(folder / 'sample_ids.npy', record.sample_ids)
    np.save(folder / 'steps.npy', record.steps)
    text = json.dumps(metadata, indent=2, sort_keys=True, allow_nan=False)
    (folder / 'metadata.json').write_text(text + '\n')


def load_record(path: str | os.PathLike) -> Record:
  """Reads a record; the vectors are memory-mapped, read-only.

  Args:
    path: a folder that `save_record` wrote.

  Returns:
    The record, checked as when it was made.

  Raises:
    FileNotFoundError: if there is no such folder, or a file of it is missing.
    ValueError: if what is there is not a record.
  """
  folder = pathlib.Path(path)
  try:
    saved = json.loads((folder / 'metadata.json').read_text())
    intermediate, dtype = saved['intermediate'], saved['dtype']
    metadata = saved['metadata']
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(f'{folder} must be a record, got {error!r}.') from error
  vectors = np.load(
    folder / f'{intermediate}.npy', mmap_mode='r', allow_pickle=False
  )
  if dtype == 'bfloat16':
    vectors = vectors.view(ml_dtypes.bfloat16)
  return Record(
    intermediate=intermediate,
    vectors=vectors,
    sample_ids=np.load(folder / 'sample_ids.npy', allow_pickle=False),
    steps=np.load(folder / 'steps.npy', allow_pickle=False),
    metadata=metadata,
  )


class Auxiliary(struct.PyTreeNode):
  """The labelled samples that the threat model grants.

  Attributes:
    ids: sample ids, sorted by class, `[R, A]`.
    labels: their labels, `[R, A]`.
  """

  ids: np.ndarray
  labels: np.ndarray


def sample_auxiliary(
  seed: int | Sequence[int],
  sample_ids: np.ndarray,
  labels: np.ndarray,
  *,
  num_classes: int,
  num_per_class: int = 1,
  num_draws: int = 1,
) -> Auxiliary:
  """Draws auxiliary samples: as many of each class, without replacement.

  Args:
    seed: of the draws.
    sample_ids: the samples to draw from, `[N]`.
    labels: their labels, `[N]`.
    num_classes: the number of classes.
    num_per_class: samples of each class in a draw.
    num_draws: `R`.

  Returns:
    `R` draws of `A = num_classes * num_per_class` samples.

  Raises:
    ValueError: if a label is out of range, a count is below 1, or a class has
      fewer samples than a draw needs.
  """
  checks.labels('labels', labels, num_classes)
  if len(labels) != len(sample_ids):
    raise ValueError(
      f'labels must be as many as sample_ids ({len(sample_ids)}), got '
      f'{len(labels)}.'
    )
  if num_per_class < 1 or num_draws < 1:
    raise ValueError(
      'num_per_class and num_draws must be at least 1, got '
      f'{num_per_class=} and {num_draws=}.'
    )
  sizes = np.bincount(labels, minlength=num_classes)
  if sizes.min() < num_per_class:
    raise ValueError(
      f'num_per_class must be at most the size of the smallest class, got '
      f'{num_per_class} and {sizes.min()} samples of class {sizes.argmin()}.'
    )
  # By a random number a draw and sample; the first of each class count.
  rng = np.random.default_rng(seed)
  order = np.argsort(rng.random((num_draws, len(labels))), axis=1)
  order = np.take_along_axis(
    order, np.argsort(labels[order], axis=1, kind='stable'), axis=1
  )  # [R, N], sorted by class, random within a class
  starts = np.cumsum(sizes) - sizes
  columns = (starts[:, None] + np.arange(num_per_class)[None]).reshape(-1)
  chosen = order[:, columns]  # [R, A]
  return Auxiliary(ids=sample_ids[chosen], labels=labels[chosen])


class View(struct.PyTreeNode):
  """All that an attacker may read; there is no way from here to the truth.

  The arrays may have leading axes of trials, for `jax.vmap`.

  Attributes:
    vectors: what to label, flattened, `[N, D]`.
    aux_vectors: the same of the auxiliary samples, `[R, A, D]`.
    aux_labels: their labels, `[R, A]`.
    sample_ids: ids of the rows of `vectors`, `[N]`.
    aux_ids: ids of the auxiliary samples, `[R, A]`.
    num_classes: the number of classes.
  """

  vectors: jax.Array
  aux_vectors: jax.Array
  aux_labels: jax.Array
  sample_ids: jax.Array
  aux_ids: jax.Array
  num_classes: int = struct.field(pytree_node=False)


def make_view(
  record: Record,
  auxiliary: Auxiliary,
  *,
  num_classes: int,
  aux_record: Record | None = None,
  center: bool = False,
) -> View:
  """Shows an attacker a record and the labels of its auxiliary samples.

  Args:
    record: what the attacker is to label.
    auxiliary: the samples whose labels it knows.
    num_classes: the number of classes.
    aux_record: where the auxiliary samples' vectors are found: in inference
      the training record, by default `record` itself.
    center: whether to subtract the mean of `aux_record`'s vectors, which the
      attacker can compute, from all vectors.

  Returns:
    The view.

  Raises:
    ValueError: if an auxiliary sample is not in the record, a label is out of
      range, a class has no auxiliary sample, or the widths differ.
  """
  aux_record = record if aux_record is None else aux_record
  checks.labels('auxiliary labels', auxiliary.labels, num_classes)
  present = np.zeros((len(auxiliary.labels), num_classes), dtype=bool)
  np.put_along_axis(present, auxiliary.labels, True, axis=1)
  if not present.all():
    raise ValueError(
      'auxiliary labels must contain every class, got none of class '
      f'{np.argwhere(~present)[0, 1]}.'
    )
  ordered = np.sort(auxiliary.ids, axis=1)
  if (ordered[:, 1:] == ordered[:, :-1]).any():
    raise ValueError('auxiliary ids must be distinct within a draw.')
  rows, found = _rows_of(auxiliary.ids, aux_record.sample_ids)
  if not found.all():
    raise ValueError(
      f'auxiliary ids must be in the record, got id {auxiliary.ids[~found][0]}.'
    )
  vectors = record.vectors.reshape(len(record.vectors), -1)
  aux_source = aux_record.vectors.reshape(len(aux_record.vectors), -1)
  if vectors.shape[1] != aux_source.shape[1]:
    raise ValueError(
      f'record and aux_record must be equally wide, got {vectors.shape[1]} '
      f'and {aux_source.shape[1]}.'
    )
  aux_vectors = aux_source[rows]
  if center:
    mean = aux_source.mean(axis=0, dtype=np.float32).astype(vectors.dtype)
    vectors, aux_vectors = vectors - mean, aux_vectors - mean
  return View(
    vectors=vectors,
    aux_vectors=aux_vectors,
    aux_labels=auxiliary.labels,
    sample_ids=record.sample_ids,
    aux_ids=auxiliary.ids,
    num_classes=num_classes,
  )


def scored_mask(view: View) -> np.ndarray:
  """Which rows count, `[R, N]`: all but a draw's own auxiliary samples."""
  rows, found = _rows_of(view.aux_ids, view.sample_ids)
  scored = np.ones((len(view.aux_ids), len(view.sample_ids)), dtype=bool)
  scored[np.nonzero(found)[0], rows[found]] = False
  return scored


def _rows_of(ids, sample_ids):
  """Where each id stands in `sample_ids`, and whether it stands there."""
  order = np.argsort(sample_ids)
  rows = np.searchsorted(sample_ids, ids, sorter=order)
  rows = order[np.minimum(rows, len(order) - 1)]
  return rows, sample_ids[rows] == ids
