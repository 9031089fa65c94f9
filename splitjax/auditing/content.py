"""The content of an audit: plain values of all that was found."""

from collections.abc import Mapping, Sequence
import dataclasses
import math
from typing import Any

import numpy as np

from splitjax import metrics
from splitjax.auditing.attacking import Figures
from splitjax.auditing.attacking import Read
from splitjax.auditing.judging import Case
from splitjax.auditing.judging import Finding
from splitjax.auditing.options import Options
from splitjax.auditing.preparing import Prepared
from splitjax.auditing.result import FORMAT
from splitjax.auditing.result import VERSION
from splitjax.metrics import Figure
from splitjax.metrics import Leakage
from splitjax.reports import verdict

_PERCENT = 100.0


def make(
  prepared: Prepared,
  options: Options,
  reads: Sequence[Read],
  finding: Finding,
  not_tried: Sequence[tuple[str, str]],
) -> dict[str, Any]:
  """Return what `audit.json` holds but versions and digests.

  Args:
    prepared: what was attacked.
    options: how.
    reads: what attacks read.
    finding: the verdict.
    not_tried: what was not tried, and why.

  Returns:
    JSON values.
  """
  case = finding.deciding
  read = case.read
  content: dict[str, Any] = {
    'format': FORMAT,
    'version': VERSION,
    'verdict': finding.verdict,
    'limit': options.limit,
    'level': options.level,
    'unit': 'percent',
    'measure': case.measure,
    'leakage': _leakage(case.leakage),
    'population': metrics.population(*_trials(read)),
    'strongest': {
      'name': read.attack,
      'place': read.place.title,
      'phase': read.place.phase.value,
      **_figures(read.figures, options.level, read.num_scored),
    },
    'baseline': {
      'name': str(case.leakage.baseline),
      **_figures(case.above, options.level),
    },
    'attacks': [_attack(one, finding, options) for one in reads],
    'references': [
      {'phase': phase.value, 'name': name, **_figures(found, options.level)}
      for phase, by_name in finding.guesses.items()
      for name, found in by_name.items()
    ],
    'not_tried': [{'what': what, 'why': why} for what, why in not_tried],
    'needed': _needed(prepared, finding, options),
    'audited': _audited(prepared),
    'options': dataclasses.asdict(options),
  }
  if read.confusion is not None and read.recall is not None:
    shares = read.confusion / np.maximum(read.confusion.sum(1)[:, None], 1)
    content['confusion'] = (_PERCENT * shares).round(2).tolist()
    content['recall'] = [
      {'class': name, **figure_of(one, 'accuracy', options.level)}
      for name, one in zip(prepared.class_names or (), read.recall, strict=True)
    ]
  content['summary'] = verdict.summary(content)
  return content


def _trials(read: Read) -> tuple[int, int]:
  """Return the numbers of runs and of draws."""
  values = next(
    x.values for x in read.figures.values() if np.ndim(x.values) == 2
  )
  return values.shape[0], values.shape[1]


def figure_of(
  figure: Figure, measure: str, level: float, num_samples: int | None = None
) -> dict[str, Any]:
  """Return mean and interval of a figure, in percent.

  Args:
    figure: the figure.
    measure: what it is, which says its bounds.
    level: of the interval.
    num_samples: samples that were scored, for what does not vary at all.

  Returns:
    'mean', 'low' and 'high'; None where nothing can be said.
  """
  values = np.asarray(figure.values, np.float64)
  if np.isnan(values).any():
    known = values[~np.isnan(values)]
    mean = known.mean() if known.size else math.nan
    return {'mean': _number(mean), 'low': None, 'high': None}
  low, high = metrics.interval(
    values,
    figure.deleted,
    bounds=metrics.bounds_of(measure),
    num_samples=num_samples,
    level=level,
  )
  return {
    'mean': _number(values.mean()),
    'low': _number(low),
    'high': _number(high),
  }


def _number(share: Any) -> float | None:
  """Return a share in percent, None if it is not finite."""
  value = _PERCENT * float(share)
  return round(value, 4) if math.isfinite(value) else None


def _figures(
  found: Figures, level: float, num_samples: int | None = None
) -> dict[str, Any]:
  """Return all figures of an attack, and its worst and best draw."""
  shown = {
    name: figure_of(one, name, level, num_samples)
    for name, one in found.items()
    if name not in ('mean_absolute_error', 'auc_either_way')
  }
  if 'accuracy' in found:
    values = found['accuracy'].values
    for name, value in (
      ('worst_draw', values.min()),
      ('best_draw', values.max()),
    ):
      shown[name] = {'mean': _number(value), 'low': None, 'high': None}
  return shown


def _leakage(leakage: Leakage) -> dict[str, Any]:
  """Return a leakage in points."""
  return {
    'mean': _number(leakage.mean),
    'low': _number(leakage.low),
    'high': _number(leakage.high),
  }


def _attack(read: Read, finding: Finding, options: Options) -> dict[str, Any]:
  """Return what one attack read, and its own verdict."""
  cases = [one for one in finding.cases if one.read is read]
  shown: dict[str, Any] = {
    'phase': read.place.phase.value,
    'intermediate': read.place.name.value,
    'place': read.place.title,
    'num_passes': read.place.num_passes,
    'attack': read.attack,
    'leaks': read.place.leaks,
    'leakage': None,
  }
  if cases:
    limit = options.limit / _PERCENT
    verdict_of = _verdict_of(cases, limit)
    case = _worst(cases, verdict_of)
    shown |= {
      'measure': case.measure,
      'leakage': _leakage(case.leakage),
      'baseline': str(case.leakage.baseline),
      'verdict': verdict_of,
    }
  return shown | _figures(read.figures, options.level, read.num_scored)


def _worst(cases: Sequence[Case], verdict: str) -> Case:
  """Return the case of an attack that decides, of several measures."""
  end = 'low' if verdict == metrics.FAIL else 'high'
  return max(cases, key=lambda one: getattr(one.leakage, end))


def _verdict_of(cases: Sequence[Case], limit: float) -> str:
  """Return the verdict of one attack alone."""
  if any(one.leakage.low > limit for one in cases):
    return metrics.FAIL
  if all(one.leakage.high < limit for one in cases):
    return metrics.PASS
  return metrics.INCONCLUSIVE


def _needed(
  prepared: Prepared, finding: Finding, options: Options
) -> dict[str, Any] | None:
  """Return what would decide, where that is open."""
  if finding.verdict != metrics.INCONCLUSIVE:
    return None
  read = finding.deciding.read
  num_runs, num_draws = _trials(read)
  found = metrics.needed(
    finding.deciding.leakage,
    options.limit / _PERCENT,
    num_samples=np.asarray(read.labels).size,
    num_draws=num_runs * num_draws,
  )
  if found is None:
    return {'words': 'the leakage lies on the limit: no number would decide'}
  text = (
    f'some {found["samples"]:,} samples, {found["draws"]:,} draws '
    '(--num_aux_draws), or several runs, would decide'
  )
  return {**found, 'words': text}


def _audited(prepared: Prepared) -> dict[str, Any]:
  """Return what was audited."""
  run = prepared.runs[0]
  widths = {name: one.width for name, one in run.arrays.items()}
  if run.passes:
    widths = {'cut_grads': run.passes[0].width, **widths}
  found: dict[str, Any] = {
    'samples': len(prepared.ids[0]),
    'test_samples': len(prepared.test_rows[0]),
    'widths': widths,
    'width': next(iter(widths.values())),
    'passes': len(run.passes),
    'runs': len(prepared.runs),
    'draws': len(prepared.auxiliary[0].ids),
    'known_labels': prepared.num_aux,
    'files': [path for one in prepared.runs for path in one.paths],
    'notes': list(prepared.notes),
  }
  if prepared.class_names is not None:
    sizes = np.bincount(prepared.labels[0], minlength=len(prepared.class_names))
    found |= {
      'classes': len(prepared.class_names),
      'class_names': list(prepared.class_names),
      'class_sizes': sizes.tolist(),
    }
  return found


def picture_of(
  points: np.ndarray, labels: Mapping[str, np.ndarray]
) -> dict[str, Any]:
  """Return points of the plane, with what is true and what was read.

  Args:
    points: coordinates, `[n, 2]`.
    labels: classes 'true' and 'read', `[n]` each.

  Returns:
    JSON values.
  """
  return {
    'x': points[:, 0].round(4).tolist(),
    'y': points[:, 1].round(4).tolist(),
    **{name: one.tolist() for name, one in labels.items()},
  }
