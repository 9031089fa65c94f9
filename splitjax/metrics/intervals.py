"""Confidence intervals of means over trials."""

import numpy as np


def bootstrap_interval(
  values: np.ndarray,
  *,
  level: float = 0.95,
  num_resamples: int = 2000,
  seed: int = 0,
) -> tuple[float, float]:
  """Return a percentile bootstrap interval of the mean over trials.

  Trials of one seed share a trained model. So seeds are resampled first, and
  then the auxiliary draws within each seed: the interval covers the variation
  of both.

  Args:
    values: one value for each of `S` seeds and `R` auxiliary draws, `[S, R]`.
    level: share of the resampled means inside the interval, in `(0, 1)`.
    num_resamples: number of bootstrap resamples.
    seed: seed of the resampling.

  Returns:
    The lower and the upper end; both are NaN if there is only one trial.

  Raises:
    ValueError: if `values` is empty or not of two axes.

  Example:
    >>> low, high = bootstrap_interval(np.array([[0.4, 0.6], [0.5, 0.7]]))
    >>> 0.4 <= low < 0.55 < high <= 0.7
    True
    >>> bootstrap_interval(np.array([[0.4]]))
    (nan, nan)
  """
  values = np.asarray(values, dtype=np.float64)
  if values.ndim != 2 or not values.size:
    raise ValueError(f'values must have shape [S, R], got {values.shape}.')
  if values.size == 1:
    return float('nan'), float('nan')
  num_seeds, num_draws = values.shape
  rng = np.random.default_rng(seed)
  seeds = rng.integers(num_seeds, size=(num_resamples, num_seeds, 1))
  draws = rng.integers(num_draws, size=(num_resamples, num_seeds, num_draws))
  means = values[seeds, draws].mean((1, 2))
  low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
  return float(low), float(high)
