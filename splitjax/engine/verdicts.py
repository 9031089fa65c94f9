"""The verdict that ends a run: the rule of the audit on the run's rows."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from splitjax import metrics
from splitjax.metrics import Figure
from splitjax.records.intermediates import INTERMEDIATES
from splitjax.records.intermediates import Name
from splitjax.reports import verdict
from splitjax.results import ANY
from splitjax.results import Row
from splitjax.results import Setting
from splitjax.results import cell_of

LIMIT = 0.05  # Leakage that is allowed, as a share.
_GUESSES = ('majority', 'chance')


def judge(
  rows: Sequence[Row],
  settings: Iterable[Setting] | None = None,
  *,
  limit: float = LIMIT,
) -> dict[str, Any] | None:
  """Judge a run by the rule of the audit.

  Args:
    rows: the rows of the run.
    settings: what is judged together: the undivided cut, or several; all by
      default.
    limit: leakage that is allowed, as a share.

  Returns:
    What an audit says of it, in its form and in percent: 'verdict', 'limit',
    'measure', 'leakage', 'strongest', 'baseline', 'references', 'audited',
    'summary'. None if no attack on classes read anything.
  """
  wanted = None if settings is None else set(settings)
  judged = [
    row
    for row in rows
    if 'deleted' in row and (wanted is None or cell_of(row).setting in wanted)
  ]
  guesses = {
    row['attack']: row['mean']
    for row in judged
    if row['attack'] in _GUESSES and row['measure'] == 'accuracy'
  }
  if len(guesses) < len(_GUESSES):
    return None
  sizes = _class_sizes(guesses['majority'], round(1 / guesses['chance']))
  measures = metrics.judged_by(sizes)
  judged = [row for row in judged if row['measure'] in measures]
  reads = [row for row in judged if _leaks(row)]
  baselines = [_baselines(row, judged) for row in reads]
  if not reads or not all(baselines):
    return None
  found = metrics.judge(
    [_figure(row) for row in reads],
    [{k: _figure(v) for k, v in one.items()} for one in baselines],
    limit=limit,
  )
  read, leakage = reads[found.deciding], found.leakages[found.deciding]
  above = baselines[found.deciding][leakage.baseline]
  measure = read['measure']
  chance = [x for x in judged if x['attack'] == 'chance' and _beside(x, read)]
  title = INTERMEDIATES[Name(read['intermediate'])].title
  content = {
    'verdict': found.verdict,
    'limit': 100 * limit,
    'measure': measure,
    'leakage': {x: 100 * getattr(leakage, x) for x in ('mean', 'low', 'high')},
    'strongest': {
      'name': read['attack'],
      'place': f'{title} ({read["attack"]}{_party_of(read)})',
      'phase': read['phase'],
      measure: _percent(read),
    },
    'baseline': {'name': str(leakage.baseline), measure: _percent(above)},
    'references': [
      {'phase': read['phase'], 'name': 'chance', measure: _percent(one)}
      for one in chance[:1]
    ],
    'audited': {
      'known_labels': read['num_aux'],
      'classes': len(sizes),
      'class_sizes': sizes.tolist(),
    },
  }
  return {**content, 'summary': verdict.summary(content)}


def _class_sizes(majority: float, num_classes: int) -> np.ndarray:
  """Return shares of classes of which the largest is known."""
  rest = (1 - majority) / max(num_classes - 1, 1)
  return np.array([majority] + [rest] * (num_classes - 1))


def _leaks(row: Row) -> bool:
  """Return whether a row is of an attack on what crosses the cut."""
  name = Name(row['intermediate'])
  return name != Name.NONE and INTERMEDIATES[name].leaks


def _party_of(row: Row) -> str:
  """Return which of several parties reads, in words."""
  party = cell_of(row).setting.party
  return f', party {party}' if party[:1].isdigit() else ''


def _beside(other: Row, row: Row) -> bool:
  """Return whether rows are of one phase and measure."""
  return all(other[x] == row[x] for x in ('phase', 'measure'))


def _of_others(other: Row, row: Row) -> bool:
  """Return whether a row is of other parties than another."""
  return cell_of(other).setting.party not in (ANY, cell_of(row).setting.party)


def _baselines(row: Row, judged: Sequence[Row]) -> dict[Hashable, Row]:
  """Return what is read in the same trials without the cut, by name."""
  found: dict[Hashable, Row] = {}
  for other in judged:
    if not _beside(other, row) or _leaks(other) or _of_others(other, row):
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
