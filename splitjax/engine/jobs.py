"""A job: one training, and every attack on what it sent across its cuts."""

from collections.abc import Callable, Sequence
import pathlib
from typing import NamedTuple

import jax

from experiments import common
from experiments import machine
from splitjax.engine import extractors
from splitjax.engine import measuring
from splitjax.engine import observations
from splitjax.engine import pipeline
from splitjax.engine import problems
from splitjax.engine import targets
from splitjax.reports import page
from splitjax.reports import plots
from splitjax.results import report


class Job(NamedTuple):
  """What is trained, and all that is measured of it.

  Attributes:
    problem: what is trained, and attacked by which attacks.
    whole: the setting of what depends on no single cut.
    settings: one for each cut of the model.
    cells: all that is measured, in the order of the results.
    extractor: a network that the attacker owns beside its client, if any.
  """

  problem: problems.Problem
  whole: report.Setting
  settings: Sequence[report.Setting]
  cells: Sequence[report.Cell]
  extractor: extractors.Extractor | None = None


def run(
  job: Job,
  results: report.Results,
  progress: common.Progress,
  *,
  records_dir: pathlib.Path | None = None,
) -> None:
  """Trains once, and measures every cell that is not finished yet.

  Args:
    job: what to train and to measure.
    results: where finished cells are kept.
    progress: told of every epoch and cell.
    records_dir: where to save what crossed the cuts, if anywhere.
  """
  problem, epoch = job.problem, job.whole.recorded_epoch
  key_train, key_attack = jax.random.split(jax.random.key(problem.config.seed))
  recipe = problem.recipe(recorded_epochs=(epoch,))
  [observed] = pipeline.observe(problem, recipe, key_train, progress)
  results.begin()
  if records_dir is not None and machine.writes():
    observations.save(observed, records_dir)
  source = targets.Source(
    observed,
    targets.draw_auxiliary(problem),
    problem.plan,
    problem.model,
    job.extractor,
    epoch=epoch,
  )
  sources = {job.whole: source}
  for index, setting in enumerate(job.settings):
    sources[setting] = source._replace(cut=index)
  measuring.run(key_attack, problem, job.cells, sources, results, progress)


def execute(
  binary: str,
  job: Job,
  summary_fn: Callable[[Sequence[report.Row]], page.Summary],
  plot_fn: Callable[[page.Summary, pathlib.Path], None] = plots.leakage,
) -> None:
  """Runs a job as the flags of `common` say, and shows what it found.

  Args:
    binary: its name.
    job: what to train and to measure.
    summary_fn: what a person reads of the rows.
    plot_fn: see `common.show`.

  Raises:
    common.FlagError: if the folder of results cannot be used.
  """
  problem = job.problem
  out_dir, results = common.open_results(binary, problem.config, job.cells)
  records_dir = out_dir / 'records' if common.SAVE_RECORDS.value else None
  if records_dir is not None or not results.complete:
    with common.Progress(problem.num_epochs + len(job.cells)) as progress:
      run(job, results, progress, records_dir=records_dir)
  common.show(summary_fn(results.rows()), out_dir, plot_fn)
