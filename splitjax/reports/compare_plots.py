"""The leakage of several audits, beside the limit of each."""

from collections.abc import Mapping
import pathlib
import typing

from splitjax.reports import canvas
from splitjax.reports import figures
from splitjax.reports.audit_groups import Audit

if typing.TYPE_CHECKING:
  from matplotlib.axes import Axes

_ROW = 0.34  # Inches.
_LONGEST = {True: 28, False: 16}  # Letters of a name in a wide plot, or not.
# Marks by verdict: they differ in form, and not in colour alone.
_MARKS = {'pass': 'o', 'fail': 'X', 'inconclusive': 'D'}


def leakages(
  audits: Mapping[str, Audit],
  path: pathlib.Path,
  *,
  width: float = 9.2,
  dark: bool = False,
) -> None:
  """Draw the leakage of each audit with its interval, and its limit.

  Args:
    audits: contents of `audit.json` files by the name of each system.
    path: the PNG file to write; an SVG file is written beside it.
    width: in inches; below 6 the intervals are drawn but not written.
    dark: whether for a dark page.
  """
  wide = width >= 6
  with canvas.themed(dark) as theme:
    figure = canvas.make_figure((width, 0.85 + _ROW * len(audits)))
    axes = figure.subplots()
    axes.set_ylim(len(audits) - 0.4, -0.6)
    axes.axvline(0, color=theme.ink, linewidth=1.3)
    axes.grid(axis='x', color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for at, audit in enumerate(audits.values()):
      _draw_audit(axes, at, audit, theme, wide=wide)
    axes.set_yticks(
      range(len(audits)), [_short(name, _LONGEST[wide]) for name in audits]
    )
    axes.tick_params(axis='both', labelsize=10 if wide else 9, length=0)
    axes.set_xlabel('leakage, percentage points', fontsize=10 if wide else 9)
    axes.spines[['top', 'right', 'left']].set_visible(False)
    canvas.save(figure, path)


def _draw_audit(
  axes: 'Axes', at: int, audit: Audit, theme: canvas.Theme, *, wide: bool
) -> None:
  """Draw one row: the leakage, its interval, the limit, the verdict."""
  limit = figures.number(audit.get('limit'))
  if limit is not None:
    axes.fill_betweenx([at - 0.5, at + 0.5], 0, limit, color=theme.band)
    axes.vlines(
      limit,
      at - 0.5,
      at + 0.5,
      color=theme.alarm,
      linestyle='--',
      linewidth=1.5,
    )
    if at == 0:
      axes.annotate(
        f'limit {limit:g}',
        (limit, 1),
        (0, 3),
        xycoords=axes.get_xaxis_transform(),
        textcoords='offset points',
        color=theme.alarm,
        fontsize=10 if wide else 9,
      )
  leakage, verdict = audit.get('leakage'), str(audit.get('verdict'))
  mean, ends = figures.mean(leakage), figures.ends(leakage)
  if ends is not None:
    axes.plot(ends, [at, at], color=theme.accent, linewidth=2)
  if mean is not None:
    mark = _MARKS.get(verdict, 'o')
    axes.plot([mean], [at], marker=mark, markersize=8, color=theme.accent)
  text = figures.text(leakage, interval=wide)
  word = verdict.upper() if wide else verdict.replace('inconclusive', 'incon.')
  axes.annotate(
    f'{text}  {word}',
    (1, at),
    (8, 0),
    xycoords=axes.get_yaxis_transform(),
    textcoords='offset points',
    va='center_baseline',
    fontsize=10 if wide else 9,
  )


def _short(name: str, longest: int) -> str:
  """Return a name that leaves room for the plot."""
  name = ' '.join(str(name).split())
  return name if len(name) <= longest else f'{name[: longest - 1]}\u2026'
