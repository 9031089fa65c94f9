"""Figures of an audit as texts: a mean with the ends of its interval."""

from collections.abc import Iterable, Mapping
import math
from typing import Any

# A mean, and the ends of its interval where they are known.
Figure = Mapping[str, float | None]

# What an audit calls a measure, and what a reader does, in reading order.
MEASURES = {
  'accuracy': 'accuracy',
  'balanced_accuracy': 'balanced accuracy',
  'r2': 'R2',
  'mean_absolute_error': 'mean absolute error',
  'spearman': 'Spearman correlation',
  'macro_f1': 'macro F1',
  'ari': 'adjusted Rand index',
  'auc': 'AUC',
  'coverage_at_99': 'share read at 99% precision',
  'worst_draw': 'worst draw',
  'best_draw': 'best draw',
  'canary_advantage': 'advantage on canaries',
  'epsilon_lower': 'epsilon, at least',
}
_NOT_MEASURES = ('leakage',)


def words(name: str) -> str:
  """Return a name as a reader sees it.

  Args:
    name: of a measure, an attack or an option.

  Returns:
    The words.

  Example:
    >>> words('macro_f1'), words('learning_based')
    ('macro F1', 'learning based')
  """
  return MEASURES.get(name, name.replace('_', ' '))


def number(value: Any) -> float | None:
  """Return a finite number, or None for whatever else a file may hold."""
  if isinstance(value, bool) or not isinstance(value, int | float):
    return None
  return float(value) if math.isfinite(value) else None


def mean(figure: Any) -> float | None:
  """Return the mean of a figure, None if there is none."""
  return number(figure.get('mean')) if isinstance(figure, Mapping) else None


def ends(figure: Any) -> tuple[float, float] | None:
  """Return the ends of a figure's interval, None if they are not known."""
  if not isinstance(figure, Mapping):
    return None
  low, high = number(figure.get('low')), number(figure.get('high'))
  return None if low is None or high is None else (low, high)


def text(figure: Any, *, signed: bool = False, interval: bool = True) -> str:
  """Return a figure as a table shows it.

  Args:
    figure: mean, low and high in percent or percentage points; the ends may be
      None, and so may all of it.
    signed: whether to write the sign of a positive mean, as for differences.
    interval: whether to add the interval, if it is known.

  Returns:
    The text, empty where nothing is known.

  Example:
    >>> text({'mean': 24.13, 'low': 22.7, 'high': 25.4})
    '24.1 [22.7, 25.4]'
    >>> text({'mean': -0.04, 'low': None, 'high': None}, signed=True)
    '0.0'
  """
  middle, found = mean(figure), ends(figure)
  if middle is None:
    return ''
  shown = _rounded(middle, signed)
  if found is None or not interval:
    return shown
  low, high = (_rounded(end) for end in found)
  return f'{shown} [{low}, {high}]'


def _rounded(value: float, signed: bool = False) -> str:
  """Return a number with one digit; zero has no sign."""
  value = round(value, 1) or 0.0
  return f'{value:+.1f}' if signed and value else f'{value:.1f}'


def measures_of(entries: Iterable[Mapping[str, Any]]) -> list[str]:
  """Return the measures that any of several entries has, in reading order.

  Args:
    entries: attacks or references of an audit.

  Returns:
    Names, those of `MEASURES` first.
  """
  found = dict.fromkeys(
    name
    for entry in entries
    for name, value in entry.items()
    if mean(value) is not None and name not in _NOT_MEASURES
  )
  known = [name for name in MEASURES if name in found]
  return known + [name for name in found if name not in MEASURES]
