"""The plot that answers an audit: what is read, beside what is no leak."""

from collections.abc import Sequence
import pathlib
import textwrap
import typing
from typing import Any, NamedTuple

from splitjax.reports import canvas
from splitjax.reports import figures
from splitjax.reports.audit_groups import Audit
from splitjax.reports.audit_groups import Entry
from splitjax.reports.audit_groups import Group
from splitjax.reports.audit_groups import groups_of
from splitjax.reports.audit_groups import guess_of
from splitjax.reports.audit_groups import measure_of
from splitjax.reports.class_plots import confusion as confusion
from splitjax.reports.class_plots import picture as picture

if typing.TYPE_CHECKING:
  from matplotlib.axes import Axes

WIDE, NARROW = 9.2, 3.75  # Inches: 883 and 360 CSS pixels.
_ROW = 0.245  # Inches.
_HEAD = -1.0  # Where a narrow plot names its columns: above all rows.
_CUT = '\u2026'
_SAME = 0.06  # Points: figures of one digit that show the same.
# How the rows of a kind are marked: form, size, and whether it is filled.
_MARKS = {
  'strongest': ('D', 7.0, True),
  'attack': ('o', 5.5, True),
  'no leak': ('o', 5.5, False),
  'reference': ('s', 4.5, False),
}


class _Look(NamedTuple):
  """How the plot is drawn: its colours, and whether there is much room."""

  theme: canvas.Theme
  wide: bool

  @property
  def font(self) -> float:
    """Size of all texts, in points."""
    return 10 if self.wide else 9


class _Place(NamedTuple):
  """A group, and at which height its title and its rows stand."""

  group: Group
  title_at: float
  rows_at: Sequence[float]


def leakage(
  audit: Audit,
  path: pathlib.Path,
  *,
  width: float = WIDE,
  dark: bool = False,
) -> None:
  """Draw what each attack reads in each place, and what is read without it.

  A row an attack, with its interval; the strongest attacker of a place stands
  first, with its leakage as a bar. Upright lines are the best that is read
  without the cut, the same and the limit, and guessing.

  Args:
    audit: the content of an `audit.json`.
    path: the PNG file to write; an SVG file is written beside it.
    width: in inches; below 6 the intervals are drawn but not written.
    dark: whether for a dark page.
  """
  places = _placed(groups_of(audit))
  depth = places[-1].rows_at[-1] if places else 0.0
  with canvas.themed(dark) as theme:
    look = _Look(theme, width >= 6)
    figure = canvas.make_figure((width, 1.2 + _ROW * (depth + 1)))
    axes = figure.subplots()
    axes.set_ylim(depth + 0.8, -0.7 if look.wide else _HEAD - 0.7)
    _frame(axes, audit, places, look)
    _levels(axes, audit, places, look)
    for place in places:
      _draw_place(axes, place, look)
    _columns(axes, audit, places, look)
    canvas.save(figure, path)


def _placed(groups: Sequence[Group]) -> list[_Place]:
  """Return the height of each row, from 0 downwards."""
  places, at = [], 0.0
  for group in groups:
    rows = [at + 1 + index for index in range(len(group.entries))]
    places.append(_Place(group, at, rows))
    at = rows[-1] + 1.35
  return places


def _frame(
  axes: 'Axes', audit: Audit, places: Sequence[_Place], look: _Look
) -> None:
  """Set the axes: percent to the right, a labelled row an attack."""
  rows = [
    (at, entry)
    for place in places
    for at, entry in zip(place.rows_at, place.group.entries, strict=True)
  ]
  lows = [x for _, entry in rows for x in _span(entry.figure)]
  low = 0.0 if min(lows, default=0.0) >= 0 else max(-100.0, min(lows) - 5)
  axes.set_xlim(low - 1, 101)
  axes.set_yticks([at for at, _ in rows], [entry.label for _, entry in rows])
  axes.tick_params(axis='both', labelsize=look.font, length=0)
  if not look.wide:
    axes.locator_params(axis='x', nbins=3)
  for tick, (_, entry) in zip(axes.get_yticklabels(), rows, strict=True):
    tick.set_fontweight('bold' if entry.kind == 'strongest' else 'normal')
  what = 'targets' if audit.get('measure') == 'r2' else 'labels'
  axes.set_xlabel(f'{what} read, {measure_of(audit)}, %', fontsize=look.font)
  axes.spines[['top', 'right', 'left']].set_visible(False)
  axes.grid(axis='x', color=look.theme.grid, linewidth=0.8)
  axes.set_axisbelow(True)


def _levels(
  axes: 'Axes', audit: Audit, places: Sequence[_Place], look: _Look
) -> None:
  """Draw upright lines: no leak, the limit, guessing."""
  theme, limit = look.theme, figures.number(audit.get('limit'))
  levels = []
  guess = guess_of(audit)
  if guess is not None:
    axes.axvline(guess[1], color=theme.muted, linestyle=':', linewidth=1.2)
    text = f'{figures.words(guess[0])} {guess[1]:.1f}'
    levels.append((guess[1], text, theme.muted))
  spans = _spans(places)
  measure = audit.get('measure', 'accuracy')
  base = figures.mean((audit.get('baseline') or {}).get(measure))
  if base is None:
    base = next(iter(spans.values()), None)
  if base is not None:
    if all(abs(one - base) < _SAME for one in spans.values()):
      spans = {axes.get_ylim(): base}
    for (low, high), one in spans.items():
      axes.vlines(one, low, high, color=theme.ink, linewidth=1.3)
      if limit is not None:
        axes.fill_betweenx([low, high], one, one + limit, color=theme.band)
        axes.vlines(one + limit, low, high, color=theme.alarm, linestyle='--')
    levels = [one for one in levels if abs(one[0] - base) > _SAME]
    levels.append((base, f'no leak {base:.1f}', theme.ink))
    if limit is not None:
      levels.append((base + limit, f'limit +{limit:g}', theme.alarm))
  _name_levels(axes, levels, look)


def _spans(places: Sequence[_Place]) -> dict[tuple[float, float], float]:
  """Return what is read without the cut, by the heights it holds for."""
  return {
    (place.rows_at[-1] + 0.5, place.title_at): place.group.baseline
    for place in places
    if place.group.baseline is not None
  }


def _name_levels(
  axes: 'Axes', levels: Sequence[tuple[float, str, str]], look: _Look
) -> None:
  """Write what the upright lines are: place, text and colour of each.

  The text stands over the plot, to the right of its line. From the right, each
  stands higher than the one before: so no text meets another line.
  """
  style: dict[str, Any] = dict(
    xycoords=axes.get_xaxis_transform(), textcoords='offset points'
  )
  height, last = 3.0, 0.0
  for at, text, color in sorted(levels, reverse=True):
    if look.wide and last - at > 40:
      height = 3.0
    offset = (3, height)
    axes.annotate(
      text, (at, 1), offset, color=color, fontsize=look.font, **style
    )
    line = dict(arrowstyle='-', color=color, shrinkA=0, shrinkB=0)
    axes.annotate('', (at, 1), (0, height + 9), arrowprops=line, **style)
    height, last = height + 13, at


def _draw_place(axes: 'Axes', place: _Place, look: _Look) -> None:
  """Draw the rows of one place under its title."""
  group, theme = place.group, look.theme
  title = textwrap.shorten(
    group.title, 90 if look.wide else 36, placeholder=_CUT
  )
  if group.left_out:
    title += f' (+{group.left_out} weaker)'
  axes.annotate(
    title,
    (0.01, place.title_at),
    xycoords=('figure fraction', 'data'),
    color=theme.ink if group.baseline is not None else theme.muted,
    fontsize=look.font,
    va='center',
    bbox=dict(facecolor=theme.paper, edgecolor='none', pad=1),
  ).set_in_layout(False)
  for at, entry in zip(place.rows_at, group.entries, strict=True):
    _draw_entry(axes, at, entry, group.baseline, theme)


def _draw_entry(
  axes: 'Axes',
  at: float,
  entry: Entry,
  baseline: float | None,
  theme: canvas.Theme,
) -> None:
  """Draw one row: the mark, the interval, the leakage as a bar."""
  low, high = axes.get_xlim()
  middle, *ends = (min(max(x, low), high) for x in _span(entry.figure))
  marker, size, filled = _MARKS[entry.kind]
  color = theme.muted
  if entry.kind in ('strongest', 'attack'):
    color = theme.accent
  if entry.kind == 'strongest' and baseline is not None:
    bar: dict[str, Any] = dict(linewidth=7, solid_capstyle='butt', alpha=0.3)
    axes.plot([baseline, middle], [at, at], color=color, **bar)
  if ends:
    axes.plot(ends, [at, at], color=color, linewidth=1.8, clip_on=False)
  axes.plot(
    [middle],
    [at],
    marker=marker,
    markersize=size,
    color=color,
    markerfacecolor=color if filled else theme.paper,
    markeredgewidth=1.4,
    clip_on=False,
    zorder=4,
  )


def _span(figure: figures.Figure) -> list[float]:
  """Return the mean of a figure, and the ends of its interval if known."""
  return [figures.mean(figure) or 0.0, *(figures.ends(figure) or ())]


def _columns(
  axes: 'Axes', audit: Audit, places: Sequence[_Place], look: _Look
) -> None:
  """Write the figures beside the rows: what is read, and the leakage."""
  theme, level = look.theme, figures.number(audit.get('level'))
  interval = f' [{100 * level:g}%]' if level is not None and look.wide else ''

  def write(at: float, offset: float, text: str, **style: Any) -> None:
    axes.annotate(
      text,
      (1, at),
      (offset, 0),
      xycoords=axes.get_yaxis_transform(),
      textcoords='offset points',
      va='center_baseline',
      fontsize=look.font,
      **style,
    )

  leaks = any(place.group.baseline is not None for place in places)
  columns, head = {'read': 38, 'leak': 82}, _HEAD
  if look.wide:
    columns, head = {'read': 42, 'leakage': 182}, -0.15
  for name, offset in list(columns.items())[: 1 + leaks]:
    write(head, offset, name, color=theme.muted, ha='right')
    write(head, offset + 2, interval, color=theme.muted)
  for place in places:
    for at, entry in zip(place.rows_at, place.group.entries, strict=True):
      weight = 'bold' if entry.kind == 'strongest' else 'normal'
      shown = (
        figures.text(entry.figure, interval=look.wide),
        figures.text(entry.leakage, signed=True, interval=look.wide),
      )
      for text, offset in zip(shown, columns.values(), strict=True):
        mean, _, ends = text.partition(' ')
        write(at, offset, mean, color=theme.ink, ha='right', fontweight=weight)
        write(at, offset + 4, ends, color=theme.muted)
