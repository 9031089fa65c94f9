"""Plots of results, with intervals and with what is no leakage."""

from collections.abc import Mapping, Sequence
import pathlib
import typing
from typing import Any

import numpy as np

from splitjax.reports import canvas
from splitjax.reports.page import Line
from splitjax.reports.page import Summary
from splitjax.reports.page import Sweep
from splitjax.reports.page import factor_of
from splitjax.reports.page import in_words
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting
from splitjax.results import by_cell

if typing.TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

_BASELINES = {
  'untrained_smashed': ('_', 'no leak: untrained client'),
  'raw_inputs': ('x', 'no leak: raw inputs'),
}
# What is known without an attack: how it is drawn and called.
LEVELS: dict[str, tuple[Any, str]] = {
  'model': ('-', 'the model itself'),
  'chance': (':', 'chance'),
  'mean': (':', 'the mean of the known targets'),
}
Cells = Mapping[Cell, Row]


def leakage(summary: Summary, path: pathlib.Path) -> None:
  """Draw what each attack reads of each intermediate, beside the baselines.

  Args:
    summary: its rows, lines, attacks and measure are drawn.
    path: the PNG file to write; an SVG file is written beside it.
  """
  cells = by_cell(summary.rows, summary.measure)
  groups = [line for line in summary.lines if line[2] not in _BASELINES]
  figure = canvas.make_figure((8, 4.4))
  axes = figure.subplots()
  for column in range(len(summary.attacks)):
    _bars(axes, cells, summary, groups, column)
  for index, line in enumerate(groups):
    _levels(axes, cells, summary, line, index)
  axes.set_xticks(
    range(len(groups)), [f'{line.phase}\n{line.title}' for line in groups]
  )
  limit(axes, summary.measure)
  axes.set_ylabel(f'labels read, {in_words(summary.measure)}')
  axes.set_title(summary.title)
  canvas.strip(axes)
  legend(figure, summary.attacks, 'outside right upper')
  canvas.save(figure, path)


def _bars(
  axes: 'Axes',
  cells: Cells,
  summary: Summary,
  groups: Sequence[Line],
  column: int,
) -> None:
  """Draw the bars of one attack, and its baselines as marks."""
  attack, factor = summary.attacks[column], factor_of(summary.measure)
  width = 0.8 / len(summary.attacks)
  x = np.arange(len(groups)) - 0.4 + (column + 0.5) * width
  drawn = [
    index
    for index, line in enumerate(groups)
    if Cell(*line[:3], attack) in cells  # It may not apply.
  ]
  mean, errors = intervals(
    [cells[Cell(*groups[index][:3], attack)] for index in drawn], factor
  )
  color = canvas.color(column)
  axes.bar(x[drawn], mean, 0.92 * width, color=color, label=attack)
  for position, value in zip(x[drawn], mean, strict=True):
    axes.annotate(
      f'{value:.1f}' if factor == 100 else f'{value:.2f}',
      (position, 0.02 * factor),
      ha='center',
      color='white',
      fontsize=min(10, 30 * width),
    )
  axes.errorbar(x[drawn], mean, errors, fmt='none', ecolor='black', capsize=3)
  for name, (marker, label) in _BASELINES.items():
    places = [_baseline(summary.whole, line, name) for line in groups]
    rows = [cells.get(Cell(*place, attack)) for place in places]
    known = [index for index, row in enumerate(rows) if row is not None]
    axes.scatter(
      x[known],
      [factor * row['mean'] for row in rows if row is not None],
      s=400 * width,
      c='black',
      marker=marker,
      zorder=3,
      label=label if column == 0 and known else None,
    )


def _levels(
  axes: 'Axes', cells: Cells, summary: Summary, line: Line, index: int
) -> None:
  """Draw how good the model is and what guessing gives, across a group."""
  for name, (style, label) in LEVELS.items():
    row = cells.get(Cell(summary.whole, line.phase, 'none', name))
    if row is not None:
      axes.hlines(
        factor_of(summary.measure) * row['mean'],
        index - 0.46,
        index + 0.46,
        colors='gray',
        linestyles=style,
        label='' if index else label,
      )


def limit(axes: 'Axes', measure: str) -> None:
  """Set the limits of the axis that shows a measure."""
  if factor_of(measure) == 100:
    axes.set_ylim(0, 105)
  elif measure == 'r2':
    axes.set_ylim(-0.6, 1.02)


def sweep(
  summary: Summary, sweeps: Sequence[Sweep], path: pathlib.Path
) -> None:
  """Draw how what is read depends on what was varied.

  One row of panels for each factor, one column for each place; bars are the
  intervals.

  Args:
    summary: its rows, attacks and measure are drawn.
    sweeps: what was varied.
    path: the PNG file to write; an SVG file is written beside it.
  """
  cells = by_cell(summary.rows, summary.measure)
  places = list(
    dict.fromkeys(
      (line.phase, line.intermediate)
      for line in summary.lines
      if line.intermediate not in _BASELINES
    )
  )
  figure = canvas.make_figure((2 + 3.2 * len(places), 0.6 + 2.8 * len(sweeps)))
  grid = figure.subplots(len(sweeps), len(places), sharey=True, squeeze=False)
  for one, row in zip(sweeps, grid, strict=True):
    for place, axes in zip(places, row, strict=True):
      _panel(axes, cells, summary, one, place)
    row[0].set_ylabel(in_words(summary.measure))
  legend(figure, summary.attacks, 'outside right center')
  figure.suptitle(summary.title)
  canvas.save(figure, path)


def legend(figure: 'Figure', attacks: Sequence[str], place: Any) -> None:
  """Show what all panels have labelled, once each, the attacks first."""
  handles: dict[str, Any] = {}
  for axes in figure.axes:
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
      handles.setdefault(label, handle)
  labels = sorted(handles, key=lambda label: label not in attacks)
  figure.legend(
    [handles[label] for label in labels], labels, loc=place, frameon=False
  )


def _panel(
  axes: 'Axes',
  cells: Cells,
  summary: Summary,
  one: Sweep,
  place: tuple[str, str],
) -> None:
  """Draw what is read in one place, by the values of one factor."""
  phase, intermediate = place
  measured = {cell[:3] for cell in cells}
  if sum((x, *place) in measured for x in one.settings) < len(one.settings):
    axes.axis('off')
    return

  def curve(intermediate: str, attack: str, **style: Any) -> None:
    found = [
      cells.get(Cell(setting, phase, intermediate, attack))
      for setting in one.settings
    ]
    if sum(row is not None for row in found) < 2:  # The factor changes nothing.
      row = cells.get(Cell(summary.whole, phase, intermediate, attack))
      found = [row] * len(found)
    known = [index for index, row in enumerate(found) if row is not None]
    if known:
      rows = [row for row in found if row is not None]
      mean, errors = intervals(rows, factor_of(summary.measure))
      axes.errorbar(known, mean, errors, **style)

  # Raw inputs leak nothing at any cut, nor does a client before training.
  baselines = {'raw_inputs': ':'}
  if intermediate == 'smashed':
    baselines['untrained_smashed'] = '--'
    curve('none', 'model', color='gray', label=LEVELS['model'][1])
  for index, attack in enumerate(summary.attacks):
    style = {'color': canvas.color(index), 'capsize': 2}
    curve(intermediate, attack, label=attack, marker='o', ms=4, **style)
    for name, line in baselines.items():
      curve(name, attack, linestyle=line, linewidth=1, alpha=0.7, **style)
  drawn = {(cell.phase, cell.intermediate) for cell in cells}
  for name, line in baselines.items():
    if (phase, name) in drawn:
      label = _BASELINES[name][1]
      axes.plot([], [], color='black', linestyle=line, label=label)
  for name in ('chance', 'mean'):
    curve('none', name, color='gray', linestyle='-.', label=LEVELS[name][1])
  axes.set_xticks(range(len(one.labels)), one.labels)
  axes.set_xlabel(one.factor)
  limit(axes, summary.measure)
  axes.set_title(f'{intermediate.replace("_", " ")}, {phase}', fontsize=10)
  canvas.strip(axes)


def _baseline(
  whole: Setting, line: Line, name: str
) -> tuple[Setting, str, str]:
  """Return where a baseline of a line stands: raw inputs depend on no cut."""
  setting = whole if name == 'raw_inputs' else line.setting
  return setting, line.phase, name


def intervals(
  rows: Sequence[Row], factor: float = 100.0
) -> tuple[np.ndarray, np.ndarray]:
  """Return means, and the distances to the ends of their intervals.

  Args:
    rows: `P` of them; one without an interval has distances 0.
    factor: what both are multiplied with.

  Returns:
    Means `[P]` and distances `[2, P]`.
  """
  mean = np.array([row['mean'] for row in rows])
  low, high = (
    np.array([row['mean'] if row[end] is None else row[end] for row in rows])
    for end in ('ci_low', 'ci_high')
  )
  errors = np.maximum([mean - low, high - mean], 0)
  return factor * mean, factor * errors
