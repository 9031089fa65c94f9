"""Measures of predicted classes, with their chance levels.

All measures but the AUC are computed from confusion matrices `[..., C, C]`
(rows: truth, columns: prediction), whose leading axes are trials. Everything
runs on the host, in NumPy and float64. In shape descriptions `N` is the number
of samples and `C` the number of classes.
"""

from collections.abc import Callable

import numpy as np
import scipy

from splitjax.metrics.confusion import confusion_matrices as confusion_matrices
from splitjax.metrics.confusion import majority_confusion as majority_confusion

MeasureFn = Callable[[np.ndarray], np.ndarray]


def accuracy(confusion: np.ndarray) -> np.ndarray:
  """Return the share of samples whose class is predicted correctly.

  Args:
    confusion: counts from `confusion_matrices`, `[..., C, C]`.

  Returns:
    Accuracies in `[0, 1]`, `[...]`.

  Example:
    >>> float(accuracy(np.array([[6, 2], [0, 2]])))
    0.8
  """
  return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
  """Return the mean recall of the classes that occur in the truth.

  Args:
    confusion: counts from `confusion_matrices`, `[..., C, C]`.

  Returns:
    Balanced accuracies in `[0, 1]`, `[...]`.

  Example:
    >>> float(balanced_accuracy(np.array([[6, 2], [0, 2]])))
    0.875
  """
  sizes = confusion.sum(-1)
  hits = np.diagonal(confusion, axis1=-2, axis2=-1)
  recalls = hits / np.maximum(sizes, 1)
  return recalls.sum(-1) / (sizes > 0).sum(-1)


def macro_f1(confusion: np.ndarray) -> np.ndarray:
  """Return the mean F1 score of the classes in truth or prediction.

  Args:
    confusion: counts from `confusion_matrices`, `[..., C, C]`.

  Returns:
    Macro F1 scores in `[0, 1]`, `[...]`.

  Example:
    >>> round(float(macro_f1(np.array([[6, 2], [0, 2]]))), 3)
    0.762
  """
  hits = np.diagonal(confusion, axis1=-2, axis2=-1)
  sizes = confusion.sum(-1) + confusion.sum(-2)
  scores = 2 * hits / np.where(sizes > 0, sizes, 1)
  return scores.sum(-1) / (sizes > 0).sum(-1)


def ari(confusion: np.ndarray) -> np.ndarray:
  """Return the adjusted Rand index of predicted and true groups.

  It does not depend on which group is called which class. It is 1 if both
  partitions are equal, and 0 in expectation if they are unrelated (Hubert and
  Arabie, "Comparing partitions", 1985).

  Args:
    confusion: counts from `confusion_matrices`, `[..., C, C]`.

  Returns:
    Indices, at most 1, `[...]`.

  Example:
    >>> float(ari(np.array([[0, 5], [5, 0]])))
    1.0
  """
  pairs = lambda counts: counts * (counts - 1) / 2
  confusion = np.asarray(confusion, dtype=np.float64)
  together = pairs(confusion).sum((-2, -1))
  in_truth = pairs(confusion.sum(-1)).sum(-1)
  in_prediction = pairs(confusion.sum(-2)).sum(-1)
  total = pairs(confusion.sum((-2, -1)))
  expected = in_truth * in_prediction / np.where(total > 0, total, 1)
  span = (in_truth + in_prediction) / 2 - expected
  # A span of 0 means that both partitions are one group, or that both consist
  # of single samples; either way they are equal.
  return np.where(
    span > 0, (together - expected) / np.where(span > 0, span, 1), 1.0
  )


def oracle_accuracy(confusion: np.ndarray) -> np.ndarray:
  """Return the accuracy under the best assignment of groups to classes.

  The assignment uses all true labels, so this is an upper bound that no attack
  can claim. The accuracy falls short of it by what was lost in deciding which
  group is which class, rather than in grouping.

  Args:
    confusion: counts from `confusion_matrices`, `[..., C, C]`.

  Returns:
    Accuracies in `[0, 1]`, `[...]`.

  Example:
    >>> float(oracle_accuracy(np.array([[1, 4], [5, 0]])))
    0.9
  """
  flat = confusion.reshape(-1, *confusion.shape[-2:])
  best = [
    matrix[scipy.optimize.linear_sum_assignment(matrix, maximize=True)].sum()
    for matrix in flat
  ]
  return np.reshape(best, confusion.shape[:-2]) / confusion.sum((-2, -1))


def f1(confusion: np.ndarray) -> np.ndarray:
  """Return the F1 score of class 1 against class 0.

  Args:
    confusion: counts of two classes from `confusion_matrices`, `[..., 2, 2]`.

  Returns:
    F1 scores in `[0, 1]`, `[...]`; 0 if class 1 is never predicted correctly.

  Example:
    >>> round(float(f1(np.array([[6, 2], [0, 2]]))), 3)
    0.667
  """
  hits = confusion[..., 1, 1]
  sizes = confusion[..., 1, :].sum(-1) + confusion[..., :, 1].sum(-1)
  return 2 * hits / np.where(sizes > 0, sizes, 1)


def auc(
  scores: np.ndarray, truth: np.ndarray, scored: np.ndarray | None = None
) -> np.ndarray:
  """Return the area under the ROC curve (AUC).

  It is the share of pairs of one sample of each class in which the sample of
  class 1 has the larger score; ties count half.

  Args:
    scores: finite scores, larger for a likelier class 1, `[..., N]`.
    truth: true classes 0 and 1, of a shape that broadcasts with `scores`.
    scored: mask of the samples that count, of a shape that broadcasts with
      `scores`; all samples by default.

  Returns:
    AUCs in `[0, 1]`, `[...]`; NaN for a trial in which a class does not occur.

  Example:
    >>> float(auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1])))
    0.875
  """
  scores = np.asarray(scores, dtype=np.float64)
  scored = np.broadcast_to(True if scored is None else scored, scores.shape)
  positive = np.broadcast_to(truth, scores.shape) == 1
  # Samples that do not count are ranked last, where they move no other rank.
  ranks = scipy.stats.rankdata(np.where(scored, scores, np.inf), axis=-1)
  positive, negative = positive & scored, ~positive & scored
  num_positive = positive.sum(-1)
  above = (ranks * positive).sum(-1) - num_positive * (num_positive + 1) / 2
  pairs = num_positive * negative.sum(-1)
  return np.where(pairs > 0, above / np.maximum(pairs, 1), np.nan)


def measure_all(confusion: np.ndarray) -> dict[str, np.ndarray]:
  """Return every measure that is computed from a confusion matrix.

  Args:
    confusion: counts from `confusion_matrices`, `[..., C, C]`.

  Returns:
    Measures by the names of their functions, each `[...]`; `f1` only for two
    classes.

  Example:
    >>> list(measure_all(np.array([[6, 2], [0, 2]])))[:3]
    ['accuracy', 'balanced_accuracy', 'macro_f1']
  """
  fns: list[MeasureFn] = [
    accuracy,
    balanced_accuracy,
    macro_f1,
    ari,
    oracle_accuracy,
  ]
  return {fn.__name__: fn(confusion) for fn in fns + _of_two(confusion)}


def _of_two(confusion: np.ndarray) -> list[MeasureFn]:
  """Return the measures that are defined for two classes only."""
  return [f1] if confusion.shape[-1] == 2 else []


def measure_chance(confusion: np.ndarray) -> dict[str, np.ndarray]:
  """Return the measures of guessing each class equally often.

  Args:
    confusion: counts of any predictions on the same samples, `[..., C, C]`;
      only the true classes matter.

  Returns:
    Measures by the names of their functions, each `[...]`. They are computed
    from expected counts, so those of groups (`ari`, `oracle_accuracy`) are
    left out.

  Example:
    >>> float(measure_chance(np.array([[6, 2], [0, 2]]))['accuracy'])
    0.5
  """
  sizes = confusion.sum(-1, keepdims=True)
  expected = np.broadcast_to(sizes / confusion.shape[-1], confusion.shape)
  fns: list[MeasureFn] = [accuracy, balanced_accuracy, macro_f1]
  return {fn.__name__: fn(expected) for fn in fns + _of_two(confusion)}
