"""How near real targets are read, by the number of known samples."""

from collections.abc import Mapping, Sequence
import pathlib
import typing

from splitjax.reports import canvas
from splitjax.reports import plots
from splitjax.reports.page import Summary
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting
from splitjax.results import by_cell

if typing.TYPE_CHECKING:
  from matplotlib.axes import Axes

_TITLES = {
  'cut_grads': 'cut gradients',
  'smashed': 'smashed data',
  'raw_inputs': 'no leak: raw inputs',
  'none': 'nothing',
}
# What is drawn over the number of known samples: place, attack, style.
_CURVES = (
  ('cut_grads', 'strongest', '-D'),
  ('cut_grads', 'learning_based', '-o'),
  ('cut_grads', 'ridge', '-s'),
  ('cut_grads', 'nearest', '-^'),
  ('smashed', 'ridge', '--s'),
  ('raw_inputs', 'ridge', ':s'),
  ('none', 'mean', ':'),
)
_BY_UTILITY = (('strongest', 'D'), ('learning_based', 'o'), ('ridge', 's'))


def by_known(summary: Summary, path: pathlib.Path) -> None:
  """Draw R2 by known samples and, under defenses, by the model's own R2.

  Args:
    summary: its rows are drawn.
    path: the PNG file to write; an SVG file is written beside it.
  """
  cells = by_cell(summary.rows, 'r2')
  settings = list(dict.fromkeys(cell.setting for cell in cells))
  plain = [setting for setting in settings if setting.defense == 'none']
  defended = len(plain) < len(settings)
  figure = canvas.make_figure((12.5 if defended else 7.5, 4.2))
  grid = figure.subplots(1, 1 + defended, squeeze=False)[0]
  _draw_known(grid[0], cells, plain)
  if defended:
    _draw_utility(grid[1], cells, settings)
  for axes in grid:
    axes.set_ylim(-0.6, 1.02)
    axes.set_ylabel('R2 of the targets read')
    canvas.strip(axes)
    axes.legend(loc='center left', bbox_to_anchor=(1, 0.5), frameon=False)
  figure.suptitle(summary.title)
  canvas.save(figure, path)


def _draw_known(
  axes: 'Axes', cells: Mapping[Cell, Row], settings: Sequence[Setting]
) -> None:
  """Draw R2 in training, undefended, over the number of known samples."""
  for index, (place, attack, style) in enumerate(_CURVES):
    found = [
      (setting.num_aux, cells[Cell(setting, 'training', place, attack)])
      for setting in settings
      if Cell(setting, 'training', place, attack) in cells
    ]
    if not found:
      continue
    mean, errors = plots.intervals([row for _, row in found], 1.0)
    axes.errorbar(
      [num_aux for num_aux, _ in found],
      mean,
      errors,
      fmt=style,
      color=canvas.color(index),
      capsize=2,
      label=f'{attack}, {_TITLES[place]}',
    )
  model = cells[Cell(settings[0], 'training', 'none', 'model')]
  axes.axhline(model['mean'], color='gray', label='the model itself')
  axes.set_xticks([setting.num_aux for setting in settings])
  axes.set_xlabel('known samples')


def _draw_utility(
  axes: 'Axes', cells: Mapping[Cell, Row], settings: Sequence[Setting]
) -> None:
  """Draw R2 of what gradients tell over that of the model on the test set."""
  most = max(setting.num_aux for setting in settings)
  models = {  # The number of known samples does not change the model.
    cell.setting._replace(num_aux=most): row
    for cell, row in cells.items()
    if cell[1:] == ('inference', 'none', 'model')
  }
  shown = [setting for setting in settings if setting.num_aux == most]
  names = list(dict.fromkeys(setting.defense for setting in shown))
  for attack, marker in _BY_UTILITY:
    for index, name in enumerate(names):
      found = [
        x
        for x in shown
        if x.defense == name
        and Cell(x, 'training', 'cut_grads', attack) in cells
      ]
      if not found:
        continue
      read = [cells[Cell(x, 'training', 'cut_grads', attack)] for x in found]
      x, x_errors = plots.intervals([models[x] for x in found], 1.0)
      y, y_errors = plots.intervals(read, 1.0)
      axes.errorbar(
        x,
        y,
        y_errors,
        x_errors,
        fmt=marker,
        color=canvas.color(index),
        label=f'{attack}, {name}',
      )
      for setting, *at in zip(found, x, y, strict=True):
        axes.annotate(
          f'{setting.strength:g}',
          tuple(at),
          xytext=(3, 3),
          textcoords='offset points',
          fontsize=7,
        )
  axes.set_xlabel('R2 of the model on the test set')
  axes.set_title(f'cut gradients, {most} known samples', fontsize=10)
