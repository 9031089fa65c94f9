"""Flags that the binaries share, and how they report a mistake."""

from collections.abc import Callable, Collection, Sequence
import contextlib
import dataclasses
from importlib import metadata
import os
import pathlib
import platform
import sys
import tempfile
from typing import Any

from absl import app
from absl import flags
from absl import logging
import jax
import tqdm

from experiments import catalog
import splitjax
from splitjax import page
from splitjax import plots
from splitjax import report

DATASET = flags.DEFINE_string(
  'dataset', 'digits', f'One of: {", ".join(catalog.DATASETS)}.'
)
MODEL = flags.DEFINE_string(
  'model', 'mlp', f'One of: {", ".join(catalog.MODELS)}.'
)
CUT = flags.DEFINE_integer(
  'cut',
  None,
  'How many layers the client holds; by default all but the three linear '
  'layers of the head.',
)
EPOCHS = flags.DEFINE_integer(
  'epochs',
  60,
  'Passes over the training data; gradients are recorded in the first.',
  lower_bound=1,
)
BATCH_SIZE = flags.DEFINE_integer(
  'batch_size', 32, 'Samples of a training step.', lower_bound=1
)
LEARNING_RATE = flags.DEFINE_float(
  'learning_rate', 0.05, 'Learning rate of both parties.'
)
OPTIMIZER = flags.DEFINE_string(
  'optimizer', 'sgd', f'One of: {", ".join(catalog.OPTIMIZERS)}.'
)
ATTACKS = flags.DEFINE_list(
  'attacks',
  ['distance', 'clustering', 'clustering_paper'],
  f'Any of: {", ".join(catalog.ATTACKS)}.',
)
CENTER_SMASHED = flags.DEFINE_boolean(
  'center_smashed',
  False,
  'Whether the attacker subtracts the mean smashed data of the training set.',
)
NUM_AUX = flags.DEFINE_integer(
  'num_aux',
  1,
  'Samples of each class whose labels the attacker knows.',
  lower_bound=1,
)
NUM_AUX_DRAWS = flags.DEFINE_integer(
  'num_aux_draws',
  10,
  'How often these samples are drawn, for each seed.',
  lower_bound=1,
)
NUM_SEEDS = flags.DEFINE_integer(
  'num_seeds', 5, 'How many models are trained.', lower_bound=1
)
SEED = flags.DEFINE_integer(
  'seed',
  0,
  'Seed of everything that is drawn.',
  lower_bound=0,
  upper_bound=2**32 - 1,
)
OUT_DIR = flags.DEFINE_string(
  'out_dir',
  None,
  'Folder for the results. By default one under results/ that is named after '
  'the flags, so that the same flags find it again.',
)
OVERWRITE = flags.DEFINE_boolean(
  'overwrite', False, 'Whether to replace what out_dir holds of earlier runs.'
)
SAVE_RECORDS = flags.DEFINE_boolean(
  'save_records',
  False,
  'Whether to write what crossed the cut to out_dir/records.',
)


class FlagError(Exception):
  """A flag whose value cannot be used; its text is one line."""

  def __init__(self, name: str, value: Any, expected: str):
    super().__init__(f'--{name}={value}: expected {expected}')


def check_name(name: str, value: str, accepted: Collection[str]) -> None:
  """Raises `FlagError` if a value is not one of those accepted."""
  if value not in accepted:
    raise FlagError(name, value, f'one of {", ".join(accepted)}')


def check_range(name: str, value: int, low: int, high: int, what: str) -> None:
  """Raises `FlagError` if an integer is not between two bounds."""
  if not low <= value <= high:
    raise FlagError(name, value, f'{what}, {low} to {high}')


def environment() -> dict[str, Any]:
  """What the results depend on beside the flags."""
  packages = (
    'flax',
    'jax',
    'jaxlib',
    'numpy',
    'optax',
    'scikit-learn',
    'scipy',
  )
  return {
    'versions': {
      'python': platform.python_version(),
      'splitjax': splitjax.__version__,
      **{name: metadata.version(name) for name in packages},
    },
    'devices': [device.device_kind for device in jax.devices()],
    'x64': jax.config.jax_enable_x64,
  }


def identity(config: Any) -> dict[str, Any]:
  """What makes two runs the same: a configuration and the environment.

  Args:
    config: a dataclass of flags.

  Returns:
    JSON values.
  """
  return {'flags': dataclasses.asdict(config), **environment()}


def check_writable(out_dir: pathlib.Path) -> None:
  """Raises `FlagError` if no file can be written to a folder.

  Nothing is left behind: a folder that does not exist is tried by the nearest
  one above it that does.
  """
  folder = out_dir
  while not os.path.lexists(folder) and folder != folder.parent:
    folder = folder.parent
  try:
    with tempfile.TemporaryFile(dir=folder):
      pass
  except OSError as error:
    expected = f'a folder that can be written to ({error.strerror})'
    raise FlagError('out_dir', out_dir, expected) from error


def open_results(
  out_dir: pathlib.Path,
  config: dict[str, Any],
  cells: Sequence[report.Cell],
) -> report.Results:
  """Opens the folder of results that the flags name.

  Args:
    out_dir: the folder.
    config: what is run, and how.
    cells: all that is measured.

  Returns:
    The results, with the cells that an earlier run finished.

  Raises:
    FlagError: if the folder cannot be used.
  """
  check_writable(out_dir)
  try:
    return report.Results(out_dir, config, cells, overwrite=OVERWRITE.value)
  except ValueError as error:
    expected = f'a new folder, or --overwrite: {error}'
    raise FlagError('out_dir', out_dir, expected) from error


def show(summary: page.Summary, out_dir: pathlib.Path) -> None:
  """Prints a summary, and writes its plot and page beside the results."""
  plots.leakage(summary, out_dir / 'leakage.png')
  page.write(summary, out_dir)
  print(page.to_text(summary))
  print(f'Written to {out_dir}: ' + ', '.join(sorted(os.listdir(out_dir))))


class Progress:
  """A bar on a terminal, plain lines otherwise; written to standard error."""

  def __init__(self, total: int):
    self._bar = tqdm.tqdm(total=total, disable=None, leave=False)

  def start(self, text: str) -> None:
    """Says what is being done now."""
    if self._bar.disable:
      print(text, file=sys.stderr, flush=True)
    else:
      self._bar.set_description(text)

  def advance(self, text: str | None = None) -> None:
    """One unit of the total is done; the text is shown on a terminal only."""
    if text is not None and not self._bar.disable:
      self._bar.set_description(text, refresh=False)
    self._bar.update()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self._bar.close()


def launch(main: Callable[[], None]) -> None:
  """Runs a binary: a mistake of the user's is one line, not a traceback.

  Args:
    main: called with the flags parsed.
  """

  def parse(argv):
    with _one_line_errors():
      rest = flags.FLAGS(argv)
      if not flags.FLAGS['verbosity'].present:
        logging.set_verbosity(logging.WARNING)
      if len(rest) > 1:
        raise flags.Error(f'{rest[1]}: expected flags only, as --name=value')
      return rest

  def run(argv):
    del argv
    with _one_line_errors():
      main()

  app.run(run, flags_parser=parse)


@contextlib.contextmanager
def _one_line_errors():
  try:
    yield
  except (FlagError, flags.Error) as error:
    _quit(' '.join(str(error).split()), 2)
  except OSError as error:
    where = error.filename or f'--out_dir={OUT_DIR.value}'
    _quit(f'{where}: {error.strerror or error}', 1)
  except KeyboardInterrupt:
    _quit('interrupted; attacks that were finished are kept', 130)


def _quit(text, status):
  program = pathlib.Path(sys.argv[0]).stem
  print(f'{program}: error: {text}', file=sys.stderr)
  sys.exit(status)
