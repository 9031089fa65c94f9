"""What each defense costs the model, against what it leaves to be read."""

from collections.abc import Mapping, Sequence
import pathlib
import typing
from typing import NamedTuple

import numpy as np

from splitjax.reports import canvas

if typing.TYPE_CHECKING:
  from matplotlib.axes import Axes

Percent = tuple[float, float, float]  # Mean and ends of its interval.
_MOST = 40.0  # Points of accuracy; what costs more is drawn at the edge.
_MARKERS = 'os'


class Dot(NamedTuple):
  """A defense at a strength.

  Attributes:
    name: what kind it is.
    text: the defense, as a flag would say it.
    loss: points of accuracy that the model loses.
    read: what the strongest attacker reads, by place.
    leaks: how much of it is leakage, by place.
  """

  name: str
  text: str
  loss: Percent
  read: Mapping[str, Percent]
  leaks: Mapping[str, Percent]


def worth_plot(
  searched: Sequence[Dot],
  finalists: Sequence[Dot],
  *,
  titles: Mapping[str, str],
  limits: tuple[float, float],
  title: str,
  path: pathlib.Path,
) -> None:
  """Draw loss against leakage, a panel a place.

  Args:
    searched: what was tried, drawn without intervals: the best of many look
      better than they are.
    finalists: what was measured anew, drawn with intervals.
    titles: the places to draw, with their titles.
    limits: points of accuracy and of leakage that are allowed; the area is
      shaded.
    title: of the figure.
    path: the PNG file to write; an SVG file is written beside it.
  """
  figure = canvas.make_figure((3 + 4.2 * len(titles), 4.8), dpi=130)
  grid = figure.subplots(1, len(titles), sharex=True, squeeze=False)[0]
  kinds = list(
    dict.fromkeys(one.name for one in searched if '+' not in one.name)
  )
  for axes, (place, words) in zip(grid, titles.items(), strict=True):
    _draw_area(axes, limits)
    for index, kind in enumerate(kinds):
      _draw_kind(axes, [x for x in searched if x.name == kind], place, index)
    _draw_kind(axes, [x for x in searched if '+' in x.name], place, None)
    for number, one in enumerate(finalists):
      _draw_finalist(axes, one, place, number)
    axes.set_title(words, fontsize=10)
    axes.set_xlabel('points of accuracy lost')
    canvas.strip(axes)
  grid[0].set_ylabel('leakage to the strongest attacker, points')
  handles, labels = grid[0].get_legend_handles_labels()
  figure.legend(
    handles, labels, loc='outside right upper', frameon=False, fontsize=8
  )
  figure.suptitle(title)
  canvas.save(figure, path)


def _draw_area(axes: 'Axes', limits: tuple[float, float]) -> None:
  """Shade what is allowed."""
  theme = canvas.LIGHT
  axes.axvspan(-100, limits[0], color=theme.band, zorder=0, lw=0)
  axes.axhspan(limits[1], 200, color=theme.paper, zorder=0.5, lw=0)
  axes.axhline(limits[1], color=theme.alarm, linewidth=0.8, linestyle='--')
  axes.axvline(limits[0], color=theme.alarm, linewidth=0.8, linestyle='--')
  axes.set_xlim(-4, _MOST + 2)
  axes.set_ylim(-8, 100)


def _draw_kind(
  axes: 'Axes', dots: Sequence[Dot], place: str, index: int | None
) -> None:
  """Draw all strengths of a kind of defense; pairs have no index."""
  if not dots:
    return
  x = np.array([min(one.loss[0], _MOST) for one in dots])
  y = np.array([one.leaks[place][0] for one in dots])
  if index is None:
    style = dict(color='0.6', marker='x', s=14, linewidths=0.8, zorder=1)
    axes.scatter(x, y, label=f'{len(dots)} pairs', **style)
    return
  marker = _MARKERS[index // len(canvas.COLORS) % len(_MARKERS)]
  axes.scatter(
    x,
    y,
    color=canvas.color(index),
    marker=marker,
    s=22,
    alpha=0.8,
    linewidths=0,
    label=dots[0].name,
    zorder=2,
  )


def _draw_finalist(axes: 'Axes', one: Dot, place: str, number: int) -> None:
  """Draw a defense that was measured anew, with its intervals."""
  (x, *x_ends), (y, *y_ends) = one.loss, one.leaks[place]
  reach = lambda mean, ends: [[mean - ends[0]], [ends[1] - mean]]
  axes.errorbar(
    [x],
    [y],
    yerr=reach(y, y_ends),
    xerr=reach(x, x_ends),
    color='black',
    marker='*D'[number % 2],
    ms=9 - 3 * (number % 2),
    linewidth=1,
    linestyle='',
    label='measured anew: ' + one.text.replace('+', '\n+ '),
    zorder=4,
  )
