"""What the binaries share: where results go, and launching."""

from collections.abc import Callable, Mapping
import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import sys
import time
from typing import Any

from absl import app
from absl import flags
from absl import logging
import tabulate

import experiments
from experiments import failing
from experiments import options
from experiments.progress import Progress
from experiments.progress import warn
from splitjax import engine
from splitjax import interruption
from splitjax import parallel
from splitjax.data import sets
from splitjax.engine.study import Study
from splitjax.engine.timings import Timings
from splitjax.options import values_of

OUT_DIR = flags.DEFINE_string(
  'out_dir',
  None,
  'Folder for the results. By default one under results/ that is named after '
  'the flags, so that the same flags find it again.',
)
OVERWRITE = flags.DEFINE_boolean(
  'overwrite',
  False,
  'Whether to replace what out_dir holds of earlier runs. What a killed run of '
  'the same flags left there is gone on with.',
)
SAVE_RECORDS = flags.DEFINE_boolean(
  'save_records',
  False,
  'Whether to write what crossed the cut to out_dir/records.',
)
CHECKPOINT_SECONDS = flags.DEFINE_float(
  'checkpoint_seconds',
  30.0,
  'Time between two checkpoints of a training, at least; a killed run goes on '
  'from the last. They are removed when the run is finished.',
  lower_bound=0,
)

_TIMINGS = flags.DEFINE_boolean(
  'timings',
  False,
  'Whether to print the seconds of each phase at the end; config.json has them '
  'too.',
)


def execute(study: Study, default: engine.Config, timings: Timings) -> None:
  """Run a study as the flags say, and show what it found.

  Args:
    study: what to train and to measure.
    default: the configuration that no flags mean.
    timings: gets the seconds of each phase.
  """
  for note in study.notes:
    warn(note)
  out_dir = out_dir_of(study.name, default)
  result = run(
    study,
    out_dir,
    timings=timings,
    save_records=SAVE_RECORDS.value,
    report=True,
  )
  if parallel.is_writer():
    print(result.summary())
    print(f'Written to {out_dir}: ' + ', '.join(sorted(os.listdir(out_dir))))


def run(study: Study, out_dir: pathlib.Path, **kwargs: Any) -> engine.Result:
  """Run a study in a folder, as the flags say.

  Args:
    study: what to train and to measure.
    out_dir: where the results go.
    **kwargs: more arguments of `engine.run`.

  Returns:
    The figures.
  """
  progress = Progress(study.num_epochs + len(study.cells))
  with contextlib.closing(progress):
    return engine.run(
      study,
      out_dir=out_dir,
      overwrite=OVERWRITE.value,
      checkpoint_seconds=CHECKPOINT_SECONDS.value,
      progress=progress,
      **kwargs,
    )


def out_dir_of(study: str, default: engine.Config) -> pathlib.Path:
  """Return the folder of the results; the same flags find it again.

  Args:
    study: what the question is called.
    default: the configuration that no flags mean.

  Returns:
    That of --out_dir, or one that is named after the flags.
  """
  if OUT_DIR.value:
    return pathlib.Path(OUT_DIR.value)
  config = options.config_of_flags(default)
  text = json.dumps(values_of(config), sort_keys=True)
  digest = hashlib.sha256(text.encode()).hexdigest()[:8]
  dataset = sets.name_of(config).rpartition('/')[2]
  name = re.sub(r'[^A-Za-z0-9_.]+', '-', dataset)
  return pathlib.Path('results') / f'{study}-{name}-{digest}'


def _table_of(seconds: Mapping[str, float]) -> str:
  """Return the seconds of each phase, and of all together, as a table."""
  rows = [*seconds.items(), ('in all', sum(seconds.values()))]
  return tabulate.tabulate(rows, headers=['phase', 'seconds'], floatfmt='.2f')


def ask(study_fn: Callable[[Any], Study], default: engine.Config) -> None:
  """Run a binary whose question is a study.

  Args:
    study_fn: makes the study of a configuration.
    default: the configuration that no flags mean.
  """

  def main(config: Any, timings: Timings) -> None:
    with timings.phase('load'):
      study = study_fn(config)
    execute(study, default, timings)

  launch(main, default)


def launch(
  main: Callable[[Any, Timings], None], default: engine.Config
) -> None:
  """Run a binary: a mistake of the user's is one line, not a traceback.

  Args:
    main: called with the configuration that the command line asks for, and
      with what gets the seconds of each phase.
    default: the configuration that no flags mean.
  """
  options.define_flags(default)
  # The flags of these modules are the binary's own: --help lists them.
  for module in (options, failing, sys.modules[__name__]):
    for flag in flags.FLAGS.get_key_flags_for_module(module):
      flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)

  def parse(argv: list[str]) -> list[str]:
    with failing.one_line_errors():
      rest = flags.FLAGS(argv)
      if not flags.FLAGS['verbosity'].present:
        logging.set_verbosity(logging.WARNING)
      if len(rest) > 1:
        raise flags.Error(f'{rest[1]}: expected flags only, as --name=value')
      return rest

  def run(argv: list[str]) -> None:
    del argv
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timings = Timings()
    timings.add('import', time.perf_counter() - experiments.STARTED)
    errors = failing.one_line_errors()
    with errors, interruption.heard(), timings.counting():
      options.start_machine()
      main(options.config_of_flags(default), timings)
      if _TIMINGS.value and parallel.is_writer():
        print(_table_of(timings.seconds()))

  app.run(run, flags_parser=parse)
