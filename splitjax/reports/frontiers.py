"""What a person reads of defenses: tables and plots of leakage by utility."""

import collections
from collections.abc import Sequence
import functools
import pathlib

from matplotlib import figure
from matplotlib import lines

from splitjax import files
from splitjax.engine import summary
from splitjax.engine.families import Family
from splitjax.reports import page
from splitjax.reports import plots
from splitjax.results import report

# What is drawn: phase, intermediate, and whether over several passes.
_PANELS = (
  ('training', 'cut_grads', False),
  ('training', 'cut_grads', True),
  ('training', 'smashed', False),
  ('inference', 'smashed', False),
)
_MARKERS = 'osv^Dp'
_MEASURE = 'accuracy'
_NARROWEST = 10  # Points of accuracy that a panel shows at least.
_LEVELS = {
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


def summarise(
  families: Sequence[Family], rows: Sequence[report.Row]
) -> page.Summary:
  """Title, facts and table of a sweep over defenses.

  Args:
    families: the first is undefended.
    rows: all rows.

  Returns:
    The summary.
  """
  first = families[0].problem
  facts = []
  for base in _undefended(families):
    facts += summary.facts_of(base.problem, rows, base.settings[0], _MEASURE)
  facts.append(
    'Defended lines name the strength, what it promises, and the accuracy of '
    'the model on the test set.'
  )
  figures, shown = _figures(rows), []
  for family in families:
    places = dict.fromkeys(cell[:3] for cell in family.cells())
    for setting in family.settings:
      label = _label(family, setting, figures[setting])
      for cell in places:
        place_setting, _, intermediate = cell
        alone = place_setting._replace(num_passes=1)
        if intermediate == 'none' or alone != setting:
          continue
        title = summary.title_of(report.Cell(*cell, 'none'))
        if place_setting.num_passes > 1:
          title = f'cut gradients, mean of {place_setting.num_passes} passes'
        shown.append(page.Line(*cell, f'{title}; {label}'))
  attacks = dict.fromkeys(x for f in families for x in f.problem.config.attacks)
  return page.Summary(
    title=f'{first.dataset.name}: labels read under defenses',
    facts=facts,
    rows=rows,
    whole=families[0].settings[0],
    lines=shown,
    attacks=list(attacks),
    measure=_MEASURE,
  )


def _undefended(families):
  """One family for each data set."""
  return [family for family in families if not family.problem.plan.specs]


def _figures(rows):
  """Rows of what is promised and of the model on the test set, by setting."""
  figures = collections.defaultdict(dict)
  for row in rows:
    place = row['attack'], row['phase']
    if place[0] == 'guarantee' or place == ('model', 'inference'):
      figures[report.cell_of(row).setting][row['measure']] = row
  return figures


def _label(family, setting, rows):
  """A strength, its promises and the model's accuracy, in words."""
  utility = rows.get(_MEASURE)
  words = [f'model {page.percent(utility)}'] if utility else []
  found = {measure: row['mean'] for measure, row in rows.items()}
  if 'diverged' in found:
    words.append(f'{100 * found["diverged"]:.0f}% of the models diverged')
  if 'keep_probability' in found:
    words.insert(0, f'{100 * found["keep_probability"]:.1f}% of labels kept')
  if 'auc_bound' in found:
    words.insert(0, f'AUC at most {100 * found["auc_bound"]:.1f}')
  if 'noise_multiplier' in found:
    words.insert(0, f'noise {found["noise_multiplier"]:.3g}')
  name = setting.dataset
  if setting.defense != 'none':
    strength = family.problem.plan.specs[0].defense.strength
    name += f' {setting.defense} {strength}={setting.strength:g}'
  return f'{name} ({", ".join(words)})' if words else name


def plot(
  families: Sequence[Family], what: page.Summary, path: pathlib.Path
) -> None:
  """Draws what is read against how good the model is, a curve a defense.

  Args:
    families: whose curves to draw.
    what: its rows and measure are drawn.
    path: the PNG file to write.
  """
  cells = report.by_cell(what.rows, what.measure)
  bounds = {
    cell.setting: row['mean']
    for cell, row in report.by_cell(what.rows, 'auc_bound').items()
  }
  names = list(dict.fromkeys(_name(family) for family in families))
  colors = {
    name: plots.COLORS[index % len(plots.COLORS)]
    for index, name in enumerate(names)
  }
  markers = dict(zip(what.attacks, _MARKERS * len(what.attacks), strict=False))
  undefended = _undefended(families)
  canvas = figure.Figure(
    figsize=(14, 0.8 + 3.6 * len(undefended)), dpi=130, layout='constrained'
  )
  grid = canvas.subplots(
    len(undefended), len(_PANELS), sharey=True, sharex='row', squeeze=False
  )
  for base, row in zip(undefended, grid, strict=True):
    dataset = base.problem.dataset
    of_set = [one for one in families if one.problem.dataset is dataset]
    for panel, axes in zip(_PANELS, row, strict=True):
      if panel[2] and not any(one.passes for one in of_set[1:]):
        axes.axis('off')
        continue
      for family in of_set:
        color = colors[_name(family)]
        _curves(axes, cells, bounds, family, panel, color, markers)
      _levels(axes, cells, base, panel)
      axes.set_xlabel('model, test accuracy, %')
      axes.set_ylim(0, 105)
      axes.spines[['top', 'right']].set_visible(False)
    low, high = row[0].get_xlim()
    if high - low < _NARROWEST:  # Differences of no matter are not blown up.
      end = min((low + high + _NARROWEST) / 2, 101)
      row[0].set_xlim(end - _NARROWEST, end)
    row[0].set_ylabel(f'{dataset.name}: labels read, {what.measure}, %')
  line = functools.partial(lines.Line2D, [], [])
  handles = [
    *(line(color=colors[name], linewidth=3, label=name) for name in names),
    *(
      line(color='black', linestyle='', marker=marker, label=attack)
      for attack, marker in markers.items()
    ),
    *(line(label=label, **style) for label, style in _LEVELS.values()),
  ]
  canvas.legend(handles=handles, loc='outside right upper', frameon=False)
  canvas.suptitle(what.title)
  with files.replacing(path) as scratch:
    canvas.savefig(scratch, format='png', metadata={'Software': None})


def _curves(axes, cells, bounds, family, panel, color, markers):
  """What is read of one defense in one place, a curve for each attack."""
  phase, intermediate, averaged = panel
  passes = max(family.passes, default=1) if averaged else 1
  title = f'{intermediate.replace("_", " ")}, {phase}'
  if averaged:
    if passes == 1:
      return
    title += f', mean of {passes} passes'
  axes.set_title(title, fontsize=10)
  for attack in family.problem.config.attacks:
    points = []
    for setting in family.settings:
      x = cells.get(report.Cell(setting, 'inference', 'none', 'model'))
      place = setting._replace(num_passes=passes), phase, intermediate
      y = cells.get(report.Cell(*place, attack))
      if x is not None and y is not None:
        points.append((x, y, setting))
    if not points:
      continue
    x, x_errors = plots.intervals([one[0] for one in points])
    y, y_errors = plots.intervals([one[1] for one in points])
    axes.errorbar(
      x,
      y,
      yerr=y_errors,
      xerr=x_errors,
      color=color,
      marker=markers[attack],
      ms=5,
      linewidth=1,
      elinewidth=0.6,
      alpha=0.8,
    )
    if family.problem.plan.specs and attack == 'clustering':
      for px, py, (_, _, setting) in zip(x, y, points, strict=True):
        bound = bounds.get(setting) if intermediate == 'cut_grads' else None
        axes.annotate(
          f'{setting.strength:g}'
          + ('' if bound is None else f' (AUC\u2264{100 * bound:.0f}%)'),
          (px, py),
          xytext=(4, 4),
          textcoords='offset points',
          fontsize=7,
          color=color,
        )


def _levels(axes, cells, base, panel):
  """What is no leakage, and chance."""
  phase, intermediate, _ = panel
  whole = base.settings[0]
  places = {
    'chance': ('none', 'chance'),
    'raw_inputs': ('raw_inputs', base.problem.config.attacks[0]),
    'untrained_smashed': (
      'untrained_smashed' if intermediate == 'smashed' else '',
      base.problem.config.attacks[0],
    ),
  }
  for name, place in places.items():
    row = cells.get(report.Cell(whole, phase, *place))
    if row is not None:
      axes.axhline(100 * row['mean'], **_LEVELS[name][1])


def _name(family):
  """A defense, with what its strength is called."""
  specs = family.problem.plan.specs
  if not specs:
    return 'undefended'
  return f'{family.problem.plan.name}, by {specs[0].defense.strength}'
