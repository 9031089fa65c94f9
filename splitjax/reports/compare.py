"""Several audits beside each other: before and after, or two versions."""

from collections.abc import Mapping
import math
import pathlib
import tempfile
from typing import NamedTuple

import tabulate

from splitjax.reports import audit_page
from splitjax.reports import audit_plots
from splitjax.reports import compare_plots
from splitjax.reports import figures
from splitjax.reports import markup
from splitjax.reports.audit_groups import Audit
from splitjax.reports.audit_groups import measure_of
from splitjax.reports.tables import Table

_INDEPENDENT = (
  'A difference is the leakage of an audit minus that of the first. Its '
  'interval treats the two audits as independent: the distances to the ends '
  'of both intervals are added in quadrature.'
)
_SHARED = (
  'Some audits read the same files ({}), so they are not independent, and '
  'the intervals of their differences are approximate.'
)


class Compared(NamedTuple):
  """One of several audits, as texts.

  Attributes:
    name: what it is called.
    verdict: 'pass', 'fail' or 'inconclusive'.
    leakage: in percentage points.
    difference: of the leakage to that of the first audit, empty for the first.
    strongest: what the strongest attack reads, in percent.
    baseline: what is read without the cut, in percent.
    place: what the strongest attack reads from.
  """

  name: str
  verdict: str
  leakage: str
  difference: str
  strongest: str
  baseline: str
  place: str


def difference(first: Audit, other: Audit) -> figures.Figure:
  """Return by how much more an audit leaks than another, with an interval.

  The audits are treated as independent. Each end of the interval takes the
  nearer end of one leakage and the farther end of the other: the distances of
  these ends to their means are added in quadrature, which also holds for
  intervals that are not symmetric.

  Args:
    first: the content of an `audit.json`, to compare with.
    other: the content of another.

  Returns:
    Mean, low and high in percentage points; None where they are not known.

  Example:
    >>> one = {'leakage': {'mean': 50.0, 'low': 47.0, 'high': 53.0}}
    >>> two = {'leakage': {'mean': 10.0, 'low': 6.0, 'high': 14.0}}
    >>> difference(one, two)
    {'mean': -40.0, 'low': -45.0, 'high': -35.0}
  """
  means = [figures.mean(one.get('leakage')) for one in (first, other)]
  base, mean = means
  if base is None or mean is None:
    return {'mean': None, 'low': None, 'high': None}
  ends = [figures.ends(one.get('leakage')) for one in (first, other)]
  of_base, of_mean = ends
  if of_base is None or of_mean is None:
    return {'mean': mean - base, 'low': None, 'high': None}
  return {
    'mean': mean - base,
    'low': mean - base - math.hypot(mean - of_mean[0], of_base[1] - base),
    'high': mean - base + math.hypot(of_mean[1] - mean, base - of_base[0]),
  }


def to_text(audits: Mapping[str, Audit]) -> str:
  """Return a table of several audits for a terminal, and how to read it.

  Args:
    audits: contents of `audit.json` files by the name of each system; the
      first is what the others are compared with.

  Returns:
    The text.

  Raises:
    ValueError: if there is none, or if they differ in their measure.
  """
  rows = _compared(audits)
  table = tabulate.tabulate(
    [one._replace(verdict=one.verdict.upper()) for one in rows],
    headers=[*_head(audits), 'strongest reads'],
    tablefmt='simple',
    disable_numparse=True,
    colalign=['left', 'left', *['right'] * 4, 'left'],
  )
  return '\n'.join([table, '', *notes(audits)])


def write(audits: Mapping[str, Audit], out_dir: pathlib.Path) -> None:
  """Write `compare.html`: the table, a plot, and how to read them.

  Args:
    audits: contents of `audit.json` files by the name of each system; the
      first is what the others are compared with.
    out_dir: a folder, made if it is not there.

  Raises:
    ValueError: if there is none, or if they differ in their measure.
  """
  rows = _compared(audits)
  out_dir = pathlib.Path(out_dir)
  out_dir.mkdir(parents=True, exist_ok=True)
  page = markup.render(
    'compare.html',
    head=_head(audits),
    rows=rows,
    notes=notes(audits),
    plot=_plot(audits),
    summaries=[
      (name, audit['summary'])
      for name, audit in audits.items()
      if audit.get('summary')
    ],
    settings=_settings(audits),
  )
  markup.write(out_dir / 'compare.html', page)


def notes(audits: Mapping[str, Audit]) -> list[str]:
  """Return what a reader must know about a comparison, as sentences."""
  found = [_INDEPENDENT] if len(audits) > 1 else []
  for name, title in (
    ('limit', 'limits'),
    ('level', 'levels of the intervals'),
    ('population', 'populations of the intervals'),
  ):
    values = {
      str(audit[name]): None for audit in audits.values() if name in audit
    }
    if len(values) > 1:
      found.append(f'The {title} differ: {"; ".join(values)}.')
  files = [dict(audit.get('digests') or {}) for audit in audits.values()]
  digests = [digest for one in files for digest in set(one.values())]
  shared = {
    str(name): None
    for one in files
    for name, digest in one.items()
    if digests.count(digest) > 1
  }
  if shared:
    found.append(_SHARED.format(', '.join(shared)))
  return found


def _compared(audits: Mapping[str, Audit]) -> list[Compared]:
  """Return the rows of the table."""
  if not audits:
    raise ValueError('There is no audit to compare.')
  measures = sorted({measure_of(audit) for audit in audits.values()})
  if len(measures) > 1:
    raise ValueError(f'The audits measure different things: {measures}.')
  first = next(iter(audits.values()))
  rows = []
  for name, audit in audits.items():
    audit_page.check_verdict(audit)
    measure = audit.get('measure', 'accuracy')
    strongest = audit.get('strongest') or {}
    change = None if audit is first else difference(first, audit)
    rows.append(
      Compared(
        str(name),
        audit['verdict'],
        figures.text(audit.get('leakage')),
        figures.text(change, signed=True),
        figures.text(strongest.get(measure)),
        figures.text((audit.get('baseline') or {}).get(measure)),
        str(strongest.get('place') or ''),
      )
    )
  return rows


def _head(audits: Mapping[str, Audit]) -> list[str]:
  """Return the names of the columns."""
  measure = measure_of(next(iter(audits.values())))
  return [
    'system',
    'verdict',
    'leakage, points',
    'difference',
    f'{measure} of strongest, %',
    'without the cut, %',
  ]


def _settings(audits: Mapping[str, Audit]) -> Table:
  """Return a table of the options in which the audits differ."""
  options = {
    str(name): audit.get('options') or {} for name, audit in audits.items()
  }
  names = dict.fromkeys(name for one in options.values() for name in one)
  body = [
    [figures.words(name), *(str(one.get(name, '')) for one in options.values())]
    for name in names
  ]
  return Table(
    'settings that differ',
    ['setting', *options],
    [row for row in body if len(set(row[1:])) > 1],
  )


def _plot(audits: Mapping[str, Audit]) -> markup.Picture | None:
  """Draw the leakage of all audits; None if no leakage is known."""
  if not any(
    figures.mean(one.get('leakage')) is not None for one in audits.values()
  ):
    return None
  images = []
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, 'plot.png')
    for width in (audit_plots.WIDE, audit_plots.NARROW):
      for dark in (False, True):
        compare_plots.leakages(audits, path, width=width, dark=dark)
        images.append(markup.read_image(path))
  return markup.Picture(*images)
