"""Confusion matrices: how often each class is predicted for each.

They have shape `[..., C, C]` (rows: truth, columns: prediction), and leading
axes are trials. In shape descriptions `N` is the number of samples and `C` the
number of classes.
"""

import numpy as np


def confusion_matrices(
  predictions: np.ndarray,
  truth: np.ndarray,
  scored: np.ndarray | None = None,
  *,
  num_classes: int,
) -> np.ndarray:
  """Count how often each class is predicted for samples of each class.

  Args:
    predictions: predicted classes, `[..., N]`.
    truth: true classes, of a shape that broadcasts with `predictions`.
    scored: mask of the samples that count, of a shape that broadcasts with
      `predictions`; all samples by default.
    num_classes: number of classes, `C`.

  Returns:
    Counts `[..., C, C]`; rows are true classes, columns predicted ones.

  Raises:
    ValueError: if a class is out of range, or no sample of a trial counts.

  Example:
    >>> confusion_matrices(
    ...   np.array([0, 1, 1]), np.array([0, 0, 1]), num_classes=2
    ... ).tolist()
    [[1, 1], [0, 1]]
  """
  predictions = np.asarray(predictions)
  truth = np.broadcast_to(truth, predictions.shape)
  scored = np.broadcast_to(True if scored is None else scored, truth.shape)
  _check_classes('predictions', predictions, num_classes)
  _check_classes('truth', truth, num_classes)
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


def _check_classes(name: str, value: np.ndarray, num_classes: int) -> None:
  """Raise ValueError if a class is out of range."""
  if value.size and not 0 <= value.min() <= value.max() < num_classes:
    raise ValueError(
      f'{name} must lie between 0 and {num_classes - 1}, got '
      f'{value.min()} to {value.max()}.'
    )


def majority_confusion(confusion: np.ndarray) -> np.ndarray:
  """Return the confusion matrix of always guessing the largest class.

  Args:
    confusion: counts of any predictions on the same samples, `[..., C, C]`;
      only the true classes matter.

  Returns:
    Counts `[..., C, C]`.

  Example:
    >>> majority_confusion(np.array([[6, 2], [0, 2]])).tolist()
    [[8.0, 0.0], [2.0, 0.0]]
  """
  sizes = confusion.sum(-1)
  largest = np.eye(confusion.shape[-1])[sizes.argmax(-1)]  # [..., C]
  return sizes[..., :, None] * largest[..., None, :]
