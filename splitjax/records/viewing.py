"""Views: all that an attacker may read, without the labels to be found.

In shape descriptions `N` is the number of recorded samples, `D` the flattened
width of the cut, `R` the number of auxiliary draws and `A` the number of
auxiliary samples in a draw.
"""

from collections.abc import Callable
from typing import Any

from flax import struct
import jax
import numpy as np

from splitjax import checks
from splitjax.records import recording
from splitjax.records.auxiliary import Auxiliary as Auxiliary
from splitjax.records.auxiliary import sample_auxiliary as sample_auxiliary
from splitjax.training.countering import Channel
from splitjax.training.countering import Counter

Array = jax.Array | np.ndarray


class Extractor(struct.PyTreeNode):
  """A network that a client can train further, with inputs to train it on.

  It is the client's part of the split model, or a network that was trained on
  public data.

  Attributes:
    params: parameters of the network, all of floating types.
    inputs: inputs of the training set, in the order of `Own`, `[N, ...]`.
    new_inputs: inputs of the samples to be labelled, in the order of the view,
      `[M, ...]`.
    apply_fn: `(params, inputs) -> features`. Use one function object for each
      network: another object is compiled anew.
  """

  params: Any
  inputs: jax.Array
  new_inputs: jax.Array
  apply_fn: Callable[[Any, jax.Array], jax.Array] = struct.field(
    pytree_node=False
  )


class Passes(struct.PyTreeNode):
  """Cut gradients of several passes, and what is known of how they were made.

  Attributes:
    vectors: cut gradients received in each pass, `[T, N, E]`; None for a single
      pass whose gradients are the view's own vectors.
    steps: step of each sample in each pass, `[T, N]`.
    partners: row of the sample that each was mixed with, `[T, N]`; None where
      nothing is mixed.
    weights: weight of the sample itself in that mixture, `[T, N]`; likewise.
    channel: the mechanism that labels went through, if it is known.
    counters: what an attacker who knows the defense undoes.
    inputs: the attacker's own inputs, flattened, `[N, P]`; None where they are
      of no use, or the attacker has none.
    new_inputs: its inputs of the samples to label, in the order of the view,
      `[M, P]`, where these are not the training samples; None likewise.
    fresh_labels: whether labels are drawn anew in every pass.
    num_merged: how many labels there are after classes were merged; 0 where
      none were.
  """

  vectors: jax.Array | None
  steps: jax.Array
  partners: jax.Array | None = None
  weights: jax.Array | None = None
  channel: Channel | None = None
  inputs: jax.Array | None = None
  new_inputs: jax.Array | None = None
  counters: tuple[Counter, ...] = struct.field(pytree_node=False, default=())
  fresh_labels: bool = struct.field(pytree_node=False, default=False)
  num_merged: int = struct.field(pytree_node=False, default=0)


class Own(struct.PyTreeNode):
  """What a client knows of the training set beside the vectors to label.

  Rows are samples, in one order for all arrays. What the threat model does not
  grant is None. `E` is the flattened width of the cut that was recorded.

  Attributes:
    features: features of the same kind as the vectors to label, `[N, D]`.
    cut_grads: cut gradients received in the recorded pass, `[N, E]`.
    passes: cut gradients received in all recorded passes.
    sent: smashed data to which these cut gradients belong, `[N, E]`.
    online: cluster that each cut gradient fell into when it arrived, `[N, 1]`.
    extractor: network that computes the features.
    shares: shares of the classes in the training set, `[C]`.
    aux_rows: rows of the auxiliary samples in each draw, `[R, A]`.
    new_samples: whether the vectors to label are of other samples than these
      rows, as in inference.
  """

  features: jax.Array | None = None
  cut_grads: jax.Array | None = None
  passes: Passes | None = None
  sent: jax.Array | None = None
  online: jax.Array | None = None
  shares: jax.Array | None = None
  extractor: Extractor | None = None
  aux_rows: jax.Array | None = None
  new_samples: bool = struct.field(pytree_node=False, default=False)


class View(struct.PyTreeNode):
  """All that an attacker may read; the labels to be found are not part of it.

  The arrays may have leading axes of trials, for `jax.vmap`.

  Attributes:
    vectors: flattened vectors of the samples to label, `[N, D]`.
    aux_vectors: flattened vectors of the auxiliary samples, `[R, A, D]`.
    aux_labels: labels or real targets of the auxiliary samples, `[R, A]`.
    sample_ids: ids of the samples to label, `[N]`.
    aux_ids: ids of the auxiliary samples, `[R, A]`.
    num_classes: number of classes; 0 for real targets.
    own: what else a client knows; None where the threat model does not grant
      it.
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
  """Make the view of an attacker who reads a record and auxiliary labels.

  Args:
    record: record of the samples to label.
    auxiliary: samples whose labels the attacker knows.
    num_classes: number of classes; 0 for real targets.
    aux_record: record that holds the auxiliary samples' vectors. In inference
      that is the training record; by default it is `record` itself.
    center: whether to subtract the mean of `aux_record`'s vectors from all
      vectors, as the attacker can do.

  Returns:
    The view.

  Raises:
    ValueError: if an auxiliary sample is not in the record or is there twice, a
      label is out of range, a class has no auxiliary sample, or the records
      differ in width.

  Example:
    >>> record = recording.Record(
    ...   'cut_grads', np.array([[0.0], [1.0], [2.0]]), np.array([10, 11, 12]),
    ...   np.array([0, 0, 0]), {},
    ... )
    >>> auxiliary = Auxiliary(np.array([[12, 10]]), np.array([[0, 1]]))
    >>> view = make_view(record, auxiliary, num_classes=2)
    >>> view.aux_vectors.tolist()
    [[[2.0], [0.0]]]
  """
  aux_record = record if aux_record is None else aux_record
  if num_classes:
    _check_every_class(auxiliary.labels, num_classes)
  rows = _auxiliary_rows(auxiliary.ids, aux_record.sample_ids)
  vectors, aux_source = record.flat, aux_record.flat
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


def _auxiliary_rows(ids: np.ndarray, sample_ids: np.ndarray) -> np.ndarray:
  """Return the row of each auxiliary sample, or raise ValueError, `[R, A]`."""
  ordered = np.sort(ids, axis=1)
  if (ordered[:, 1:] == ordered[:, :-1]).any():
    raise ValueError('auxiliary ids must be distinct within a draw.')
  rows, found = rows_of(ids, sample_ids)
  if not found.all():
    raise ValueError(
      f'auxiliary ids must be in the record, got id {ids[~found][0]}.'
    )
  return rows


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
  """Mark the samples whose labels count: all but the auxiliary samples.

  Args:
    view: view of an attacker, without leading axes of trials.

  Returns:
    A mask `[R, N]`, False for the auxiliary samples of each draw.

  Example:
    >>> record = recording.Record(
    ...   'cut_grads', np.array([[0.0], [1.0], [2.0]]), np.array([10, 11, 12]),
    ...   np.array([0, 0, 0]), {},
    ... )
    >>> auxiliary = Auxiliary(np.array([[12, 10]]), np.array([[0, 1]]))
    >>> scored_mask(make_view(record, auxiliary, num_classes=2)).tolist()
    [[False, True, False]]
  """
  rows, found = rows_of(view.aux_ids, view.sample_ids)
  scored = np.ones((len(view.aux_ids), len(view.sample_ids)), dtype=bool)
  scored[np.nonzero(found)[0], rows[found]] = False
  return scored


def rows_of(ids: Array, sample_ids: Array) -> tuple[np.ndarray, np.ndarray]:
  """Find the row of each id.

  Args:
    ids: ids to look for, of any shape.
    sample_ids: ids of the rows, distinct, `[N]`.

  Returns:
    The rows, and whether each id was found, both in the shape of `ids`. The row
    of an id that was not found means nothing.

  Example:
    >>> rows, found = rows_of(np.array([7, 5]), np.array([3, 7]))
    >>> int(rows[0]), found.tolist()
    (1, [True, False])
  """
  ids, sample_ids = np.asarray(ids), np.asarray(sample_ids)
  order = np.argsort(sample_ids)
  rows = np.searchsorted(sample_ids, ids, sorter=order)
  rows = order[np.minimum(rows, len(order) - 1)]
  return rows, sample_ids[rows] == ids
