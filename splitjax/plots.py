"""Plots of results, with intervals and with what is no leakage."""

import pathlib

from matplotlib import figure
import numpy as np

from splitjax import files
from splitjax import page
from splitjax import report

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
  cells = {
    report.cell_of(row): row
    for row in summary.rows
    if row['measure'] == summary.measure
  }
  groups = [line for line in summary.lines if line[1] not in _BASELINES]
  canvas = figure.Figure(figsize=(8, 4.4), dpi=150, layout='constrained')
  axes = canvas.subplots()
  width = 0.8 / len(summary.attacks)
  left = np.arange(len(groups)) - 0.4
  for column, attack in enumerate(summary.attacks):
    found = [cells[report.Cell(p, i, attack)] for p, i, _ in groups]
    x = left + (column + 0.5) * width
    mean, errors = _intervals(found)
    color = COLORS[column % len(COLORS)]
    axes.bar(x, mean, 0.92 * width, color=color, label=attack)
    for position, value in zip(x, mean, strict=True):
      axes.annotate(
        f'{value:.1f}',
        (position, 2),
        ha='center',
        color='white',
        fontsize=min(10, 30 * width),
      )
    axes.errorbar(x, mean, errors, fmt='none', ecolor='black', capsize=3)
    for name, (marker, label) in _BASELINES.items():
      found = [cells[report.Cell(p, name, attack)] for p, _, _ in groups]
      axes.scatter(
        x,
        _intervals(found)[0],
        s=400 * width,
        c='black',
        marker=marker,
        zorder=3,
        label=label if column == 0 else None,
      )
  for index, (phase, _, _) in enumerate(groups):
    for name, style in (('model', '-'), ('chance', ':')):
      row = cells[report.Cell(phase, 'none', name)]
      axes.hlines(
        100 * row['mean'],
        index - 0.46,
        index + 0.46,
        colors='gray',
        linestyles=style,
        label=None if index else {'model': 'the model itself'}.get(name, name),
      )
  axes.set_xticks(
    range(len(groups)), [f'{phase}\n{title}' for phase, _, title in groups]
  )
  axes.set_ylim(0, 105)
  axes.set_ylabel(f'{summary.measure.replace("_", " ")} of the labels read, %')
  axes.set_title(summary.title)
  axes.spines[['top', 'right']].set_visible(False)
  handles, labels = axes.get_legend_handles_labels()
  bars = len(labels) - len(summary.attacks)  # Which matplotlib puts last.
  canvas.legend(
    handles[bars:] + handles[:bars],
    labels[bars:] + labels[:bars],
    loc='outside right upper',
    frameon=False,
  )
  with files.replacing(path) as scratch:
    canvas.savefig(scratch, format='png', metadata={'Software': None})


def _intervals(rows):
  """Means and the distances to the ends of their intervals, in percent."""
  mean = np.array([row['mean'] for row in rows])
  low, high = (
    np.array([row['mean'] if row[end] is None else row[end] for row in rows])
    for end in ('ci_low', 'ci_high')
  )
  errors = np.maximum([mean - low, high - mean], 0)
  return 100 * mean, 100 * errors
