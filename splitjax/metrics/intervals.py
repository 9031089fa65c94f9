"""Confidence intervals of means over trials, for a population that is named.

A figure has values `[S, R]`: `S` networks, and within each `R` draws of
auxiliary samples. All trials score (nearly) the same samples, so that a mean
varies for two reasons: other networks and draws, and other samples. What
other samples change is seen by deleting groups of samples, see
`jackknife.deleted`.

Let `A` be the mean square between networks (between draws, if there is one
network), `B` that between groups of samples, and `E` that of their
interaction, which `A` and `B` both contain. As networks and samples are
crossed, the mean has the variance `(A + B - E) / (number of entries)` (Owen,
"The pigeonhole bootstrap", 2007). Few networks tell little of `A`, thirty
groups much of `B`. So each has its own quantile `t` of Student's
distribution, and half the interval's width is the root of

  (t_A^2 A + t_B^2 (B - E)) / (number of entries),

at least that of `t_B^2 B`. `benchmarks/coverage.py` says how often such
intervals cover: about as often as they say; too often with two networks that
differ little; too rarely (95% ones 89 to 93% of the time) where a few networks,
draws or samples make most errors, of which a run has too few to show it.
"""

import numpy as np
import scipy

SHARE = (0.0, 1.0)
DIFFERENCE = (-1.0, 1.0)
REAL = (-np.inf, np.inf)

# Of measures by name; what is not listed may be any number.
_BOUNDS = {
  **dict.fromkeys(
    (
      'accuracy',
      'balanced_accuracy',
      'macro_f1',
      'oracle_accuracy',
      'f1',
      'auc',
      'auc_either_way',
      'coverage_at_99',
      'zero_share',
      'diverged',
      'auc_bound',
      'batch_auc_bound',
      'detection_error_bound',
      'one_class_share',
      'keep_probability',
    ),
    SHARE,
  ),
  'ari': DIFFERENCE,
  'canary_advantage': (-0.5, 0.5),
  'epsilon_lower': (0.0, np.inf),
  'spearman': DIFFERENCE,
  'r2': (-np.inf, 1.0),
  'mean_absolute_error': (0.0, np.inf),
}


def interval(
  values: np.ndarray,
  deleted: np.ndarray | None = None,
  *,
  bounds: tuple[float, float] = SHARE,
  num_samples: int | None = None,
  level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
  """Return a confidence interval of the mean over trials.

  It holds for the population that `population(S, R)` names. Several figures
  may be given at once, along leading axes. For the difference of two attacks
  by trial, give the differences of their values and of their `deleted`.

  Args:
    values: one figure for each of `S` networks and `R` auxiliary draws,
      `[..., S, R]`.
    deleted: the same figures without a group of samples, for each of `G`
      groups, `[..., G, S, R]`, from `jackknife.deleted`; None if no sample
      matters.
    bounds: least and largest value that the figure can have: `SHARE`,
      `DIFFERENCE` (of two shares), `REAL` or others. Between finite ones the
      interval is Wilson's and stays inside; otherwise it is Student's, cut at
      the bounds.
    num_samples: number of samples that are scored, for figures of which
      nothing is seen to vary, such as 'all right'.
    level: confidence, in `(0, 1)`.

  Returns:
    The lower and the upper end, each `[...]`. They are NaN if a value is, and
    if one trial has no `deleted`, which shows no variation at all.

  Raises:
    ValueError: if `values` is empty or has less than two axes, if `deleted`
      does not fit to it, or if `level` is not between 0 and 1.

  Example:
    >>> low, high = interval(np.array([[0.4, 0.6], [0.5, 0.7], [0.6, 0.6]]))
    >>> print(round(float(low), 2), round(float(high), 2))
    0.42 0.7
  """
  values = np.asarray(values, dtype=np.float64)
  _check(values, deleted, level)
  mean = values.mean((-2, -1))
  if deleted is not None:
    deleted = np.asarray(deleted, dtype=np.float64)
  square = _squared_reach(values, deleted, (1 + level) / 2)
  if not np.isfinite(bounds).all():
    reach = np.sqrt(square)
    return np.clip(mean - reach, *bounds), np.clip(mean + reach, *bounds)
  low, high = _wilson(mean, square, bounds)
  if num_samples is not None:
    still = square <= _rounding(values)
    reach = _unseen(num_samples, level) * (bounds[1] - bounds[0])
    low = np.where(still, mean - reach, low)
    high = np.where(still, mean + reach, high)
  return np.clip(low, *bounds), np.clip(high, *bounds)


def simultaneous(
  values: np.ndarray,
  deleted: np.ndarray | None = None,
  *,
  bounds: tuple[float, float] = DIFFERENCE,
  num_samples: int | None = None,
  level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
  """Return intervals of several figures that all hold together.

  Who picks the largest of `M` differences has had `M` chances. Each interval
  has the level `1 - (1 - level) / M` (Bonferroni), so that all of them cover
  at once with probability `level`, and so does that of the one picked.

  Args:
    values: figures of `M` attacks, such as what each reads more than a
      baseline does in the same trial, `[M, S, R]`.
    deleted: the same without a group of samples, `[M, G, S, R]`.
    bounds: as for `interval`, by default of differences of shares.
    num_samples: as for `interval`.
    level: probability that all intervals cover, in `(0, 1)`.

  Returns:
    The lower and the upper ends, each `[M]`.

  Raises:
    ValueError: if `values` has no three axes, and as for `interval`.

  Example:
    >>> values = np.array([[[0.4, 0.6, 0.5]], [[0.1, 0.0, 0.2]]])
    >>> low, high = simultaneous(values)
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.09, -0.25], [0.77, 0.43])
  """
  if np.ndim(values) != 3:
    raise ValueError(
      f'values must have shape [M, S, R], got {np.shape(values)}.'
    )
  each = 1 - (1 - level) / len(values)
  return interval(
    values, deleted, bounds=bounds, num_samples=num_samples, level=each
  )


def bounds_of(measure: str) -> tuple[float, float]:
  """Return the least and the largest value of a measure.

  Args:
    measure: its name in the results, such as 'accuracy'.

  Returns:
    The bounds, infinite for a measure that is not known.

  Example:
    >>> bounds_of('accuracy')
    (0.0, 1.0)
  """
  return _BOUNDS.get(measure, SHARE if measure.startswith('chose_') else REAL)


def population(num_networks: int, num_draws: int) -> str:
  """Return for what an interval holds, in words.

  Args:
    num_networks: networks whose figures went into it, `S`.
    num_draws: draws of auxiliary samples of each, `R`.

  Returns:
    What would be drawn anew, and what stays.

  Example:
    >>> population(1, 20)
    'this network, fresh draws and samples'
  """
  if num_networks > 1:
    return 'fresh networks, draws and samples'
  if num_draws > 1:
    return 'this network, fresh draws and samples'
  return 'this network and this draw, fresh samples'


def _check(
  values: np.ndarray, deleted: np.ndarray | None, level: float
) -> None:
  """Raise ValueError if shapes or the level are wrong."""
  if values.ndim < 2 or not values.size:
    raise ValueError(f'values must have shape [..., S, R], got {values.shape}.')
  if deleted is not None:
    shape = np.shape(deleted)
    fits = shape[:-3] + shape[-2:] == values.shape
    if len(shape) != values.ndim + 1 or not fits or shape[-3] < 2:
      raise ValueError(
        f'deleted must have shape [..., G, S, R] with G > 1 for values '
        f'{values.shape}, got {shape}.'
      )
  if not 0 < level < 1:
    raise ValueError(f'level must lie between 0 and 1, got {level}.')


def _squared_reach(
  values: np.ndarray, deleted: np.ndarray | None, quantile: float
) -> np.ndarray:
  """Return the square of half the width of Student's interval."""
  units, axis = _units(values)
  num_units = units.shape[-1]
  of_units = scipy.stats.t.ppf(quantile, max(num_units - 1, 1)) ** 2
  between = of_units * _variance(units) / num_units
  if deleted is None:
    return between
  num_groups = deleted.shape[-3]
  of_groups = scipy.stats.t.ppf(quantile, num_groups - 1) ** 2
  # Jackknife pseudo-values: what each group of samples says alone.
  pseudo = num_groups * values[..., None, :, :] - (num_groups - 1) * deleted
  pseudo = pseudo.mean(axis)  # [..., G, units]
  samples = of_groups * _variance(pseudo.mean(-1)) / num_groups
  if num_units == 1:
    return samples
  both = of_groups * _interaction(pseudo) / (num_units * num_groups)
  return np.maximum(samples, between + samples - both)


def _units(values: np.ndarray) -> tuple[np.ndarray, int]:
  """Return what varies freely, and the axis over which the rest is averaged.

  These are networks, with the mean of their draws; of one network its draws.
  """
  axis = -1 if values.shape[-2] > 1 else -2
  return values.mean(axis), axis


def _variance(values: np.ndarray) -> np.ndarray:
  """Return the variance along the last axis, NaN for a single value."""
  if values.shape[-1] == 1:
    return np.full(values.shape[:-1], np.nan)
  return values.var(-1, ddof=1)


def _interaction(table: np.ndarray) -> np.ndarray:
  """Return the mean square of the interaction of rows and columns."""
  rows, columns = table.shape[-2:]
  rest = table - table.mean(-1, keepdims=True) - table.mean(-2, keepdims=True)
  rest = rest + table.mean((-2, -1), keepdims=True)
  return (rest**2).sum((-2, -1)) / ((rows - 1) * (columns - 1))


def _wilson(
  mean: np.ndarray, square: np.ndarray, bounds: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
  """Return Wilson's interval of as many samples as would vary as much."""
  low, span = bounds[0], bounds[1] - bounds[0]
  share = (mean - low) / span
  # z^2 / n, where n samples vary as much.
  width = square / span**2 / np.maximum(share * (1 - share), 1e-12)
  centre = (share + width / 2) / (1 + width)
  reach = np.sqrt(width * share * (1 - share) + width**2 / 4) / (1 + width)
  return low + span * (centre - reach), low + span * (centre + reach)


def _rounding(values: np.ndarray) -> np.ndarray:
  """Return a variance that is nothing but rounding."""
  return (1e-12 * np.maximum(np.abs(values).max((-2, -1)), 1)) ** 2


def _unseen(num_samples: int, level: float) -> float:
  """Return how far from 0 a share may be if none of all samples has it."""
  width = float(scipy.stats.norm.ppf((1 + level) / 2)) ** 2
  return width / (num_samples + width)
