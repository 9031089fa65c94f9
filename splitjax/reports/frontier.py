"""What defenses are worth: what is read against how good the model is."""

from collections.abc import Mapping, Sequence
import functools
import pathlib
import typing
from typing import Any, NamedTuple

from splitjax.reports import canvas
from splitjax.reports import plots
from splitjax.reports.page import Summary
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting
from splitjax.results import by_cell

if typing.TYPE_CHECKING:
  from matplotlib.axes import Axes


class Panel(NamedTuple):
  """A place where labels are read.

  Attributes:
    phase: when.
    intermediate: what.
    averaged: whether over several passes.
  """

  phase: str
  intermediate: str
  averaged: bool

  @property
  def title(self) -> str:
    """What is read, in words."""
    name = self.intermediate.replace('cut_grads', 'cut gradients')
    if name == 'smashed':
      return f'smashed data, {self.phase}'
    return f'{name}, ' + ('all passes' if self.averaged else 'one pass')


class Curve(NamedTuple):
  """A defense at all its strengths, on one data set.

  Attributes:
    dataset: name of the data set.
    name: the defense, with what its strength is called; 'undefended'.
    settings: one for each strength.
    passes: most passes over which gradients were averaged; 1 for none.
    attacks: what was run.
    defended: whether there is a defense.
  """

  dataset: str
  name: str
  settings: Sequence[Setting]
  passes: int
  attacks: Sequence[str]
  defended: bool


_PANELS = (
  Panel('training', 'cut_grads', False),
  Panel('training', 'cut_grads', True),
  Panel('training', 'smashed', False),
  Panel('inference', 'smashed', False),
)
_STRONGEST = 'strongest'
_MARKERS = 'osv^Dp'
_NARROWEST = 10  # Points of accuracy that a panel shows at least.
_LEVELS: dict[str, tuple[str, dict[str, Any]]] = {
  'chance': ('chance', dict(color='gray', linestyle='-.', linewidth=1)),
  'raw_inputs': (
    'no leak: raw inputs',
    dict(color='black', linestyle=':', linewidth=1),
  ),
  'untrained_smashed': (
    'no leak: untrained client',
    dict(color='black', linestyle='--', linewidth=1),
  ),
}


class _Style(NamedTuple):
  """How curves are told apart: colours by name, markers by attack."""

  colors: Mapping[str, str]
  markers: Mapping[str, str]


def defense_frontier(
  curves: Sequence[Curve], summary: Summary, path: pathlib.Path
) -> None:
  """Draw what is read against how good the model is, a curve a defense.

  Args:
    curves: what to draw; for each data set one is undefended.
    summary: its rows and measure are drawn.
    path: the PNG file to write; an SVG file is written beside it.
  """
  cells = by_cell(summary.rows, summary.measure)
  bounds = {
    cell.setting: row['mean']
    for cell, row in by_cell(summary.rows, 'auc_bound').items()
  }
  names = list(dict.fromkeys(curve.name for curve in curves))
  # A defense is worth what it leaves to the strongest attacker.
  shown = [x for x in summary.attacks if x == _STRONGEST] or summary.attacks
  style = _Style(
    {name: canvas.color(index) for index, name in enumerate(names)},
    dict(zip(shown, _MARKERS * len(shown), strict=False)),
  )
  bases = [curve for curve in curves if not curve.defended]
  figure = canvas.make_figure((14, 0.8 + 3.6 * len(bases)), dpi=130)
  grid = figure.subplots(
    len(bases), len(_PANELS), sharey=True, sharex='row', squeeze=False
  )
  for base, row in zip(bases, grid, strict=True):
    of_set = [one for one in curves if one.dataset == base.dataset]
    for panel, axes in zip(_PANELS, row, strict=True):
      _draw_panel(axes, cells, bounds, of_set, base, panel, style)
    _widen(row[0])
    row[0].set_ylabel(f'{base.dataset}: labels read, {summary.measure}, %')
  figure.legend(
    handles=_handles(style), loc='outside right upper', frameon=False
  )
  figure.suptitle(summary.title)
  canvas.save(figure, path)


def _draw_panel(
  axes: 'Axes',
  cells: Mapping[Cell, Row],
  bounds: Mapping[Setting, float],
  curves: Sequence[Curve],
  base: Curve,
  panel: Panel,
  style: _Style,
) -> None:
  """Draw all curves of a data set in one place."""
  if panel.averaged and all(one.passes == 1 for one in curves if one.defended):
    axes.axis('off')
    return
  for curve in curves:
    for attack in style.markers:
      _draw_curve(axes, cells, bounds, curve, panel, attack, style)
  _draw_levels(axes, cells, base, panel)
  axes.set_title(panel.title, fontsize=10)
  axes.set_xlabel('model, test accuracy, %')
  axes.set_ylim(0, 105)
  canvas.strip(axes)


def _draw_curve(
  axes: 'Axes',
  cells: Mapping[Cell, Row],
  bounds: Mapping[Setting, float],
  curve: Curve,
  panel: Panel,
  attack: str,
  style: _Style,
) -> None:
  """Draw what one attack reads of one defense in one place."""
  passes = curve.passes if panel.averaged else 1
  points = []
  for setting in curve.settings:
    x = cells.get(Cell(setting, 'inference', 'none', 'model'))
    place = setting._replace(num_passes=passes)
    y = cells.get(Cell(place, panel.phase, panel.intermediate, attack))
    if x is not None and y is not None:
      points.append((x, y, setting))
  if not points:
    return
  x, x_errors = plots.intervals([one[0] for one in points])
  y, y_errors = plots.intervals([one[1] for one in points])
  color = style.colors[curve.name]
  axes.errorbar(
    x,
    y,
    yerr=y_errors,
    xerr=x_errors,
    color=color,
    marker=style.markers[attack],
    ms=5,
    linewidth=1,
    elinewidth=0.6,
    alpha=0.8,
  )
  if curve.defended and attack == next(iter(style.markers)):
    for at, (_, _, setting) in zip(zip(x, y, strict=True), points, strict=True):
      gradients = panel.intermediate == 'cut_grads'
      bound = bounds.get(setting) if gradients else None
      promise = '' if bound is None else f' (AUC\u2264{100 * bound:.0f}%)'
      axes.annotate(
        f'{setting.strength:g}{promise}',
        at,
        xytext=(4, 4),
        textcoords='offset points',
        fontsize=7,
        color=color,
      )


def _draw_levels(
  axes: 'Axes', cells: Mapping[Cell, Row], base: Curve, panel: Panel
) -> None:
  """Draw what is no leakage, and chance."""
  whole, first = base.settings[0], base.attacks[0]
  places = {'chance': ('none', 'chance'), 'raw_inputs': ('raw_inputs', first)}
  if panel.intermediate == 'smashed':
    places['untrained_smashed'] = ('untrained_smashed', first)
  for name, place in places.items():
    row = cells.get(Cell(whole, panel.phase, *place))
    if row is not None:
      axes.axhline(100 * row['mean'], **_LEVELS[name][1])


def _widen(axes: 'Axes') -> None:
  """Do not blow up differences of no matter."""
  low, high = axes.get_xlim()
  if high - low < _NARROWEST:
    end = min((low + high + _NARROWEST) / 2, 101)
    axes.set_xlim(end - _NARROWEST, end)


def _handles(style: _Style) -> list[Any]:
  """Return the entries of the legend."""
  from matplotlib import lines  # Slow to import, and needed to draw alone.

  line = functools.partial(lines.Line2D, [], [])
  return [
    *(
      line(color=c, linewidth=3, label=name) for name, c in style.colors.items()
    ),
    *(
      line(color='black', linestyle='', marker=marker, label=attack)
      for attack, marker in style.markers.items()
    ),
    *(line(label=label, **drawn) for label, drawn in _LEVELS.values()),
  ]
