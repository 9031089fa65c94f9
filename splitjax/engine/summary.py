"""What a person reads of results."""

from collections.abc import Sequence

from splitjax.engine import problems
from splitjax.reports import page
from splitjax.results import report

_TITLES = {
  'cut_grads': 'cut gradients',
  'smashed': 'smashed data',
  'untrained_smashed': 'no leak: untrained client',
  'raw_inputs': 'no leak: raw inputs',
  'extracted': "features of the attacker's network",
}


def title_of(cell: report.Cell) -> str:
  """What was read, in words."""
  title = _TITLES[cell.intermediate]
  if cell.intermediate != 'cut_grads':
    return title
  epoch = cell.setting.recorded_epoch
  return f'{title}, ' + (f'pass {epoch}' if epoch > 1 else 'first pass')


def measure_of(problem: problems.Problem) -> str:
  """Which measure the tables and plots show."""
  return 'accuracy' if problem.dataset.num_classes > 2 else 'macro_f1'


def lines_of(rows: Sequence[report.Row]) -> list[page.Line]:
  """A line for all that was read, in the order of the results.

  Args:
    rows: all rows.

  Returns:
    The lines, with the cut where the attacker sees several.
  """
  lines = {}
  for row in rows:
    cell = report.cell_of(row)
    if cell.intermediate != 'none':
      _, _, cut = cell.setting.cut.partition('@')
      title = title_of(cell) + (f', cut {cut}' if cut else '')
      lines[cell[:3]] = page.Line(*cell[:3], title)
  return list(lines.values())


def facts_of(
  problem: problems.Problem,
  rows: Sequence[report.Row],
  whole: report.Setting,
  measure: str,
) -> list[str]:
  """What was run and how, in sentences."""
  config, dataset = problem.config, problem.dataset
  normalized = f' ({config.norm}norm)' if config.norm else ''
  facts = [
    f'Data: {dataset.name}, {len(dataset.train_labels):,} training and '
    f'{len(dataset.test_labels):,} test samples of {dataset.num_classes} '
    'classes.',
    *dataset.notes,
    f'Network: {problem.model.describe()}{normalized}.',
    f'Training: {config.epochs} epochs of {config.optimizer}, learning rate '
    f'{config.learning_rate:g}, batch {config.batch_size}'
    + (', crop and flip.' if config.augment else '.'),
    *_attacker_facts(config),
    *_defense_facts(problem, rows),
    f'Labels known to the attacker: {config.num_aux} of each class; '
    f'{config.num_seeds} seeds x {config.num_aux_draws} draws of them = '
    f'{config.num_seeds * config.num_aux_draws} trials.',
    f'Figures: {measure.replace("_", " ")} in %, mean [95% interval].',
  ]
  figures = report.by_cell(rows, measure)
  of = lambda phase, name: figures.get(report.Cell(whole, phase, 'none', name))
  if of('training', 'model'):
    level = lambda name: f'{100 * of("training", name)["mean"]:.1f}'
    good = lambda phase: page.percent(of(phase, 'model'))
    facts.append(
      f'The model itself: {good("training")} on the training set, '
      f'{good("inference")} on the test set. '
      f'Majority class: {level("majority")}. Chance: {level("chance")}.'
    )
  diverged = [
    f'{100 * row["mean"]:.0f}% ({_where(row)})'
    for row in rows
    if row['measure'] == 'diverged'
    and row['phase'] == 'training'
    and row['dataset'] == dataset.name
  ]
  if diverged:
    facts.append(
      'Models that the defense made diverge (all they send counts as zeros): '
      + ', '.join(diverged)
      + '.'
    )
  zero = [
    f'{100 * row["mean"]:.3g}% of {row["intermediate"]} ({_where(row)})'
    for row in rows
    if row['measure'] == 'zero_share'
    and row['mean'] > 0
    and row['dataset'] == dataset.name
  ]
  if zero:
    facts.append('All-zero vectors: ' + ', '.join(zero) + '.')
  return facts


def _where(row):
  """The phase and the cut of a row, and the defense if there was one."""
  where = f'{row["phase"]}, cut {row["cut"]}'
  if row['defense'] != 'none':
    where += f', {row["defense"]} {row["strength"]:g}'
  if row['num_passes'] > 1:
    where += f', mean of {row["num_passes"]} passes'
  return where


def _attacker_facts(config):
  """Whether the attacker leaves the protocol."""
  if not config.malicious_client:
    return []
  return [
    'ACTIVE attacker: it enlarges the gradients of its part that keep their '
    'sign; nothing here is passive.'
  ]


def _defense_facts(problem, rows):
  """What was defended, and what is known of it without an attack."""
  plan = problem.plan
  if not plan.specs:
    return []
  promises = [
    f'{row["measure"].replace("_", " ")} {row["mean"]:.3g}'
    for row in rows
    if row['attack'] == 'guarantee' and row['strength'] == plan.strength
  ]
  spec = '+'.join(one.text(strength=True) for one in plan.specs)
  off = ' (off: undefended)' if plan.off else ''
  return [f'Defense: {spec}{off}. ' + '; '.join(promises)]


def summarise(
  problem: problems.Problem, rows: Sequence[report.Row]
) -> page.Summary:
  """What a person reads of the results of `label_inference`.

  Args:
    problem: what was measured.
    rows: all rows of it.

  Returns:
    Title, facts and tables.
  """
  return page.Summary(
    title=f'{problem.dataset.name}: labels read at the cut of a split model',
    facts=facts_of(problem, rows, problem.setting, measure_of(problem)),
    rows=rows,
    whole=problem.setting,
    lines=lines_of(rows),
    attacks=problem.config.attacks,
    measure=measure_of(problem),
  )


def summarise_sweeps(
  problem: problems.Problem,
  rows: Sequence[report.Row],
  whole: report.Setting,
  sweeps: Sequence[page.Sweep],
  title: str,
) -> page.Summary:
  """What a person reads of the results of a sweep.

  Args:
    problem: what was measured.
    rows: all rows of it.
    whole: the setting of what no factor changes.
    sweeps: what was varied.
    title: one line.

  Returns:
    Title, facts and tables.
  """
  lines = []
  known = {line[:3]: line for line in lines_of(rows)}
  for place in dict.fromkeys(key[1:] for key in known):
    if (whole, *place) in known:
      lines.append(known[whole, *place])
    for sweep in sweeps:
      found = [
        page.Line(
          x, *place, f'{known[x, *place].title}; {sweep.factor} {label}'
        )
        for x, label in zip(sweep.settings, sweep.labels, strict=True)
        if (x, *place) in known
      ]
      shown = len(found) > 1 or len(sweep.settings) == 1
      lines += found if shown else []
  return page.Summary(
    title=f'{problem.dataset.name}: {title}',
    facts=facts_of(problem, rows, whole, measure_of(problem)),
    rows=rows,
    whole=whole,
    lines=lines,
    attacks=problem.config.attacks,
    measure=measure_of(problem),
  )
