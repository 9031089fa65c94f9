"""What was run and found, in sentences and lines of tables."""

from collections.abc import Sequence
from typing import Any

from splitjax import metrics
from splitjax.defenses.guarantees import PROMISES
from splitjax.engine.config import Config
from splitjax.engine.problems import Problem
from splitjax.records.intermediates import INTERMEDIATES
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.reports import page
from splitjax.reports.page import Line
from splitjax.reports.page import Summary
from splitjax.reports.page import Sweep
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting
from splitjax.results import by_cell
from splitjax.results import cell_of


def title_of(cell: Cell) -> str:
  """Return what was read, in words."""
  title = INTERMEDIATES[Name(cell.intermediate)].title
  if cell.intermediate != Name.CUT_GRADS:
    return title
  if cell.setting.num_passes > 1:
    return f'{title}, {cell.setting.num_passes} passes'
  epoch = cell.setting.recorded_epoch
  return f'{title}, ' + (f'pass {epoch}' if epoch > 1 else 'first pass')


def measure_of(problem: Problem) -> str:
  """Return which measure the tables and plots show."""
  if problem.dataset.is_real:
    return 'r2'
  return 'accuracy' if problem.dataset.num_classes > 2 else 'macro_f1'


def lines_of(rows: Sequence[Row]) -> list[Line]:
  """Return a line for all that was read, in the order of the results.

  Args:
    rows: all rows.

  Returns:
    The lines, with the cut where the attacker sees several.
  """
  lines = {}
  for row in rows:
    cell = cell_of(row)
    if cell.intermediate != Name.NONE:
      _, _, cut = cell.setting.cut.partition('@')
      title = title_of(cell) + (f', cut {cut}' if cut else '')
      lines[cell[:3]] = Line(*cell[:3], title)
  return list(lines.values())


def facts_of(
  problem: Problem, rows: Sequence[Row], whole: Setting, measure: str
) -> list[str]:
  """Return what was run and how, in sentences.

  Args:
    problem: what was trained and attacked.
    rows: all rows.
    whole: the setting of what depends on no single cut.
    measure: which measure the tables show.

  Returns:
    The sentences.
  """
  config, dataset = problem.config, problem.dataset
  kind = 'real targets' if dataset.is_real else f'{dataset.num_classes} classes'
  if dataset.is_real:
    kind += f', {dataset.target_mean:.1f} +- {dataset.target_std:.1f}'
  normalized = f' ({config.norm}norm)' if config.norm else ''
  unit = 'in %, ' if page.factor_of(measure) == 100 else ''
  shown = measure.replace('_', ' ').replace('r2', 'R2')
  return [
    f'Data: {dataset.name}, {len(dataset.train_labels):,} training and '
    f'{len(dataset.test_labels):,} test samples of {kind}.',
    *dataset.notes,
    f'Network: {problem.model.describe()}{normalized}.',
    f'Training: {config.epochs} epochs of {config.optimizer}, learning rate '
    f'{config.learning_rate:g}, batch {config.batch_size}'
    + (', crop and flip.' if config.augment else '.'),
    *_attacker_facts(config),
    *_defense_facts(problem, rows),
    _known_fact(problem),
    *_canary_facts(problem),
    f'Figures: {shown} {unit}mean [95% interval for '
    f'{metrics.population(config.num_seeds, config.num_aux_draws)}].',
    *_model_facts(rows, whole, measure),
    *_diverged_facts(rows, dataset.name),
    *_zero_facts(rows, dataset.name),
  ]


def _known_fact(problem: Problem) -> str:
  """Return what the attacker knows, and how many trials there are."""
  config = problem.config
  known = 'samples in all' if problem.dataset.is_real else 'of each class'
  return (
    f'Labels known to the attacker: {config.num_aux} {known}; '
    f'{config.num_seeds} seeds x {config.num_aux_draws} draws of them = '
    f'{config.num_seeds * config.num_aux_draws} trials.'
  )


def _canary_facts(problem: Problem) -> list[str]:
  """Return what epsilon is measured with."""
  if problem.canaries is None:
    return []
  return [
    f'Canaries: of each network {len(problem.canaries.ids):,} training samples '
    'have one of two labels, which a coin chose. Attacks that are shown both '
    'guess; those of every fourth one choose the attack, the others test it.'
  ]


def _model_facts(
  rows: Sequence[Row], whole: Setting, measure: str
) -> list[str]:
  """Return how good the model is, and what guessing gives."""
  figures = by_cell(rows, measure)
  of = lambda phase, name: figures.get(Cell(whole, phase, 'none', name))
  if not of('training', 'model'):
    return []
  good = [page.shown(figures[Cell(whole, x, 'none', 'model')]) for x in Phase]
  facts = [
    f'The model itself: {good[0]} on the training set, {good[1]} on the test '
    'set.'
  ]
  for name, words in (
    ('majority', 'Majority class'),
    ('chance', 'Chance'),
    ('mean', 'The mean of the known targets'),
  ):
    row = of('training', name)
    if row:
      level = page.shown({**row, 'ci_low': None, 'ci_high': None})
      facts.append(f'{words}: {level}.')
  return [' '.join(facts)]


def _diverged_facts(rows: Sequence[Row], dataset: str) -> list[str]:
  """Return which models a defense made diverge."""
  diverged = [
    f'{100 * row["mean"]:.0f}% ({_where(row)})'
    for row in rows
    if row['measure'] == 'diverged'
    and row['phase'] == Phase.TRAINING
    and row['dataset'] == dataset
  ]
  if not diverged:
    return []
  return [
    'Models that the defense made diverge (all they send counts as zeros): '
    + ', '.join(diverged)
    + '.'
  ]


def _zero_facts(rows: Sequence[Row], dataset: str) -> list[str]:
  """Return where vectors were all zero, which tell nothing."""
  zero = [
    f'{100 * row["mean"]:.3g}% of {row["intermediate"]} ({_where(row)})'
    for row in rows
    if row['measure'] == 'zero_share'
    and row['mean'] > 0
    and row['dataset'] == dataset
  ]
  return ['All-zero vectors: ' + ', '.join(zero) + '.'] if zero else []


def _where(row: Row) -> str:
  """Return the phase and the cut of a row, and the defense if there was one."""
  where = f'{row["phase"]}, cut {row["cut"]}'
  if row['defense'] != 'none':
    where += f', {row["defense"]} {row["strength"]:g}'
  if row['num_passes'] > 1:
    where += f', {row["num_passes"]} passes'
  return where


def _attacker_facts(config: Config) -> list[str]:
  """Return whether the attacker leaves the protocol."""
  if not config.malicious_client:
    return []
  return [
    'ACTIVE attacker: it enlarges the gradients of its part that keep their '
    'sign; nothing here is passive.'
  ]


def _defense_facts(problem: Problem, rows: Sequence[Row]) -> list[str]:
  """Return what was defended, and what is known of it without an attack."""
  plan = problem.plan
  if not plan.defended:
    return []
  promises = [
    f'{row["measure"].replace("_", " ")} {row["mean"]:.3g}'
    + (f' ({PROMISES[row["measure"]]})' if row['measure'] in PROMISES else '')
    for row in rows
    if row['attack'] == 'guarantee' and row['strength'] == plan.strength
  ]
  off = ' (off: undefended)' if plan.off else ''
  return [f'Defense: {plan.text}{off}. ' + '; '.join(promises)]


def summarise(
  problem: Problem, rows: Sequence[Row], whole: Setting, title: str
) -> Summary:
  """Return what a person reads of one training.

  Args:
    problem: what was measured.
    rows: all rows of it.
    whole: the setting of what depends on no single cut.
    title: the question, in words.

  Returns:
    Title, facts and tables.
  """
  return Summary(
    title=f'{problem.dataset.name}: {title}',
    facts=facts_of(problem, rows, whole, measure_of(problem)),
    rows=rows,
    whole=whole,
    lines=lines_of(rows),
    attacks=problem.config.attacks,
    measure=measure_of(problem),
    **how_to_read(problem),
  )


def how_to_read(problem: Problem) -> dict[str, Any]:
  """Return what the figures of real targets say, as a field of `Summary`."""
  if not problem.dataset.is_real:
    return {}
  return {'how_to_read': page.HOW_TO_READ_REAL}


def summarise_sweeps(
  problem: Problem,
  rows: Sequence[Row],
  whole: Setting,
  sweeps: Sequence[Sweep],
  title: str,
) -> Summary:
  """Return what a person reads of trainings that differ in one thing each.

  Args:
    problem: what was measured.
    rows: all rows of it.
    whole: the setting of what no factor changes.
    sweeps: what was varied.
    title: the question, in words.

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
        Line(x, *place, f'{known[x, *place].title}; {sweep.factor} {label}')
        for x, label in zip(sweep.settings, sweep.labels, strict=True)
        if (x, *place) in known
      ]
      shown = len(found) > 1 or len(sweep.settings) == 1
      lines += found if shown else []
  summary = summarise(problem, rows, whole, title)
  return summary._replace(lines=lines)
