"""Predictions and truth to numbers, with chance levels and intervals.

The only room that sees both. Runs once, on the host, in NumPy and float64.
All figures but the AUC are read off confusion matrices `[..., C, C]` (rows:
truth, columns: prediction), whose leading axes are trials.
"""

from collections.abc import Callable

import numpy as np
from scipy import optimize
from scipy import stats

MeasureFn = Callable[[np.ndarray], np.ndarray]


def confusion_matrices(
  predictions: np.ndarray,
  truth: np.ndarray,
  scored: np.ndarray | None = None,
  *,
  num_classes: int,
) -> np.ndarray:
  """Count how often each class is taken for each.

  Args:
    predictions: classes, `[..., N]`.
    truth: classes, of a shape that broadcasts with `predictions`.
    scored: which rows count, of a shape that broadcasts in the same way; all by
      default.
    num_classes: `C`.

  Returns:
    Counts `[..., C, C]`; rows are the truth.

  Raises:
    ValueError: if a class is out of range, or a trial has nothing scored.
  """
  predictions = np.asarray(predictions)
  truth = np.broadcast_to(truth, predictions.shape)
  scored = np.broadcast_to(True if scored is None else scored, truth.shape)
  for name, value in (('predictions', predictions), ('truth', truth)):
    if value.size and not 0 <= value.min() <= value.max() < num_classes:
      raise ValueError(
        f'{name} must lie between 0 and {num_classes - 1}, got '
        f'{value.min()} to {value.max()}.'
      )
  if not scored.any(axis=-1).all():
    raise ValueError('every trial must have at least one scored sample.')
  trials = predictions.shape[:-1]
  num_cells = num_classes * num_classes
  cells = truth.astype(np.int64) * num_classes + predictions
  offsets = num_cells * np.arange(np.prod(trials, dtype=int))
  cells = cells.reshape(len(offsets), -1) + offsets[:, None]
  counts = np.bincount(
    cells[scored.reshape(cells.shape)], minlength=num_cells * len(offsets)
  )
  return counts.reshape(*trials, num_classes, num_classes)


def accuracy(confusion: np.ndarray) -> np.ndarray:
  """Return the share of samples that are taken for what they are, `[...]`."""
  return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
  """Return the mean recall of the classes that occur in the truth, `[...]`."""
  sizes = confusion.sum(-1)
  hits = np.diagonal(confusion, axis1=-2, axis2=-1)
  recalls = hits / np.maximum(sizes, 1)
  return recalls.sum(-1) / (sizes > 0).sum(-1)


def macro_f1(confusion: np.ndarray) -> np.ndarray:
  """Return the mean F1 of classes in truth or prediction, `[...]`."""
  hits = np.diagonal(confusion, axis1=-2, axis2=-1)
  sizes = confusion.sum(-1) + confusion.sum(-2)
  scores = 2 * hits / np.where(sizes > 0, sizes, 1)
  return scores.sum(-1) / (sizes > 0).sum(-1)


def ari(confusion: np.ndarray) -> np.ndarray:
  """Return the adjusted Rand index: how well groups agree by any name.

  1 for equal partitions, 0 in expectation for unrelated ones (Hubert and
  Arabie, 1985).

  Args:
    confusion: `[..., C, C]`.

  Returns:
    `[...]`.
  """
  pairs = lambda counts: counts * (counts - 1) / 2
  confusion = np.asarray(confusion, dtype=np.float64)
  together = pairs(confusion).sum((-2, -1))
  in_truth = pairs(confusion.sum(-1)).sum(-1)
  in_prediction = pairs(confusion.sum(-2)).sum(-1)
  total = pairs(confusion.sum((-2, -1)))
  expected = in_truth * in_prediction / np.where(total > 0, total, 1)
  span = (in_truth + in_prediction) / 2 - expected
  # No span: both are one group, or both all singletons, and so are equal.
  return np.where(
    span > 0, (together - expected) / np.where(span > 0, span, 1), 1.0
  )


def oracle_accuracy(confusion: np.ndarray) -> np.ndarray:
  """Return the accuracy if all true labels named the groups: a bound.

  No attack reaches it: what lies between it and the accuracy was lost in
  deciding which group is which class, not in grouping.

  Args:
    confusion: `[..., C, C]`.

  Returns:
    `[...]`.
  """
  flat = confusion.reshape(-1, *confusion.shape[-2:])
  best = [
    matrix[optimize.linear_sum_assignment(matrix, maximize=True)].sum()
    for matrix in flat
  ]
  return np.reshape(best, confusion.shape[:-2]) / confusion.sum((-2, -1))


def f1(confusion: np.ndarray) -> np.ndarray:
  """Return F1 of class 1, `[...]`; 0 if class 1 is never right."""
  hits = confusion[..., 1, 1]
  sizes = confusion[..., 1, :].sum(-1) + confusion[..., :, 1].sum(-1)
  return 2 * hits / np.where(sizes > 0, sizes, 1)


def auc(
  scores: np.ndarray, truth: np.ndarray, scored: np.ndarray | None = None
) -> np.ndarray:
  """Return how often class 1 scores above class 0, ties counting half.

  Args:
    scores: finite; the larger, the more likely class 1, `[..., N]`.
    truth: classes 0 and 1, of a shape that broadcasts with `scores`.
    scored: which rows count, of a shape that broadcasts in the same way; all by
      default.

  Returns:
    `[...]`; NaN for a trial in which a class does not occur.
  """
  scores = np.asarray(scores, dtype=np.float64)
  scored = np.broadcast_to(True if scored is None else scored, scores.shape)
  positive = np.broadcast_to(truth, scores.shape) == 1
  # What does not count stands behind all that does, and moves no rank of it.
  ranks = stats.rankdata(np.where(scored, scores, np.inf), axis=-1)
  positive, negative = positive & scored, ~positive & scored
  num_positive = positive.sum(-1)
  above = (ranks * positive).sum(-1) - num_positive * (num_positive + 1) / 2
  pairs = num_positive * negative.sum(-1)
  return np.where(pairs > 0, above / np.maximum(pairs, 1), np.nan)


def measure_all(confusion: np.ndarray) -> dict[str, np.ndarray]:
  """Return every measure by its name, each `[...]`; F1 of two classes only."""
  fns: list[MeasureFn] = [
    accuracy,
    balanced_accuracy,
    macro_f1,
    ari,
    oracle_accuracy,
  ]
  return {fn.__name__: fn(confusion) for fn in fns + _of_two(confusion)}


def _of_two(confusion: np.ndarray) -> list[MeasureFn]:
  """Return the measures that two classes have and more have not."""
  return [f1] if confusion.shape[-1] == 2 else []


def measure_chance(confusion: np.ndarray) -> dict[str, np.ndarray]:
  """Return what guessing each class equally often gives, each `[...]`.

  Args:
    confusion: of any answers on the same samples, `[..., C, C]`.

  Returns:
    The measures that are read off expected counts; how groups agree by chance
    is not.
  """
  sizes = confusion.sum(-1, keepdims=True)
  expected = np.broadcast_to(sizes / confusion.shape[-1], confusion.shape)
  fns: list[MeasureFn] = [accuracy, balanced_accuracy, macro_f1]
  return {fn.__name__: fn(expected) for fn in fns + _of_two(confusion)}


def majority_confusion(confusion: np.ndarray) -> np.ndarray:
  """Return what guessing the largest class always gives.

  Args:
    confusion: of an attack on the same samples, `[..., C, C]`.

  Returns:
    Counts `[..., C, C]`.
  """
  sizes = confusion.sum(-1)
  largest = np.eye(confusion.shape[-1])[sizes.argmax(-1)]  # [..., C]
  return sizes[..., :, None] * largest[..., None, :]
