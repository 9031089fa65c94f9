"""The report of an audit: one self-contained page."""

from collections.abc import Callable, Mapping
import pathlib
import tempfile
from typing import Any

from splitjax.reports import audit_plots
from splitjax.reports import class_plots
from splitjax.reports import figures
from splitjax.reports import markup
from splitjax.reports import tables
from splitjax.reports.audit_groups import Audit
from splitjax.reports.audit_groups import groups_of

VERDICTS = ('pass', 'fail', 'inconclusive')


def write_audit(audit: Audit, out_dir: pathlib.Path) -> None:
  """Write `report.html`, which needs no other file, no script and no network.

  Args:
    audit: the content of an `audit.json`; whatever it lacks is left out.
    out_dir: a folder, made if it is not there.

  Raises:
    ValueError: if the verdict is none that an audit gives.
  """
  check_verdict(audit)
  out_dir = pathlib.Path(out_dir)
  out_dir.mkdir(parents=True, exist_ok=True)
  page = markup.render('audit.html', **_values(audit))
  markup.write(out_dir / 'report.html', page)


def check_verdict(audit: Audit) -> None:
  """Raise a ValueError if the verdict of an audit is not one of three."""
  if audit.get('verdict') not in VERDICTS:
    raise ValueError(
      f'An audit says one of {VERDICTS}, got {audit.get("verdict")!r}.'
    )


def headline(audit: Audit) -> str:
  """Return the leakage with its interval and the limit, in words.

  Args:
    audit: the content of an `audit.json`.

  Returns:
    Half a sentence, empty if the leakage is not known.

  Example:
    >>> headline({'leakage': {'mean': 2, 'low': 1, 'high': 3}, 'limit': 5})
    '2.0 [1.0, 3.0] points of leakage, limit 5'
  """
  leakage = figures.text(audit.get('leakage'))
  limit = figures.number(audit.get('limit'))
  if not leakage:
    return ''
  return f'{leakage} points of leakage' + (
    '' if limit is None else f', limit {limit:g}'
  )


def needed(audit: Audit) -> str:
  """Return what would decide an audit, in words; empty if that is not known."""
  given = audit.get('needed') or {}
  if given.get('words'):
    return str(given['words'])
  found = [
    f'{given[name]:,} {name}'
    for name in ('samples', 'draws')
    if figures.number(given.get(name)) is not None
  ]
  return f'{" or ".join(found)} would decide' if found else ''


def _values(audit: Audit) -> dict[str, Any]:
  """Return what the template of an audit names."""
  strongest = audit.get('strongest') or {}
  place = str(strongest.get('place') or '')
  with tempfile.TemporaryDirectory() as folder:
    draw = lambda plot, **sizes: _picture(
      audit, plot, pathlib.Path(folder), **sizes
    )
    plot = draw(audit_plots.leakage, width=True) if groups_of(audit) else None
    confusion = draw(class_plots.confusion) if audit.get('confusion') else None
    picture = (
      draw(class_plots.picture, width=True)
      if (audit.get('picture') or {}).get('x')
      else None
    )
  seconds = figures.number(audit.get('seconds'))
  return {
    'summary': str(audit.get('summary') or ''),
    'verdict': audit['verdict'],
    'headline': headline(audit),
    'needed': needed(audit),
    'place': place,
    'picture_place': (audit.get('picture') or {}).get('place') or place,
    'plot': plot,
    'confusion': confusion,
    'picture': picture,
    'audited': tables.audited(audit),
    'not_tried': _not_tried(audit),
    'decisive': tables.decisive(audit),
    'attacks': tables.attacks(audit),
    'references': tables.references(audit),
    'recall': tables.recall(audit),
    'options': tables.pairs(audit.get('options')),
    'versions': tables.pairs(audit.get('versions')),
    'digests': [
      (str(name), str(digest))
      for name, digest in (audit.get('digests') or {}).items()
    ],
    'seconds': '' if seconds is None else f'{seconds:,.1f}',
    'alt': _alt(audit),
  }


def _not_tried(audit: Audit) -> list[str] | None:
  """Return what was not tried and why, None if the audit does not say."""
  given = audit.get('not_tried')
  if given is None:
    return None
  return [
    ': '.join(str(one[name]) for name in ('what', 'why') if one.get(name))
    for one in given
  ]


def _alt(audit: Audit) -> str:
  """Return what the plot shows, for who cannot see it."""
  measure = audit.get('measure', 'accuracy')
  lines = [
    f'{title}: {figures.text(found.get(measure))}'
    for title, found in (
      ('Strongest attacker', audit.get('strongest') or {}),
      ('without the cut', audit.get('baseline') or {}),
    )
    if figures.text(found.get(measure))
  ]
  return 'What each attack reads, by place, in percent. ' + '; '.join(lines)


def _picture(
  audit: Audit,
  plot: Callable[..., None],
  folder: pathlib.Path,
  *,
  width: bool = False,
) -> markup.Picture:
  """Draw a plot for all pages: light and dark, wide and narrow.

  Args:
    audit: what is drawn.
    plot: draws it into a file.
    folder: for the files.
    width: whether the plot is drawn anew for narrow windows.

  Returns:
    The images.
  """
  path = folder / 'plot.png'
  narrow: Mapping[str, Any] = {'width': audit_plots.NARROW} if width else {}

  def image(**options: Any) -> markup.Image:
    plot(audit, path, **options)
    return markup.read_image(path)

  light, dark = image(), image(dark=True)
  if not width:
    return markup.Picture(light, dark, light, dark)
  return markup.Picture(
    light, dark, image(**narrow), image(dark=True, **narrow)
  )
