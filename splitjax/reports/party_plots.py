"""What each of several parties reads: in sentences, and as a plot."""

from collections.abc import Mapping, Sequence
import pathlib
import typing
from typing import Any

import numpy as np

from splitjax.reports import canvas
from splitjax.reports import page
from splitjax.reports import plots
from splitjax.reports.page import Line
from splitjax.reports.page import Summary
from splitjax.reports.page import Sweep
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import by_cell

if typing.TYPE_CHECKING:
  from matplotlib.axes import Axes

_STRONGEST = 'strongest'
_BASELINES = {
  'raw_inputs': ('x', 'no leak: its own raw inputs'),
  'untrained_smashed': ('_', 'no leak: its untrained bottom'),
}
Cells = Mapping[Cell, Row]


def _attack_of(summary: Summary) -> str:
  """Return the attack whose figures are told: the strongest, or the first."""
  names = [x for x in summary.attacks if x.partition(':')[0] == _STRONGEST]
  return [*names, *summary.attacks][0]


def _places_of(summary: Summary) -> dict[tuple[str, str], str]:
  """Return the places that leak, by phase and intermediate, with titles."""
  return {
    (line.phase, line.intermediate): line.title.partition(';')[0]
    for line in summary.lines
    if line.intermediate not in _BASELINES and line.setting.num_passes == 1
  }


def answer_of(summary: Summary, sweep: Sweep) -> list[str]:
  """Say what each party reads, beside what it reads without the exchange.

  Args:
    summary: its rows, lines, attacks and measure are told.
    sweep: the parties, alone and together.

  Returns:
    A sentence for each place.
  """
  cells, attack = by_cell(summary.rows, summary.measure), _attack_of(summary)
  sentences = []
  for (phase, intermediate), title in _places_of(summary).items():
    texts = [
      f'{label}: {page.shown(row)}{_beside(cells, attack, line)}'
      for label, row, line in _rows_of(
        cells, summary, sweep, (phase, intermediate), attack
      )
    ]
    if texts:
      what = f'Of {title} ({phase}), {attack} reads, by the party'
      sentences.append(f'{what}: ' + '; '.join(texts) + '.')
  return sentences


def _rows_of(
  cells: Cells,
  summary: Summary,
  sweep: Sweep,
  place: tuple[str, str],
  attack: str,
) -> list[tuple[str, Row, Line]]:
  """Return what an attack reads in a place, by the party."""
  known = {line[:3]: line for line in summary.lines}
  return [
    (label, cells[Cell(setting, *place, attack)], known[setting, *place])
    for setting, label in zip(sweep.settings, sweep.labels, strict=True)
    if Cell(setting, *place, attack) in cells
  ]


def _beside(cells: Cells, attack: str, line: Line) -> str:
  """Return what the same attack reads of the party's own, in brackets."""
  texts = []
  for name, words in (
    ('raw_inputs', 'own raw inputs'),
    ('untrained_smashed', 'own untrained bottom'),
  ):
    row = cells.get(Cell(line.setting, line.phase, name, attack))
    if row is not None:
      texts.append(f'{words} {page.shown(row).partition(" ")[0]}')
  return f' ({", ".join(texts)})' if texts else ''


def leak_by_party(summary: Summary, sweep: Sweep, path: pathlib.Path) -> None:
  """Draw what each attack reads, by the party, beside its own baselines.

  Args:
    summary: its rows, lines, attacks and measure are drawn.
    sweep: the parties, alone and together.
    path: the PNG file to write; an SVG file is written beside it.
  """
  cells, places = by_cell(summary.rows, summary.measure), _places_of(summary)
  wide = 1.5 + 0.45 * len(sweep.labels)
  figure = canvas.make_figure((2.5 + max(wide, 2.6) * len(places), 4))
  grid = figure.subplots(1, len(places), sharey=True, squeeze=False)
  for axes, (place, title) in zip(grid[0], places.items(), strict=True):
    _panel(axes, cells, summary, sweep, place)
    axes.set_title(f'{title},\n{place[0]}', fontsize=9)
    axes.set_xlabel('party')
    canvas.strip(axes)
  grid[0, 0].set_ylabel(page.in_words(summary.measure))
  plots.legend(figure, summary.attacks, 'outside right center')
  figure.suptitle(summary.title)
  canvas.save(figure, path)


def _panel(
  axes: 'Axes',
  cells: Cells,
  summary: Summary,
  sweep: Sweep,
  place: tuple[str, str],
) -> None:
  """Draw what is read in one place, by the party."""
  factor = page.factor_of(summary.measure)
  width = 0.8 / len(summary.attacks)
  places = np.arange(len(sweep.labels))

  def found(attack: str, name: str) -> tuple[np.ndarray, Sequence[Row]]:
    rows = [cells.get(Cell(x, place[0], name, attack)) for x in sweep.settings]
    known = [index for index, row in enumerate(rows) if row is not None]
    return places[known], [row for row in rows if row is not None]

  for column, attack in enumerate(summary.attacks):
    offset = (column + 0.5) * width - 0.4
    style: dict[str, Any] = {'color': canvas.color(column), 'label': attack}
    x, rows = found(attack, place[1])
    mean, errors = plots.intervals(rows, factor)
    axes.bar(x + offset, mean, 0.92 * width, **style)
    axes.errorbar(
      x + offset, mean, errors, fmt='none', ecolor='black', capsize=2
    )
    for position, value in zip(x + offset, mean, strict=True):
      axes.annotate(
        f'{value:.1f}' if factor == 100 else f'{value:.2f}',
        (position, 0.02 * factor),
        ha='center',
        color='white',
        fontsize=8,
        rotation=90 if len(sweep.labels) * len(summary.attacks) > 5 else 0,
      )
    for name, (marker, label) in _BASELINES.items():
      x, rows = found(attack, name)
      axes.scatter(
        x + offset,
        [factor * row['mean'] for row in rows],
        s=200 * width,
        c='black',
        marker=marker,
        zorder=3,
        label=label if len(rows) else None,
      )
  for name, (line, label) in plots.LEVELS.items():
    row = cells.get(Cell(summary.whole, place[0], 'none', name))
    if row is not None:
      level = factor * row['mean']
      axes.axhline(level, color='gray', linestyle=line, label=label, zorder=0)
  axes.set_xticks(places, sweep.labels, rotation=90 if len(places) > 6 else 0)
  plots.limit(axes, summary.measure)
