"""How much of real targets crosses the cut, by known samples and defense."""

from collections.abc import Sequence
import dataclasses
import pathlib

from splitjax.defenses import parsing
from splitjax.engine import config as base
from splitjax.engine import facts
from splitjax.engine.fitting import check_num_aux
from splitjax.engine.problems import check
from splitjax.engine.studies import strengths
from splitjax.engine.study import Study
from splitjax.engine.study import Training
from splitjax.engine.study import cells_of
from splitjax.errors import ConfigError
from splitjax.errors import check_distinct
from splitjax.options import option
from splitjax.records.intermediates import Name
from splitjax.reports import known
from splitjax.reports.page import Line
from splitjax.reports.page import Summary
from splitjax.results import Cell
from splitjax.results import Row


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
  """What the results depend on; see the help of each field."""

  defenses: tuple[str, ...] = option(
    (),
    'Defenses beside what is undefended, each as --defense takes it; its '
    'strength may be several, as rle_like:scale=0.5|1. rle_like and mle_like '
    'are made for real targets.',
  )
  vary_num_aux: tuple[int, ...] = option(
    (),
    'How many samples the attacker knows, in all. None beside --num_aux '
    'if empty.',
  )


def study(config: Config) -> Study:
  """Train on real targets under each defense, and read the targets.

  Args:
    config: what to train and to attack, under which defenses, and for which
      numbers of known samples.

  Returns:
    The study.

  Raises:
    ConfigError: naming the field, its value and what was expected.

  Example:
    >>> found = study(Config(dataset='diabetes', vary_num_aux=(5, 20)))
    >>> [reading.setting.num_aux for reading in found.trainings[0].readings]
    [5, 10, 20]
  """
  if config.defense != 'none':
    raise ConfigError('defense', config.defense, 'none: see --defenses')
  if len(config.cuts) > 1:
    raise ConfigError('cuts', config.cuts, 'one cut')
  check_distinct('defenses', config.defenses)
  check_distinct('vary_num_aux', config.vary_num_aux)
  if config.target not in (None, 'real'):
    raise ConfigError('target', config.target, 'real, or none')
  problem = check(dataclasses.replace(config, target='real'))
  for num in config.vary_num_aux:
    check_num_aux(num, problem.dataset, 'vary_num_aux')
  num_aux = tuple(sorted({problem.setting.num_aux, *config.vary_num_aux}))
  trainings = [
    strengths.make_training(problem, [problem.plan], num_aux=num_aux)
  ]
  for text in config.defenses:
    problems = [
      check(
        dataclasses.replace(
          problem.config,
          defense='+'.join(one.text(strength=True) for one in specs),
        )
      )
      for specs in parsing.parse_sweep('defenses', text)
    ]
    plans = sorted((one.plan for one in problems), key=lambda x: x.strength)
    first = dataclasses.replace(problems[0], plan=plans[0])
    trainings.append(strengths.make_training(first, plans, num_aux=num_aux))
  strengths.check_distinct('defenses', config.defenses, trainings)
  return Study(
    'regression',
    problem.config,
    tuple(trainings),
    tuple(cell for one in trainings for cell in _cells_of(one)),
    _summarise,
    _draw,
    notes=problem.notes,
  )


def _cells_of(training: Training) -> list[Cell]:
  """List all that is measured of a training, in the order of the results.

  A model is measured once, however many samples are known; raw inputs and the
  mean of the known targets undefended alone.
  """
  problem = training.problem
  undefended = not problem.plan.defended
  read: tuple[str, ...] = problem.config.intermediates
  if undefended:
    read = (*problem.read, Name.RAW_INPUTS)
  cells, measured = [], set()
  for reading in training.readings:
    references = ['mean'] if undefended else []
    if reading.point not in measured:
      measured.add(reading.point)
      guarantees = [x for x in problem.references if x == 'guarantee']
      references = ['model', *references, *guarantees]
    cells += cells_of(
      reading.setting, read, problem.attacks, references=references
    )
  return cells


def _summarise(study: Study, rows: Sequence[Row]) -> Summary:
  """Return title, facts and table."""
  problem = study.problem
  whole = study.trainings[0].readings[0].setting
  summary = facts.summarise(
    problem, rows, whole, 'R2 of targets read at the cut'
  )
  return summary._replace(lines=[_named(line) for line in summary.lines])


def _named(line: Line) -> Line:
  """Return a line with the defense and the number of known samples."""
  setting, title = line.setting, line.title
  if setting.defense != 'none':
    title = f'{setting.defense} {setting.strength:g}: {title}'
  return line._replace(title=f'{title}, {setting.num_aux} known')


def _draw(study: Study, summary: Summary, path: pathlib.Path) -> None:
  """Draw what is read by the number of known samples, and by utility."""
  del study
  known.by_known(summary, path)
