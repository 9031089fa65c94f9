"""The one loop of the engine: train, keep what crosses, attack, measure."""

from collections.abc import Mapping
import itertools
import os
import pathlib
from typing import Any

from splitjax import parallel
from splitjax.engine import keys
from splitjax.engine import measuring
from splitjax.engine import memory
from splitjax.engine import observed
from splitjax.engine import observing
from splitjax.engine import recipes
from splitjax.engine.config import Config
from splitjax.engine.observed import Observed
from splitjax.engine.progress import SILENT
from splitjax.engine.progress import Progress
from splitjax.engine.result import Result
from splitjax.engine.sources import Source
from splitjax.engine.studies import label_inference
from splitjax.engine.study import Study
from splitjax.engine.study import Training
from splitjax.engine.targets import draw_auxiliary
from splitjax.engine.timings import Timings
from splitjax.engine.workplace import Workplace
from splitjax.engine.workplace import identity_of_study
from splitjax.errors import ConfigError
from splitjax.results import RECORDS
from splitjax.results import Results
from splitjax.results import Setting


def run(
  what: Config | Study,
  *,
  out_dir: str | os.PathLike | None = None,
  overwrite: bool = False,
  save_records: bool = False,
  report: bool = False,
  checkpoint_seconds: float = 30.0,
  progress: Progress = SILENT,
  timings: Timings | None = None,
) -> Result:
  """Train split models, attack what crosses their cuts, and measure it.

  Args:
    what: a configuration, which is run as `label_inference` does; or a study
      made of one, see `splitjax.engine.studies`.
    out_dir: a folder that keeps every finished figure, and checkpoints until
      all is finished, so that a killed run goes on when it is called again;
      None to keep all in memory. One run at a time has it.
    overwrite: whether to replace what the folder holds of another run. What a
      killed run of equal configuration left there is gone on with.
    save_records: whether to write what crossed the cuts to `out_dir/records`.
    report: whether to write plots and the page to `out_dir`, too.
    checkpoint_seconds: time between two checkpoints of a training, at least.
    progress: told of every epoch and figure.
    timings: gets the seconds of each phase; `config.json` keeps them.

  Returns:
    The figures, with a table, plots and files of them.

  Raises:
    ConfigError: naming the field of the configuration, its value and what was
      expected, before any long work starts; or if a training diverges.

  Example:
    >>> from splitjax import engine
    >>> small = dict(num_train=100, num_test=50, epochs=2, num_seeds=1)
    >>> config = engine.Config(attacks=['distance'], **small)
    >>> result = engine.run(config)
    >>> sorted({row['intermediate'] for row in result.rows()})
    ['cut_grads', 'none', 'raw_inputs', 'smashed', 'untrained_smashed']
  """
  study = what if isinstance(what, Study) else label_inference.study(what)
  if save_records and out_dir is None:
    raise ConfigError('save_records', True, 'none without out_dir')
  memory.check(study.trainings)
  identity = identity_of_study(study)
  workplace = Workplace(
    out_dir, identity, seconds=checkpoint_seconds, warn_fn=progress.warn
  )
  timings = timings or Timings()
  with timings.counting(), workplace.held() as was_killed:
    results = open_results(
      study,
      workplace.path,
      identity=identity,
      overwrite=overwrite,
      resume=was_killed,
      save_records=save_records,
    )
    for note in results.notes:
      progress.warn(note)
    if overwrite and not was_killed:
      workplace.remove_checkpoints()
    if report or save_records or not results.complete:
      workplace.check_writable()
    measured = save_records or not results.complete
    if measured:
      path = workplace.path if save_records else None
      records_dir = None if path is None else path / RECORDS
      measure(
        study,
        results,
        progress,
        records_dir=records_dir,
        workplace=workplace,
        timings=timings,
      )
    workplace.remove_checkpoints()
    result = Result(study, results)
    if report and workplace.path is not None and parallel.is_writer():
      with timings.phase('report'):
        result.save_report(workplace.path)
    if measured:
      results.note('seconds', timings.seconds())
  return result


def open_results(
  study: Study,
  path: pathlib.Path | None,
  *,
  identity: Mapping[str, Any] | None = None,
  overwrite: bool = False,
  resume: bool = False,
  save_records: bool = False,
) -> Results:
  """Open the folder of a study's results, with what is finished of it.

  Args:
    study: what is run.
    path: the folder, or None to keep the results in memory.
    identity: from `identity_of_study`, if it is known already.
    overwrite: whether to replace what it holds of another run.
    resume: whether to go on with an equal run even so.
    save_records: whether records are going to be written.

  Returns:
    The results.

  Raises:
    ConfigError: if the folder holds results of another run, or records are
      asked for of several trainings.
  """
  runs = [point for training in study.trainings for point in training.points]
  if save_records and len(runs) > 1:
    expected = f'no such flag where {len(runs)} trainings differ'
    raise ConfigError('save_records', True, expected)
  about: Mapping[str, Any] = {
    **(identity or identity_of_study(study)),
    'run': {
      'out_dir': str(path),
      'overwrite': overwrite,
      'save_records': save_records,
    },
  }
  try:
    results = Results(
      path,
      about,
      study.cells,
      overwrite=overwrite,
      resume=resume,
      writes=parallel.is_writer(),
    )
  except ValueError as error:
    expected = f'a new folder, or --overwrite: {error}'
    raise ConfigError('out_dir', path, expected) from error
  finished = parallel.agree([cell in results for cell in study.cells])
  results.skip(itertools.compress(study.cells, finished))
  return results


def measure(
  study: Study,
  results: Results,
  progress: Progress = SILENT,
  *,
  records_dir: pathlib.Path | None = None,
  workplace: Workplace | None = None,
  timings: Timings | None = None,
) -> None:
  """Measure every cell of a study that is not finished yet.

  Args:
    study: what to train and to measure.
    results: where finished cells are kept.
    progress: told of every epoch and cell.
    records_dir: where to save what crossed the cuts, if anywhere.
    workplace: where checkpoints are kept, if anywhere.
    timings: gets the seconds of each phase.
  """
  workplace = workplace or Workplace(None, {})
  timings = timings or Timings()
  for index, training in enumerate(study.trainings):
    cells = [x for x in study.cells if x.setting in training.settings]
    if records_dir is None and all(cell in results for cell in cells):
      continue  # An earlier run finished it.
    problem = training.problem
    seed_keys = keys.from_seed(problem.config.seed)
    checkpoint = workplace.checkpoint(f'training-{index}')
    found = observing.observe(
      problem,
      recipes.recipe_of(
        problem,
        recorded_epochs=training.recorded_epochs,
        baseline=training.baseline,
        optional=training.optional,
      ),
      training.points,
      seed_keys.training,
      progress,
      checkpoint,
      timings,
    )
    if records_dir is not None and parallel.is_writer():
      results.begin()
      observed.save(found[0], records_dir)
    with timings.phase('attack'):
      measuring.measure(
        seed_keys.attacks,
        problem,
        cells,
        _sources_of(study, training, found),
        results,
        progress,
      )
    if checkpoint is not None:
      checkpoint.remove()


def _sources_of(
  study: Study, training: Training, found: list[list[Observed]]
) -> dict[Setting, Source]:
  """Return where the figures of each setting of a training come from."""
  problem = training.problem
  auxiliary = {
    num_aux: draw_auxiliary(problem, num_aux)
    for num_aux in {setting.num_aux for setting in training.settings}
  }
  return {
    reading.setting: Source(
      found[reading.point],
      auxiliary[reading.setting.num_aux],
      training.points[reading.point].plan,
      problem.model,
      study.extractor,
      cut=reading.cut,
      epoch=reading.epoch,
      num_passes=reading.num_passes,
      parties=reading.parties,
      optional=training.optional_of(reading),
      canaries=problem.canaries,
    )
    for reading in training.readings
  }
