"""How what is read depends on hyperparameters, one varied at a time."""

from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Any

from splitjax.engine import config as base
from splitjax.engine import facts
from splitjax.engine.fitting import check_num_aux
from splitjax.engine.problems import Problem
from splitjax.engine.problems import check
from splitjax.engine.study import Point
from splitjax.engine.study import Reading
from splitjax.engine.study import Study
from splitjax.engine.study import Training
from splitjax.engine.study import cells_of
from splitjax.errors import ConfigError
from splitjax.errors import check_distinct
from splitjax.errors import check_positive
from splitjax.errors import check_range
from splitjax.options import option
from splitjax.records.intermediates import Name
from splitjax.reports import plots
from splitjax.reports.page import Summary
from splitjax.reports.page import Sweep
from splitjax.results import Cell
from splitjax.results import Row

FACTORS = ('batch_size', 'recorded_epoch', 'num_aux', 'learning_rate')


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
  """What the results depend on, and the values that each factor takes."""

  vary_batch_size: tuple[int, ...] = option((), 'Batch sizes. None if empty.')
  vary_recorded_epoch: tuple[int, ...] = option(
    (), 'Epochs to record, from 1. None if empty.'
  )
  vary_num_aux: tuple[int, ...] = option(
    (), 'Known samples of each class. None if empty.'
  )
  vary_learning_rate: tuple[float, ...] = option(
    (), 'Learning rates. None if empty.'
  )

  def values(self, factor: str) -> tuple[float, ...]:
    """Return the values that a factor takes."""
    return getattr(self, f'vary_{factor}')


def study(config: Config) -> Study:
  """Vary one hyperparameter at a time around a configuration.

  Seeds and learning rates train side by side in one program, and the recorded
  epochs are those of one training; each batch size is a program of its own.

  Args:
    config: what to train and to attack, and what to vary.

  Returns:
    The study.

  Raises:
    ConfigError: naming the field, its value and what was expected.

  Example:
    >>> found = study(Config(vary_batch_size=(8,)))
    >>> [training.problem.config.batch_size for training in found.trainings]
    [32, 8]
  """
  problem = _check(config)
  sweeps = _sweeps_of(problem, config)

  def summarise(study: Study, rows: Sequence[Row]) -> Summary:
    del study
    title = 'labels read, by what is varied'
    return facts.summarise_sweeps(problem, rows, problem.setting, sweeps, title)

  def draw(study: Study, summary: Summary, path: pathlib.Path) -> None:
    del study
    plots.sweep(summary, sweeps, path)

  return Study(
    'ablation',
    problem.config,
    tuple(_trainings_of(problem, config)),
    tuple(_cells_of(problem, sweeps)),
    summarise,
    draw,
    notes=problem.notes,
  )


def _check(config: Config) -> Problem:
  """Look up a configuration, and check what is varied."""
  if len(config.cuts) > 1:
    raise ConfigError('cuts', config.cuts, 'one cut (see cut_sweep for more)')
  epochs = config.vary_recorded_epoch
  if epochs and Name.CUT_GRADS not in config.intermediates:
    expected = 'none where --intermediates has no cut_grads'
    raise ConfigError('vary_recorded_epoch', epochs, expected)
  problem = check(config)
  num_samples = len(problem.dataset.train_labels)
  for name in FACTORS:
    check_distinct(f'vary_{name}', config.values(name))
  for size in config.vary_batch_size:
    what = 'at most the training samples'
    check_range('vary_batch_size', size, 1, num_samples, what)
  for epoch in epochs:
    what = 'one of the epochs'
    check_range('vary_recorded_epoch', epoch, 1, config.epochs, what)
  for num_aux in config.vary_num_aux:
    check_num_aux(num_aux, problem.dataset, 'vary_num_aux')
  for rate in config.vary_learning_rate:
    check_positive('vary_learning_rate', rate)
  return problem


def _sweeps_of(problem: Problem, config: Config) -> list[Sweep]:
  """Return one sweep for each factor that is varied."""
  sweeps = []
  for name in FACTORS:
    values = sorted(config.values(name))
    if values:
      changes: list[dict[str, Any]] = [{name: x} for x in values]
      settings = [problem.setting._replace(**change) for change in changes]
      labels = [f'{value:g}' for value in values]
      sweeps.append(Sweep(name.replace('_', ' '), settings, labels))
  return sweeps


def _cells_of(problem: Problem, sweeps: Sequence[Sweep]) -> list[Cell]:
  """List all that is measured, in the order of the results.

  Not measured again is what a factor does not change: smashed data by the epoch
  whose gradients are recorded, raw inputs and untrained clients by the batch
  size or the learning rate.
  """
  attacked, base = problem.config.intermediates, problem.setting
  every: tuple[str, ...] = (*problem.read, Name.RAW_INPUTS.value)
  read = {base: every}
  for sweep in sweeps:
    for setting in sweep.settings:
      read.setdefault(setting, attacked)
      if setting.num_aux != base.num_aux:
        read[setting] = every
      elif setting.recorded_epoch != base.recorded_epoch:
        read[setting] = tuple(x for x in attacked if x == Name.CUT_GRADS)
  return [
    cell
    for setting, names in read.items()
    for cell in cells_of(
      setting, names, problem.attacks, references=problem.references
    )
  ]


def _trainings_of(problem: Problem, config: Config) -> list[Training]:
  """Return one training for the configuration, and one a batch size."""
  base, plan = problem.setting, problem.plan
  epochs = sorted({base.recorded_epoch, *config.vary_recorded_epoch})
  rates = sorted({base.learning_rate, *config.vary_learning_rate})
  own = rates.index(base.learning_rate)
  epoch = base.recorded_epoch
  readings = [
    *(
      Reading(base._replace(learning_rate=rate), point=index, epoch=epoch)
      for index, rate in enumerate(rates)
    ),
    *(
      Reading(base._replace(recorded_epoch=x), point=own, epoch=x)
      for x in epochs
    ),
    *(
      Reading(base._replace(num_aux=x), point=own, epoch=epoch)
      for x in config.vary_num_aux
    ),
  ]
  trainings = [
    Training(
      problem,
      tuple(Point(rate, plan) for rate in rates),
      tuple(readings),
      recorded_epochs=tuple(epochs),
    )
  ]
  for size in config.vary_batch_size:
    if size != base.batch_size:
      # What a defense promises depends on the batch size.
      other = dataclasses.replace(
        plan, facts=plan.facts._replace(batch_size=size)
      )
      resized = dataclasses.replace(
        problem,
        config=dataclasses.replace(problem.config, batch_size=size),
        plan=other,
      )
      trainings.append(
        Training(
          resized,
          (Point(base.learning_rate, other),),
          (Reading(base._replace(batch_size=size), epoch=epoch),),
          recorded_epochs=(epoch,),
          baseline=False,  # Untrained clients are those of the first program.
        )
      )
  return trainings
