"""What the binaries share: where results go, and how mistakes are told."""

from collections.abc import Callable, Collection, Sequence
import contextlib
import dataclasses
import hashlib
from importlib import metadata
import itertools
import json
import math
import os
import pathlib
import platform
import re
import sys
import tempfile
from typing import Any

from absl import app
from absl import flags
from absl import logging
import jax
import tqdm

from experiments import machine
import splitjax
from splitjax.reports import page
from splitjax.reports import plots
from splitjax.results import report

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
flags.adopt_module_key_flags(machine)


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


def check_positive(name: str, value: float) -> None:
  """Raises `FlagError` if a number is not positive and finite."""
  if not (math.isfinite(value) and value > 0):
    raise FlagError(name, value, 'a positive number')


def environment() -> dict[str, Any]:
  """What the results depend on beside the flags."""
  packages = (
    'dp-accounting',
    'flax',
    'jax',
    'jaxlib',
    'numpy',
    'optax',
    'pandas',
    'pillow',
    'scikit-learn',
    'scipy',
    'tensorflow-datasets',
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
  binary: str, config: Any, cells: Sequence[report.Cell]
) -> tuple[pathlib.Path, report.Results]:
  """Opens the folder of results that the flags name.

  Args:
    binary: what is run.
    config: a dataclass of flags, with a field `dataset`.
    cells: all that is measured.

  Returns:
    The folder, and the results with the cells that an earlier run finished.

  Raises:
    FlagError: if the folder cannot be used.
  """
  out_dir = pathlib.Path(OUT_DIR.value or _default_out_dir(binary, config))
  if machine.writes():
    check_writable(out_dir)
  run = {
    'out_dir': str(out_dir),
    'overwrite': OVERWRITE.value,
    'save_records': SAVE_RECORDS.value,
  }
  try:
    results = report.Results(
      out_dir,
      {'binary': binary, **identity(config), 'run': run},
      cells,
      overwrite=OVERWRITE.value,
      writes=machine.writes(),
    )
  except ValueError as error:
    expected = f'a new folder, or --overwrite: {error}'
    raise FlagError('out_dir', out_dir, expected) from error
  finished = machine.agree([cell in results for cell in cells])
  results.skip(itertools.compress(cells, finished))
  return out_dir, results


def _default_out_dir(binary, config):
  """A folder that the same configuration finds again."""
  text = json.dumps(dataclasses.asdict(config), sort_keys=True)
  digest = hashlib.sha256(text.encode()).hexdigest()[:8]
  name = re.sub(r'[^A-Za-z0-9_.]+', '-', config.dataset.rpartition('/')[2])
  return pathlib.Path('results') / f'{binary}-{name}-{digest}'


def show(
  summary: page.Summary,
  out_dir: pathlib.Path,
  plot_fn: Callable[[page.Summary, pathlib.Path], None] = plots.leakage,
) -> None:
  """Prints a summary, and writes its plot and page beside the results."""
  if not machine.writes():
    return
  plot_fn(summary, out_dir / 'leakage.png')
  page.write(summary, out_dir)
  print(page.to_text(summary))
  print(f'Written to {out_dir}: ' + ', '.join(sorted(os.listdir(out_dir))))


def warn(text: str) -> None:
  """Says something that the user should know, on standard error."""
  print(f'{pathlib.Path(sys.argv[0]).stem}: warning: {text}', file=sys.stderr)


class Progress:
  """A bar on a terminal, plain lines otherwise; written to standard error."""

  def __init__(self, total: int):
    self._quiet = not machine.writes()
    self._bar = tqdm.tqdm(total=total, disable=self._quiet or None, leave=False)

  def start(self, text: str) -> None:
    """Says what is being done now."""
    if self._quiet:
      return
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
      machine.start()
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
