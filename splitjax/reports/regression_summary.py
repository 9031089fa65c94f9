"""What a person reads of a regression run: facts, a table, a plot."""

from collections.abc import Sequence
import pathlib

from matplotlib import figure

from splitjax import files
from splitjax.reports import page
from splitjax.reports import plots
from splitjax.results import report

COLUMNS = ('model', 'mean', 'nearest', 'ridge', 'learning_based')
_TITLES = {
  'cut_grads': 'cut gradients',
  'smashed': 'smashed data',
  'raw_inputs': 'no leak: raw inputs',
  'none': 'nothing',
}
_HOW_TO_READ = (
  'The model is the utility: its own predictions. The mean is that of the '
  'known targets. What is read above ridge regression on raw inputs is '
  'leakage. R2 is negative where the mean of the truth would be nearer.'
)
# What is drawn over the number of known samples: place, attack, style.
_CURVES = (
  ('cut_grads', 'learning_based', '-o'),
  ('cut_grads', 'ridge', '-s'),
  ('cut_grads', 'nearest', '-^'),
  ('smashed', 'ridge', '--s'),
  ('raw_inputs', 'ridge', ':s'),
  ('none', 'mean', ':'),
)


def summarise(rows: Sequence[report.Row], facts: Sequence[str]) -> page.Summary:
  """What a person reads of results.

  Args:
    rows: all of them.
    facts: what was run and how, sentences.

  Returns:
    The summary.
  """
  lines = {}
  for row in rows:
    cell = report.cell_of(row)
    lines[cell[:3]] = page.Line(*cell[:3], _title(cell))
  return page.Summary(
    title=f'{rows[0]["dataset"]}: R2 of targets read at the cut',
    facts=facts,
    rows=rows,
    whole=report.cell_of(rows[0]).setting,
    lines=list(lines.values()),
    attacks=COLUMNS,
    measure='r2',
    how_to_read=_HOW_TO_READ,
  )


def _title(cell):
  setting = cell.setting
  title = _TITLES[cell.intermediate]
  if cell.intermediate == 'cut_grads':
    title += f', pass {setting.recorded_epoch}'
  if setting.defense != 'none':
    title = f'{setting.defense} {setting.strength:g}: {title}'
  return f'{title}, {setting.num_aux} known'


def draw(summary: page.Summary, path: pathlib.Path) -> None:
  """Draws what is read by known samples and, under defenses, by utility.

  Args:
    summary: its rows are drawn.
    path: the PNG file to write.
  """
  cells = report.by_cell(summary.rows, 'r2')
  settings = list(dict.fromkeys(cell.setting for cell in cells))
  defended = any(setting.defense != 'none' for setting in settings)
  canvas = figure.Figure(
    figsize=(12.5 if defended else 7.5, 4.2), dpi=150, layout='constrained'
  )
  grid = canvas.subplots(1, 1 + defended, squeeze=False)[0]
  _draw_known(grid[0], cells, [x for x in settings if x.defense == 'none'])
  if defended:
    _draw_utility(grid[1], cells, settings)
  for axes in grid:
    axes.set_ylim(-0.6, 1.02)
    axes.set_ylabel('R2 of the targets read')
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(loc='center left', bbox_to_anchor=(1, 0.5), frameon=False)
  canvas.suptitle(summary.title)
  with files.replacing(path) as scratch:
    canvas.savefig(scratch, format='png', metadata={'Software': None})


def _draw_known(axes, cells, settings):
  """R2 in training, undefended, over the number of known samples."""
  for index, (place, attack, style) in enumerate(_CURVES):
    rows = [
      cells[report.Cell(setting, 'training', place, attack)]
      for setting in settings
    ]
    mean, errors = _intervals(rows)
    axes.errorbar(
      [setting.num_aux for setting in settings],
      mean,
      errors,
      fmt=style,
      color=plots.COLORS[index % len(plots.COLORS)],
      capsize=2,
      label=f'{attack}, {_TITLES[place]}',
    )
  model = cells[report.Cell(settings[0], 'training', 'none', 'model')]
  axes.axhline(model['mean'], color='gray', label='the model itself')
  axes.set_xticks([setting.num_aux for setting in settings])
  axes.set_xlabel('known samples')


def _draw_utility(axes, cells, settings):
  """R2 of what gradients tell over that of the model on the test set."""
  most = max(setting.num_aux for setting in settings)
  base = {x[:5]: x for x in reversed(settings)}  # Where the model is measured.
  shown = [setting for setting in settings if setting.num_aux == most]
  names = list(dict.fromkeys(setting.defense for setting in shown))
  for attack, marker in (('learning_based', 'o'), ('ridge', 's')):
    for index, name in enumerate(names):
      found = [setting for setting in shown if setting.defense == name]
      models = [
        cells[report.Cell(base[x[:5]], 'inference', 'none', 'model')]
        for x in found
      ]
      read = [
        cells[report.Cell(x, 'training', 'cut_grads', attack)] for x in found
      ]
      x, x_errors = _intervals(models)
      y, y_errors = _intervals(read)
      axes.errorbar(
        x,
        y,
        y_errors,
        x_errors,
        fmt=marker,
        color=plots.COLORS[index % len(plots.COLORS)],
        label=f'{attack}, {name}',
      )
      for setting, *at in zip(found, x, y, strict=True):
        axes.annotate(
          f'{setting.strength:g}',
          at,
          xytext=(3, 3),
          textcoords='offset points',
          fontsize=7,
        )
  axes.set_xlabel('R2 of the model on the test set')
  axes.set_title(f'cut gradients, {most} known samples', fontsize=10)


def _intervals(rows):
  """As `plots.intervals`, but not in percent."""
  mean, errors = plots.intervals(rows)
  return mean / 100, errors / 100
