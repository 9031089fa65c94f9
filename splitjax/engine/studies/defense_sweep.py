"""What defenses are worth: what is read against utility, by strength."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from splitjax.defenses import guarantees
from splitjax.defenses import parsing
from splitjax.defenses.catalog import DEFENSES
from splitjax.defenses.plan import Plan
from splitjax.defenses.plan import Spec
from splitjax.engine import canaries
from splitjax.engine import config as base
from splitjax.engine import facts
from splitjax.engine import guessing
from splitjax.engine.fitting import fit_model
from splitjax.engine.fitting import make_plan
from splitjax.engine.problems import Problem
from splitjax.engine.problems import check
from splitjax.engine.problems import with_attacks
from splitjax.engine.studies import strengths
from splitjax.engine.studies import sweep_plot
from splitjax.engine.study import Study
from splitjax.engine.study import Training
from splitjax.engine.study import cells_of
from splitjax.errors import ConfigError
from splitjax.errors import check_distinct
from splitjax.errors import check_range
from splitjax.options import option
from splitjax.records.intermediates import Name
from splitjax.reports import page
from splitjax.reports.page import Line
from splitjax.reports.page import Summary
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting
from splitjax.results import cell_of

_MEASURE = 'accuracy'
Specs = tuple[Spec, ...]


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
  """What the results depend on; see the help of each field."""

  defenses: tuple[str, ...] = option(
    ('dp_sgd', 'label_dp', 'compression', 'marvell'),
    'Each as --defense takes it; its strength may be several, as '
    'label_dp:epsilon=0.1|1|10, by default those of the paper. Names: '
    f'{", ".join(DEFENSES)}.',
  )
  pair: tuple[str, ...] = option(
    (),
    'Where the data have more classes, the two that defenses of two classes '
    'are tried on, by name or number; by default the first two. --num_train '
    'and --num_test are cut to their share.',
  )
  averaged_passes: tuple[int, ...] = option(
    (),
    'Over how many passes the attacker averages the gradients of each sample, '
    'where they are drawn anew; at most --epochs. Empty for none.',
  )
  canaries: int = option(
    0,
    'Training samples with a label that a coin chose of two: attacks that are '
    'shown both guess, from which a lower bound on epsilon follows. They are '
    'neither known nor scored elsewhere. 0 for none.',
    low=0,
  )


def study(config: Config) -> Study:
  """Train under each defense at each strength, and attack what crosses.

  All strengths and seeds of a defense are one program. Defenses of two classes
  are tried on two classes, undefended beside them.

  Args:
    config: what to train and to attack, and under which defenses.

  Returns:
    The study.

  Raises:
    ConfigError: naming the field, its value and what was expected.

  Example:
    >>> found = study(Config(defenses=('max_norm', 'compression')))
    >>> [training.problem.plan.name for training in found.trainings]
    ['none', 'max_norm', 'compression']
  """
  trainings, notes = [], []
  for problem, swept in _problems_of(config):
    trainings.append(_training(problem, (problem.plan,), config))
    for plans in swept:
      active = [plan for plan in plans if not plan.off]
      notes += [
        f'{plan.name} at {plan.strength:g} defends nothing: left out, as the '
        'undefended network is there'
        for plan in plans
        if plan.off
      ]
      if active:
        plan = active[0]
        model = fit_model(problem.model, plan.specs, problem.dataset)
        defended = dataclasses.replace(problem, plan=plan, model=model)
        trainings.append(_training(defended, tuple(active), config))
  strengths.check_distinct('defenses', config.defenses, trainings)
  cells = [cell for training in trainings for cell in _cells_of(training)]
  return Study(
    'defense_sweep',
    dataclasses.replace(
      config,
      attacks=trainings[0].problem.config.attacks,
      num_aux=trainings[0].problem.config.num_aux,
      cuts=trainings[0].problem.config.cuts,
    ),
    tuple(trainings),
    tuple(cells),
    _summarise,
    sweep_plot.draw,
    notes=(*notes, *trainings[0].problem.notes),
  )


def _problems_of(config: Config) -> list[tuple[Problem, list[list[Plan]]]]:
  """Return the data sets, and the defenses to sweep over on each."""
  swept, problem = _check(config), _with_canaries(check(config), config)
  two = [x for x in swept if x[0][0].defense.two_classes]
  others = [x for x in swept if x not in two]
  if problem.dataset.num_classes == 2 or not two:
    if config.pair:
      expected = 'data of more classes, and a defense of two'
      raise ConfigError('pair', config.pair, expected)
    return [_with_plans(problem, swept)]
  found = [_with_plans(problem, others)] if others else []
  try:
    pair = _with_canaries(check(_of_pair(config, problem)), config)
    return [*found, _with_plans(pair, two)]
  except ConfigError as error:
    if config.pair and error.field == 'classes':
      raise ConfigError('pair', config.pair, error.expected) from error
    raise


def _check(config: Config) -> list[list[Specs]]:
  """Check what is swept over, and return it."""
  if config.defense != 'none':
    raise ConfigError('defense', config.defense, 'no such flag: see --defenses')
  if len(config.cuts) > 1:
    raise ConfigError('cuts', config.cuts, 'one cut')
  passes, what = config.averaged_passes, 'at most the epochs'
  check_distinct('averaged_passes', passes)
  for num_passes in passes:
    check_range('averaged_passes', num_passes, 2, config.epochs, what)
  swept = [parsing.parse_sweep('defenses', x) for x in config.defenses]
  if not swept or len(set(config.defenses)) < len(swept):
    raise ConfigError('defenses', config.defenses, 'one or more, each once')
  return swept


def _with_canaries(problem: Problem, config: Config) -> Problem:
  """Return a problem with the canaries that are asked for."""
  found = canaries.draw(
    config.canaries,
    problem.dataset,
    seed=config.seed,
    num_seeds=config.num_seeds,
    num_aux=problem.setting.num_aux,
  )
  return dataclasses.replace(problem, canaries=found)


def _of_pair(config: Config, problem: Problem) -> Config:
  """Return a configuration of two classes, as many samples of each."""
  pair = config.pair or config.classes or problem.dataset.class_names
  if config.pair and len(config.pair) != 2:
    raise ConfigError('pair', config.pair, 'two classes')
  share = 2 / problem.dataset.num_classes
  sizes: dict[str, Any] = {
    name: max(round(share * getattr(config, name)), 2)
    for name in ('num_train', 'num_test')
    if getattr(config, name) is not None
  }
  return dataclasses.replace(config, classes=tuple(pair[:2]), **sizes)


def _with_plans(
  problem: Problem, swept: Sequence[Sequence[Specs]]
) -> tuple[Problem, list[list[Plan]]]:
  """Return a problem with its defenses; two classes get two more attacks."""
  if problem.dataset.num_classes == 2:
    # What defenses of two classes were made against.
    names = dict.fromkeys([*problem.config.attacks, 'norm', 'direction'])
    problem = with_attacks(problem, tuple(names))
  args = problem.config, problem.dataset, problem.model
  return problem, [
    [make_plan(specs, *args, field='defenses') for specs in one]
    for one in swept
  ]


def _training(
  problem: Problem, plans: tuple[Plan, ...], config: Config
) -> Training:
  """Return the training of a defense at its strengths, or of none."""
  plan = plans[0]
  reads = Name.CUT_GRADS in problem.config.intermediates
  averaged = reads and (plan.averaged or not plan.specs)
  passes = config.averaged_passes if averaged else ()
  return strengths.make_training(problem, plans, passes=passes)


def _cells_of(training: Training) -> list[Cell]:
  """List all that is measured of a training, in the order of the results."""
  problem = training.problem
  undefended = not problem.plan.specs
  read: tuple[str, ...] = problem.config.intermediates
  references = [x for x in problem.references if x in ('model', 'guarantee')]
  if undefended:
    read, references = (*problem.read, Name.RAW_INPUTS), [*problem.references]
  cells = []
  alone = [x.setting for x in training.readings if x.num_passes == 1]
  for reading in training.readings:
    if reading.num_passes == 1:
      cells += cells_of(
        reading.setting, read, problem.attacks, references=references
      )
    else:
      cells += cells_of(reading.setting, [Name.CUT_GRADS], problem.attacks)
  if problem.canaries is not None:
    cells += [guessing.cell_of_all(setting) for setting in alone]
  return cells


def _summarise(study: Study, rows: Sequence[Row]) -> Summary:
  """Return title, facts and table of a sweep over defenses."""
  first = study.problem
  sentences = []
  for one in study.trainings:
    if not one.problem.plan.specs:
      setting = one.readings[0].setting
      sentences += facts.facts_of(one.problem, rows, setting, _MEASURE)
  sentences.append(
    'Defended lines name the strength, what it promises, and the accuracy of '
    'the model on the test set.'
  )
  names = dict.fromkeys(
    x.text for training in study.trainings for x in training.problem.attacks
  )
  return Summary(
    title=f'{first.dataset.name}: labels read under defenses',
    facts=sentences,
    rows=rows,
    whole=study.trainings[0].readings[0].setting,
    lines=_lines_of(study, rows),
    attacks=list(names),
    measure=_MEASURE,
  )


def _lines_of(study: Study, rows: Sequence[Row]) -> list[Line]:
  """Return a line for each place and strength of each defense."""
  promised: dict[Setting, dict[str, Row]] = {}
  for row in rows:
    place = row['attack'], row['phase']
    if place[0] in ('guarantee', guessing.ATTACK) or place == (
      'model',
      'inference',
    ):
      figures = promised.setdefault(cell_of(row).setting, {})
      figures[row['measure']] = row
  lines = []
  for training in study.trainings:
    for cell in dict.fromkeys(cell[:3] for cell in _cells_of(training)):
      if cell[2] != Name.NONE:
        alone = cell[0]._replace(num_passes=1)
        label = _label(training, alone, promised.get(alone, {}))
        title = facts.title_of(Cell(*cell, 'none'))
        lines.append(Line(*cell, f'{title}; {label}'))
  return lines


def _label(
  training: Training, setting: Setting, rows: Mapping[str, Row]
) -> str:
  """Return a strength, its promises and the model's accuracy, in words."""
  found = {measure: row['mean'] for measure, row in rows.items()}
  words = guarantees.in_words(found)
  if _MEASURE in rows:
    words.append(f'model {page.shown(rows[_MEASURE])}')
  if 'diverged' in found:
    words.append(f'{100 * found["diverged"]:.0f}% of the models diverged')
  name = setting.dataset
  if setting.defense != 'none':
    strength = training.problem.plan.specs[0].defense.strength
    name += f' {setting.defense} {strength}={setting.strength:g}'
  return f'{name} ({", ".join(words)})' if words else name
