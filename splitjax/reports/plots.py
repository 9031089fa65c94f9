"""Plots of results, with intervals and with what is no leakage."""

from collections.abc import Sequence
import pathlib

from matplotlib import figure
import numpy as np

from splitjax import files
from splitjax.reports import page
from splitjax.results import report

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLORS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00')
_BASELINES = {
  'untrained_smashed': ('_', 'no leak: untrained client'),
  'raw_inputs': ('x', 'no leak: raw inputs'),
}


def leakage(summary: page.Summary, path: pathlib.Path) -> None:
  """Draws what each attack reads of each intermediate, beside the baselines.

  Args:
    summary: its rows, lines, attacks and measure are drawn.
    path: the PNG file to write.
  """
  cells = report.by_cell(summary.rows, summary.measure)
  groups = [line for line in summary.lines if line[2] not in _BASELINES]
  canvas = figure.Figure(figsize=(8, 4.4), dpi=150, layout='constrained')
  axes = canvas.subplots()
  width = 0.8 / len(summary.attacks)
  left = np.arange(len(groups)) - 0.4
  for column, attack in enumerate(summary.attacks):
    drawn = [
      index
      for index, line in enumerate(groups)
      if report.Cell(*line[:3], attack) in cells  # It may not apply.
    ]
    mean, errors = intervals(
      [cells[report.Cell(*groups[index][:3], attack)] for index in drawn]
    )
    x = left + (column + 0.5) * width
    color = COLORS[column % len(COLORS)]
    axes.bar(x[drawn], mean, 0.92 * width, color=color, label=attack)
    for position, value in zip(x[drawn], mean, strict=True):
      axes.annotate(
        f'{value:.1f}',
        (position, 2),
        ha='center',
        color='white',
        fontsize=min(10, 30 * width),
      )
    axes.errorbar(x[drawn], mean, errors, fmt='none', ecolor='black', capsize=3)
    for name, (marker, label) in _BASELINES.items():
      baseline = [_baseline(summary.whole, line, name) for line in groups]
      rows = [cells.get(report.Cell(*place, attack)) for place in baseline]
      known = [index for index, row in enumerate(rows) if row is not None]
      axes.scatter(
        x[known],
        [100 * rows[index]['mean'] for index in known],
        s=400 * width,
        c='black',
        marker=marker,
        zorder=3,
        label=label if column == 0 and known else None,
      )
  for index, line in enumerate(groups):
    for name, style in (('model', '-'), ('chance', ':')):
      row = cells[report.Cell(summary.whole, line.phase, 'none', name)]
      axes.hlines(
        100 * row['mean'],
        index - 0.46,
        index + 0.46,
        colors='gray',
        linestyles=style,
        label=None if index else {'model': 'the model itself'}.get(name, name),
      )
  axes.set_xticks(
    range(len(groups)), [f'{line.phase}\n{line.title}' for line in groups]
  )
  axes.set_ylim(0, 105)
  axes.set_ylabel(f'{summary.measure.replace("_", " ")} of the labels read, %')
  axes.set_title(summary.title)
  axes.spines[['top', 'right']].set_visible(False)
  _legend(canvas, summary.attacks, 'outside right upper')
  with files.replacing(path) as scratch:
    canvas.savefig(scratch, format='png', metadata={'Software': None})


def sweep(
  summary: page.Summary, sweeps: Sequence[page.Sweep], path: pathlib.Path
) -> None:
  """Draws how what is read depends on what was varied.

  One row of panels for each factor, one column for each place; bars are the
  intervals.

  Args:
    summary: its rows, attacks and measure are drawn.
    sweeps: what was varied.
    path: the PNG file to write.
  """
  cells = report.by_cell(summary.rows, summary.measure)
  places = list(
    dict.fromkeys(
      (line.phase, line.intermediate)
      for line in summary.lines
      if line.intermediate not in _BASELINES
    )
  )
  canvas = figure.Figure(
    figsize=(2 + 3.2 * len(places), 0.6 + 2.8 * len(sweeps)),
    dpi=150,
    layout='constrained',
  )
  grid = canvas.subplots(len(sweeps), len(places), sharey=True, squeeze=False)
  for one, row in zip(sweeps, grid, strict=True):
    for place, axes in zip(places, row, strict=True):
      _panel(axes, cells, summary, one, place)
    row[0].set_ylabel(f'{summary.measure.replace("_", " ")}, %')
  _legend(canvas, summary.attacks, 'outside right center')
  canvas.suptitle(summary.title)
  with files.replacing(path) as scratch:
    canvas.savefig(scratch, format='png', metadata={'Software': None})


def _legend(canvas, attacks, place):
  """What all panels have labelled, once each, the attacks first."""
  handles = {}
  for axes in canvas.axes:
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
      handles.setdefault(label, handle)
  labels = sorted(handles, key=lambda label: label not in attacks)
  canvas.legend(
    [handles[label] for label in labels], labels, loc=place, frameon=False
  )


def _panel(axes, cells, summary, one, place):
  """What is read in one place, by the values of one factor."""
  phase, intermediate = place
  measured = {cell[:3] for cell in cells}
  if sum((x, *place) in measured for x in one.settings) < len(one.settings):
    axes.axis('off')
    return

  def curve(intermediate, attack, **style):
    rows = [
      cells.get(report.Cell(setting, phase, intermediate, attack))
      for setting in one.settings
    ]
    if sum(row is not None for row in rows) < 2:  # The factor changes nothing.
      row = cells.get(report.Cell(summary.whole, phase, intermediate, attack))
      rows = [row] * len(rows)
    known = [index for index, row in enumerate(rows) if row is not None]
    if known:
      mean, errors = intervals([rows[index] for index in known])
      axes.errorbar(known, mean, errors, **style)

  # Raw inputs leak nothing at any cut, nor does a client before training.
  baselines = {'raw_inputs': ':'}
  if intermediate == 'smashed':
    baselines['untrained_smashed'] = '--'
    curve('none', 'model', color='gray', label='the model itself')
  for index, attack in enumerate(summary.attacks):
    style = {'color': COLORS[index % len(COLORS)], 'capsize': 2}
    curve(intermediate, attack, label=attack, marker='o', ms=4, **style)
    for name, line in baselines.items():
      curve(name, attack, linestyle=line, linewidth=1, alpha=0.7, **style)
  drawn = {(cell.phase, cell.intermediate) for cell in cells}
  for name, line in baselines.items():
    if (phase, name) in drawn:
      label = _BASELINES[name][1]
      axes.plot([], [], color='black', linestyle=line, label=label)
  curve('none', 'chance', color='gray', linestyle='-.', label='chance')
  axes.set_xticks(range(len(one.labels)), one.labels)
  axes.set_xlabel(one.factor)
  axes.set_ylim(0, 103)
  axes.set_title(f'{intermediate.replace("_", " ")}, {phase}', fontsize=10)
  axes.spines[['top', 'right']].set_visible(False)


def _baseline(whole, line, name):
  """Where a baseline of a line stands: raw inputs depend on no cut."""
  setting = whole if name == 'raw_inputs' else line.setting
  return setting, line.phase, name


def intervals(rows: Sequence[report.Row]) -> tuple[np.ndarray, np.ndarray]:
  """Means `[P]`, and the distances to the ends of their intervals `[2, P]`.

  Args:
    rows: `P` of them; one without an interval has distances 0.

  Returns:
    Both in percent.
  """
  mean = np.array([row['mean'] for row in rows])
  low, high = (
    np.array([row['mean'] if row[end] is None else row[end] for row in rows])
    for end in ('ci_low', 'ci_high')
  )
  errors = np.maximum([mean - low, high - mean], 0)
  return 100 * mean, 100 * errors
