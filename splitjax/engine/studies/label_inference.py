"""Which attack reads how much of what crosses the cut of one network."""

from collections.abc import Sequence
import pathlib

from splitjax.engine import facts
from splitjax.engine import verdicts
from splitjax.engine.config import Config
from splitjax.engine.problems import Problem
from splitjax.engine.problems import check
from splitjax.engine.study import Reading
from splitjax.engine.study import Study
from splitjax.engine.study import Training
from splitjax.engine.study import cells_of
from splitjax.engine.study import point_of
from splitjax.records.intermediates import Name
from splitjax.reports import plots
from splitjax.reports.page import Summary
from splitjax.results import Cell
from splitjax.results import Row


def study(config: Config) -> Study:
  """Train at the configuration's cut, or two, and attack what crosses.

  Args:
    config: what to train and to attack.

  Returns:
    The study.

  Raises:
    ConfigError: naming the field, its value and what was expected.

  Example:
    >>> len(study(Config()).cells)
    41
  """
  problem = check(config)
  whole, epoch = problem.setting, problem.config.recorded_epoch
  readings = [Reading(whole, epoch=epoch)]
  if len(problem.model.cuts) > 1:  # In the U-shape the attacker sees both.
    readings += [
      Reading(whole._replace(cut=f'{whole.cut}@{cut}'), cut=index, epoch=epoch)
      for index, cut in enumerate(problem.model.cuts)
    ]
  training = Training(
    problem,
    (point_of(problem),),
    tuple(readings),
    recorded_epochs=(epoch,),
  )
  return Study(
    'label_inference',
    problem.config,
    (training,),
    tuple(_cells_of(problem, readings)),
    _summarise,
    _draw,
    notes=problem.notes,
  )


def _cells_of(problem: Problem, readings: Sequence[Reading]) -> list[Cell]:
  """List all that is measured, in the order of the results."""
  whole, *by_cut = [reading.setting for reading in readings]
  raw = Name.RAW_INPUTS.value
  read = [raw] if by_cut else [*problem.read, raw]
  cells = cells_of(whole, read, problem.attacks, references=problem.references)
  for setting in by_cut:
    cells += cells_of(setting, problem.read, problem.attacks)
  return cells


def _summarise(study: Study, rows: Sequence[Row]) -> Summary:
  """Return title, facts and table."""
  what = 'targets' if study.problem.dataset.is_real else 'labels'
  title = f'{what} read at the cut of a split model'
  problem = study.problem
  summary = facts.summarise(problem, rows, problem.setting, title)
  settings = [reading.setting for reading in study.trainings[0].readings]
  judged = verdicts.judge(rows, settings)
  return summary._replace(verdict=judged['summary'] if judged else '')


def _draw(study: Study, summary: Summary, path: pathlib.Path) -> None:
  """Draw what each attack reads."""
  del study
  plots.leakage(summary, path)
