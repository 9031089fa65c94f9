"""What an attacker may read: views, from which no way leads to the truth.

In shape descriptions `N` is the number of recorded samples, `D` the flattened
width of the cut, `R` the number of auxiliary draws, `A` the auxiliary samples
of a draw.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flax import struct
import jax
import numpy as np

from splitjax import checks
from splitjax.records import recording

Array = jax.Array | np.ndarray


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


class Extractor(struct.PyTreeNode):
  """A network that a client can go on to train, with inputs to train it on.

  Its own part of the split model, or one that was trained on public data.

  Attributes:
    params: of the network, all of floating types.
    inputs: of the training set, in the order of `Own`, `[N, ...]`.
    new_inputs: of what is to be labelled, in the view's order, `[M, ...]`.
    apply_fn: `(params, inputs) -> features`. One object a network: another one
      compiles anew.
  """

  params: Any
  inputs: jax.Array
  new_inputs: jax.Array
  apply_fn: Callable[[Any, jax.Array], jax.Array] = struct.field(
    pytree_node=False
  )


class Own(struct.PyTreeNode):
  """What a client knows of the training set beside the vectors it is to label.

  Its own smashed data and what it received; rows are samples, in one order.
  What an attack is not granted is None.

  Attributes:
    features: of the same kind as what is to be labelled, `[N, D]`.
    cut_grads: received in the recorded pass, `[N, E]`.
    sent: the smashed data that these answered, `[N, E]`.
    online: the clusters that these fell into as they came, `[N, 1]`.
    extractor: what made the features.
    aux_rows: which rows are the auxiliary samples, `[R, A]`.
  """

  features: jax.Array | None = None
  cut_grads: jax.Array | None = None
  sent: jax.Array | None = None
  online: jax.Array | None = None
  extractor: Extractor | None = None
  aux_rows: jax.Array | None = None


class View(struct.PyTreeNode):
  """All that an attacker may read; there is no way from here to the truth.

  The arrays may have leading axes of trials, for `jax.vmap`.

  Attributes:
    vectors: what to label, flattened, `[N, D]`.
    aux_vectors: the same of the auxiliary samples, `[R, A, D]`.
    aux_labels: their labels, or real targets, `[R, A]`.
    sample_ids: ids of the rows of `vectors`, `[N]`.
    aux_ids: ids of the auxiliary samples, `[R, A]`.
    num_classes: the number of classes; 0 of real targets.
    own: what else a client knows, where the threat model grants it.
  """

  vectors: jax.Array
  aux_vectors: jax.Array
  aux_labels: jax.Array
  sample_ids: jax.Array
  aux_ids: jax.Array
  num_classes: int = struct.field(pytree_node=False)
  own: Own | None = None


def make_view(
  record: recording.Record,
  auxiliary: Auxiliary,
  *,
  num_classes: int,
  aux_record: recording.Record | None = None,
  center: bool = False,
) -> View:
  """Show an attacker a record and the labels of its auxiliary samples.

  Args:
    record: what the attacker is to label.
    auxiliary: the samples whose labels it knows.
    num_classes: the number of classes; 0 for real targets.
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
  if num_classes:
    _check_every_class(auxiliary.labels, num_classes)
  ordered = np.sort(auxiliary.ids, axis=1)
  if (ordered[:, 1:] == ordered[:, :-1]).any():
    raise ValueError('auxiliary ids must be distinct within a draw.')
  rows, found = rows_of(auxiliary.ids, aux_record.sample_ids)
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
  arrays: dict[str, Any] = {  # NumPy's, until an attack takes them.
    'vectors': vectors,
    'aux_vectors': aux_vectors,
    'aux_labels': auxiliary.labels,
    'sample_ids': record.sample_ids,
    'aux_ids': auxiliary.ids,
  }
  return View(**arrays, num_classes=num_classes)


def _check_every_class(labels: np.ndarray, num_classes: int) -> None:
  """Raise `ValueError` if auxiliary labels `[R, A]` lack a class."""
  checks.labels('auxiliary labels', labels, num_classes)
  present = np.zeros((len(labels), num_classes), dtype=bool)
  np.put_along_axis(present, labels, True, axis=1)
  if not present.all():
    raise ValueError(
      'auxiliary labels must contain every class, got none of class '
      f'{np.argwhere(~present)[0, 1]}.'
    )


def scored_mask(view: View) -> np.ndarray:
  """Which rows count, `[R, N]`: all but a draw's own auxiliary samples."""
  rows, found = rows_of(view.aux_ids, view.sample_ids)
  scored = np.ones((len(view.aux_ids), len(view.sample_ids)), dtype=bool)
  scored[np.nonzero(found)[0], rows[found]] = False
  return scored


def rows_of(ids: Array, sample_ids: Array) -> tuple[np.ndarray, np.ndarray]:
  """Where each id stands in `sample_ids`, and whether it stands there.

  Args:
    ids: of any shape.
    sample_ids: distinct, `[N]`.

  Returns:
    Rows and whether they are right, both of the shape of `ids`.
  """
  ids, sample_ids = np.asarray(ids), np.asarray(sample_ids)
  order = np.argsort(sample_ids)
  rows = np.searchsorted(sample_ids, ids, sorter=order)
  rows = order[np.minimum(rows, len(order) - 1)]
  return rows, sample_ids[rows] == ids
