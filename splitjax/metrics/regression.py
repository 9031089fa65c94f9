"""Predictions and true numbers in, figures out; no attack imports this.

Everything runs on the host, in NumPy and float64. Leading axes are trials.
"""

import numpy as np
from scipy import stats


def measure_targets(
  predictions: np.ndarray, truth: np.ndarray, scored: np.ndarray | None = None
) -> dict[str, np.ndarray]:
  """How near predicted numbers are to the true ones.

  Args:
    predictions: `[..., N]`.
    truth: of a shape that broadcasts with `predictions`.
    scored: which rows count, likewise; all by default.

  Returns:
    By name, each `[...]`: `r2`, the share of the truth's variance that is
    explained (negative where the mean of the truth would be nearer);
    `mean_absolute_error` in units of the truth; and `spearman`, the rank
    correlation, 0 where all predictions are equal. NaN where all truth is
    equal.

  Raises:
    ValueError: if a trial has fewer than two scored samples.
  """
  predictions = np.asarray(predictions, dtype=np.float64)
  truth = np.broadcast_to(truth, predictions.shape).astype(np.float64)
  scored = np.broadcast_to(True if scored is None else scored, truth.shape)
  if scored.sum(axis=-1).min() < 2:
    raise ValueError('every trial must have at least two scored samples.')
  errors = np.where(scored, predictions - truth, 0.0)
  spread = (_centre(truth, scored) ** 2).sum(-1)
  # What does not count stands behind all that does, and moves no rank of it.
  x, y = (
    _centre(stats.rankdata(np.where(scored, x, np.inf), axis=-1), scored)
    for x in (predictions, truth)
  )
  lengths = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
  defined = spread > 0
  rank = (x * y).sum(-1) / np.where(lengths > 0, lengths, 1)
  ratio = (errors**2).sum(-1) / np.where(defined, spread, 1)
  return {
    'r2': np.where(defined, 1 - ratio, np.nan),
    'mean_absolute_error': np.abs(errors).sum(-1) / scored.sum(-1),
    'spearman': np.where(defined, rank, np.nan),
  }


def _centre(values: np.ndarray, scored: np.ndarray) -> np.ndarray:
  """Return deviations from the mean of what is scored, 0 elsewhere."""
  total = np.where(scored, values, 0.0).sum(-1, keepdims=True)
  return np.where(scored, values - total / scored.sum(-1, keepdims=True), 0.0)
