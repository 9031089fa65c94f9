"""The verdict that ends a run: the rule of the audit on the run's rows."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from splitjax import metrics
from splitjax.metrics import Figure
from splitjax.records.intermediates import INTERMEDIATES
from splitjax.records.intermediates import Name
from splitjax.reports import verdict
from splitjax.results import Row
from splitjax.results import Setting

LIMIT = 0.05  # Leakage that is allowed, as a share.
_GUESSES = ('majority', 'chance')


def in_words(
  rows: Sequence[Row],
  settings: Iterable[Setting],
  class_sizes: np.ndarray,
  *,
  limit: float = LIMIT,
) -> str:
  """Judge a run, and say it in words.

  Args:
    rows: the rows of the run, of classes.
    settings: what is judged together: the undivided cut, or several.
    class_sizes: samples of each class in the training set.
    limit: leakage that is allowed, as a share.

  Returns:
    The verdict as the audit words it; nothing if nothing was read.
  """
  wanted = set(settings)
  judged = [
    row
    for row in rows
    if row['measure'] in metrics.judged_by(class_sizes)
    and 'deleted' in row
    and Setting(*(row[x] for x in Setting._fields)) in wanted
  ]
  reads = [row for row in judged if _leaks(row)]
  if not reads:
    return ''
  baselines = [_baselines(row, judged) for row in reads]
  if not all(baselines):
    return ''
  found = metrics.judge(
    [_figure(row) for row in reads],
    [{k: _figure(v) for k, v in one.items()} for one in baselines],
    limit=limit,
  )
  read, leakage = reads[found.deciding], found.leakages[found.deciding]
  above = baselines[found.deciding][leakage.baseline]
  guess = next(
    (x for x in judged if x['attack'] == 'chance' and _beside(x, read)), None
  )
  title = INTERMEDIATES[Name(read['intermediate'])].title
  return verdict.summary(
    {
      'measure': read['measure'],
      'verdict': found.verdict,
      'limit': 100 * limit,
      'leakage': {
        x: 100 * getattr(leakage, x) for x in ('mean', 'low', 'high')
      },
      'strongest': {
        'place': f'{title} ({read["attack"]})',
        'phase': read['phase'],
        read['measure']: _percent(read),
      },
      'baseline': {
        'name': str(leakage.baseline),
        read['measure']: _percent(above),
      },
      'references': []
      if guess is None
      else [
        {
          'phase': read['phase'],
          'name': 'chance',
          read['measure']: _percent(guess),
        }
      ],
      'audited': {
        'known_labels': read['num_aux'],
        'classes': len(class_sizes),
        'class_sizes': class_sizes.tolist(),
      },
    }
  )


def _leaks(row: Row) -> bool:
  """Return whether a row is of an attack on what crosses the cut."""
  name = Name(row['intermediate'])
  return name != Name.NONE and INTERMEDIATES[name].leaks


def _beside(other: Row, row: Row) -> bool:
  """Return whether rows are of one phase and measure."""
  return all(other[x] == row[x] for x in ('phase', 'measure'))


def _baselines(row: Row, judged: Sequence[Row]) -> dict[Hashable, Row]:
  """Return what is read in the same trials without the cut, by name."""
  found: dict[Hashable, Row] = {}
  for other in judged:
    if not _beside(other, row) or _leaks(other):
      continue
    if np.size(other['values']) != np.size(row['values']):
      continue
    if other['attack'] in _GUESSES:
      found[other['attack']] = other
    elif other['attack'] != 'model':
      title = INTERMEDIATES[Name(other['intermediate'])].title
      name = title.removeprefix('no leak: ')
      found[f'{other["attack"]} on {name}'] = other
  return found


def _figure(row: Row) -> Figure:
  """Return the trials of a row."""
  return Figure(np.asarray(row['values']), np.asarray(row['deleted']))


def _percent(row: Row) -> dict[str, Any]:
  """Return mean and interval of a row in percent."""
  named = {'mean': 'mean', 'low': 'ci_low', 'high': 'ci_high'}
  return {
    name: None if row[key] is None else 100 * row[key]
    for name, key in named.items()
  }
