"""How what is read depends on where the network is cut."""

from collections.abc import Sequence
import pathlib

from splitjax.engine import facts
from splitjax.engine.config import Config
from splitjax.engine.extractors import Extractor
from splitjax.engine.problems import Problem
from splitjax.engine.problems import check
from splitjax.engine.study import Reading
from splitjax.engine.study import Study
from splitjax.engine.study import Training
from splitjax.engine.study import cells_of
from splitjax.engine.study import point_of
from splitjax.errors import ConfigError
from splitjax.errors import check_name
from splitjax.models.catalog import MODELS
from splitjax.records.intermediates import Name
from splitjax.reports import plots
from splitjax.reports.page import Summary
from splitjax.reports.page import Sweep
from splitjax.results import ANY
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting


def study(config: Config) -> Study:
  """Train once, record what crosses every cut, and attack it at each.

  Args:
    config: what to train and to attack; all cuts if it names none.

  Returns:
    The study.

  Raises:
    ConfigError: naming the field, its value and what was expected.

  Example:
    >>> study(Config()).problem.model.cuts
    (1, 2, 3, 4, 5, 6, 7, 8, 9)
  """
  problem = check_cuts(config)
  whole = whole_of(problem)
  cells = cells_of(
    whole,
    [Name.RAW_INPUTS.value],
    problem.attacks,
    references=problem.references,
  )
  for setting in sweep_of(problem).settings:
    cells += cells_of(setting, problem.read, problem.attacks)
  return by_cut('cut_sweep', 'labels read, by the cut', problem, cells)


def check_cuts(config: Config) -> Problem:
  """Check a configuration whose cuts all belong to one training.

  Args:
    config: what to train and to attack; all cuts if it names none.

  Returns:
    The problem.

  Raises:
    ConfigError: naming the field, its value and what was expected; one is a
      defense that acts at the cut, where there are several.
  """
  cuts = config.cuts
  if isinstance(config.model, str):
    check_name('model', config.model, MODELS)
    cuts = cuts or MODELS[config.model].cuts
  problem = check(config, cuts=cuts or 'all')
  plan = problem.plan
  if len(problem.model.cuts) > 1:
    if plan.protect(plan.strengths).at_a_cut:
      expected = 'a defense of labels alone, or --cuts with one: it acts there'
      raise ConfigError('defense', plan.text, expected)
    if config.malicious_client:
      expected = 'one of --cuts: which part cheats depends on it'
      raise ConfigError('malicious_client', True, expected)
  return problem


def whole_of(problem: Problem) -> Setting:
  """Return the setting of what depends on no cut."""
  return problem.setting._replace(cut=ANY)


def sweep_of(problem: Problem) -> Sweep:
  """Return one setting for each cut."""
  labels = [str(cut) for cut in problem.model.cuts]
  whole = whole_of(problem)
  return Sweep('cut', [whole._replace(cut=x) for x in labels], labels)


def by_cut(
  name: str,
  title: str,
  problem: Problem,
  cells: Sequence[Cell],
  extractor: Extractor | None = None,
) -> Study:
  """Make a study of one training that is read at every cut.

  Args:
    name: what the question is called.
    title: the question in words, for the page.
    problem: what is trained.
    cells: all that is measured, in the order of the results.
    extractor: a network that the attacker owns beside its client, if any.

  Returns:
    The study.
  """
  whole, sweep = whole_of(problem), sweep_of(problem)
  epoch = problem.config.recorded_epoch
  readings = [
    Reading(setting, cut=index, epoch=epoch)
    for index, setting in enumerate(sweep.settings)
  ]
  training = Training(
    problem,
    (point_of(problem),),
    (Reading(whole, epoch=epoch), *readings),
    recorded_epochs=(epoch,),
  )

  def summarise(study: Study, rows: Sequence[Row]) -> Summary:
    del study
    return facts.summarise_sweeps(problem, rows, whole, [sweep], title)

  def draw(study: Study, summary: Summary, path: pathlib.Path) -> None:
    del study
    plots.sweep(summary, [sweep], path)

  return Study(
    name,
    problem.config,
    (training,),
    tuple(cells),
    summarise,
    draw,
    extractor=extractor,
    notes=problem.notes,
  )
