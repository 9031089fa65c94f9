"""Measures of predicted real targets.

Everything runs on the host, in NumPy and float64. Leading axes are trials.
"""

import numpy as np
import scipy


def measure_targets(
  predictions: np.ndarray, truth: np.ndarray, scored: np.ndarray | None = None
) -> dict[str, np.ndarray]:
  """Measure how near predicted targets are to the true ones.

  Args:
    predictions: predicted targets, `[..., N]`.
    truth: true targets, of a shape that broadcasts with `predictions`.
    scored: mask of the samples that count, of a shape that broadcasts with
      `predictions`; all samples by default.

  Returns:
    Three measures by name, each `[...]`:

    - `r2`: the share of the truth's variance that is explained, at most 1. It
      is negative where the mean of the truth would be a better prediction.
    - `mean_absolute_error`: in the units of the truth.
    - `spearman`: the rank correlation in `[-1, 1]`, 0 where all predictions are
      equal.

    `r2` and `spearman` are NaN for a trial in which all true targets are equal.

  Raises:
    ValueError: if fewer than two samples of a trial count.

  Example:
    >>> found = measure_targets(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    >>> {name: round(float(value), 2) for name, value in found.items()}
    {'r2': -1.0, 'mean_absolute_error': 0.5, 'spearman': 1.0}
  """
  predictions = np.asarray(predictions, dtype=np.float64)
  truth = np.broadcast_to(truth, predictions.shape).astype(np.float64)
  scored = np.broadcast_to(True if scored is None else scored, truth.shape)
  if scored.sum(axis=-1).min() < 2:
    raise ValueError('every trial must have at least two scored samples.')
  errors = np.where(scored, predictions - truth, 0.0)
  spread = (_centre(truth, scored) ** 2).sum(-1)
  # Samples that do not count are ranked last, where they move no other rank.
  x, y = (
    _centre(scipy.stats.rankdata(np.where(scored, x, np.inf), axis=-1), scored)
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
  """Return deviations from the mean of the scored samples, 0 for the rest."""
  total = np.where(scored, values, 0.0).sum(-1, keepdims=True)
  return np.where(scored, values - total / scored.sum(-1, keepdims=True), 0.0)
