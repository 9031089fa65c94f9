"""The command: flags or a file in, files and an exit status out."""

import argparse
from collections.abc import Mapping, Sequence
import dataclasses
import difflib
import json
import pathlib
import sys
import time
import tomllib
import traceback
from typing import Any, NoReturn

from splitjax import compilation
from splitjax.auditing import outputs
from splitjax.auditing.auditing import audit
from splitjax.auditing.options import ARRAYS
from splitjax.auditing.options import Options
from splitjax.auditing.options import from_mapping
from splitjax.engine.progress import Progress
from splitjax.errors import INTERRUPTED
from splitjax.errors import ConfigError

ERROR = 2
_NAME = 'splitjax-audit'
_FILES = {
  'cut_grads': 'Gradients at the cut, as the party with the inputs received '
  'them, [N, ...]. A pattern such as pass-*.npy gives several passes, or '
  'shards of one.',
  'smashed': 'Output of the cut layer for the training samples, [N, ...].',
  'untrained_smashed': 'The same before training: a baseline.',
  'inputs': 'Inputs of the attacker: a baseline.',
  'test_smashed': 'Output of the cut layer for other samples, [M, ...].',
  'test_untrained_smashed': 'The same before training.',
  'test_inputs': 'Inputs of the other samples.',
  'labels': 'The true labels: [N], [N, 1] or one-hot.',
  'test_labels': 'Labels of the other samples, [M].',
  'sample_ids': 'The sample of each row of the training arrays, [N]; label i '
  'is then of sample i. A pattern gives a file for each pass.',
  'steps': 'Step at which each row crossed, [N].',
  'canaries': 'Rows of a sample id and two labels, [M, 3], of which a coin '
  'chose one before the training: they show an epsilon.',
}
_EPILOG = """\
Files are .npy, file.npz:name, or patterns (shards and passes). The exit status
is 0 for pass, 1 for fail, 3 for inconclusive and 2 for an error of use.

  splitjax-audit --cut_grads=g.npy --labels=y.npy
  splitjax-audit --record=cut --limit=5 --out_dir=audit
  splitjax-audit --audit=audit.toml
"""


class _Parser(argparse.ArgumentParser):
  """A parser whose errors are one line, with what was probably meant."""

  def error(self, message: str) -> NoReturn:
    """Print one line and leave with status 2."""
    unknown = message.removeprefix('unrecognized arguments: ')
    if unknown != message:
      flag = unknown.split()[0].split('=')[0]
      known = [x for one in self._actions for x in one.option_strings]
      close = difflib.get_close_matches(flag, known, 1)
      hint = f'did you mean {close[0]}?' if close else 'see --help'
      message = f'{unknown.split()[0]}: expected a flag that exists; {hint}'
    print(f'{_NAME}: error: {" ".join(message.split())}', file=sys.stderr)
    sys.exit(ERROR)


def parser() -> argparse.ArgumentParser:
  """Return the parser of the command line."""
  found = _Parser(
    prog=_NAME,
    description='Attacks what crossed the cut of a split system, and judges '
    'how much of the labels it gives away.',
    epilog=_EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  given = found.add_argument_group('what is audited')
  for name, text in _FILES.items():
    given.add_argument(f'--{name}', metavar='FILE', help=text)
  given.add_argument(
    '--record',
    metavar='FOLDER',
    action='append',
    help='A record folder (docs/records.md) in place of files; several times '
    'for several runs.',
  )
  given.add_argument(
    '--audit',
    metavar='FILE',
    help='A .toml, .yaml or .json file with any of these, also [[runs]]; flags '
    'come before it. Paths in it are relative to the file.',
  )
  how = found.add_argument_group('how')
  for field in dataclasses.fields(Options):
    default = field.default
    if isinstance(default, tuple):
      default = ','.join(map(str, default))
    text = f'{field.metadata["text"]} Default: {default or "none"}.'
    how.add_argument(f'--{field.name}', metavar='VALUE', help=text)
  how.add_argument(
    '--out_dir', metavar='FOLDER', help='Where to write report and figures.'
  )
  how.add_argument(
    '--compilation_cache',
    metavar='FOLDER',
    help='Folder in which compiled programs are kept for the next audit; '
    'splitjax in $XDG_CACHE_HOME or ~/.cache by default, and none if empty.',
  )
  how.add_argument(
    '--quiet', action='store_true', help='Print the verdict alone.'
  )
  how.add_argument(
    '--debug',
    action='store_true',
    help='Show where in the program an error arose.',
  )
  return found


class _Lines(Progress):
  """Says what is being done, a line for each attack; a bar on a terminal."""

  def __init__(self) -> None:
    self._start = time.monotonic()
    self._open = False

  def start(self, text: str) -> None:
    """Say what is being done now."""
    self._end()
    seconds = time.monotonic() - self._start
    line = f'{seconds:5.0f} s  {text} (compiling takes 5 to 40 s)'
    if sys.stderr.isatty():
      print(f'\r\033[K{line}', end='', file=sys.stderr, flush=True)
      self._open = True
    else:
      print(line, file=sys.stderr, flush=True)

  def finish(self) -> None:
    """End the line of a terminal."""
    self._end()

  def _end(self) -> None:
    if self._open:
      print('\r\033[K', end='', file=sys.stderr, flush=True)
      self._open = False


def main(argv: Sequence[str] | None = None) -> int:
  """Run the command.

  Args:
    argv: arguments without the name of the command; those of the process by
      default.

  Returns:
    The exit status: 0 for pass, 1 for fail, 3 for inconclusive, 2 for an error,
    130 if interrupted.
  """
  flags = parser().parse_args(argv)
  values = {k: v for k, v in vars(flags).items() if v is not None}
  debug, status = values.pop('debug'), ERROR
  try:
    return _run(values)
  except (Exception, KeyboardInterrupt) as error:
    # Nobody who runs a command wants a traceback.
    text = f'{type(error).__name__}: {error} (--debug shows where)'
    if isinstance(error, ConfigError):
      text = str(error).replace(f'{error.field}=', f'--{error.field}=', 1)
    elif isinstance(error, KeyboardInterrupt):
      text, status = 'interrupted', INTERRUPTED
    if debug:
      traceback.print_exc()
  print(f'{_NAME}: error: {" ".join(text.split())}', file=sys.stderr)
  return status


def _run(values: dict[str, Any]) -> int:
  """Audit what the flags and the file say."""
  quiet = values.pop('quiet')
  compilation.keep(values.pop('compilation_cache', None))
  path = values.pop('audit', None)
  names = {one.name for one in dataclasses.fields(Options)}
  for name, field in Options.__dataclass_fields__.items():
    if isinstance(field.default, tuple) and name in values:
      values[name] = [x for x in values[name].split(',') if x]
  if path is not None:
    values = _of_file(path) | values
  out_dir = values.pop('out_dir', None)
  options = {k: v for k, v in values.items() if k in names}
  from_mapping(options)  # Refused before anything is read.
  arrays = {k: v for k, v in values.items() if k not in names}
  with outputs.held(out_dir):
    return _audit(arrays, options, out_dir, quiet=quiet)


def _audit(
  arrays: Mapping[str, Any],
  options: Mapping[str, Any],
  out_dir: str | None,
  *,
  quiet: bool,
) -> int:
  """Audit arrays, and print and write what is found."""
  progress = Progress() if quiet else _Lines()
  result = audit(**arrays, **options, progress=progress)
  if isinstance(progress, _Lines):
    progress.finish()
  print(result.summary())
  if not quiet:
    for note in result.content['audited']['notes']:
      print(f'Note: {note}')
  if out_dir is not None:
    written = outputs.write(result, out_dir)
    if not quiet:
      print(f'Written to {out_dir}: {", ".join(written)}')
  return result.exit_status


def _of_file(path: str) -> dict[str, Any]:
  """Read an audit file; paths in it are relative to it."""
  file = pathlib.Path(path)
  kinds = ('.toml', '.yaml', '.yml', '.json')
  if not file.is_file() or file.suffix not in kinds:
    raise ConfigError('audit', path, f'a file that ends in {", ".join(kinds)}')
  try:
    found = _parse(file)
  except (ValueError, OSError, RecursionError) as error:
    expected = f'a file that can be read: {error}'
    raise ConfigError('audit', path, expected) from error
  if not isinstance(found, dict):
    raise ConfigError('audit', path, 'names and values')
  known = [
    *_FILES,
    'record',
    'runs',
    'out_dir',
    *(one.name for one in dataclasses.fields(Options)),
  ]
  for name in found:
    if name not in known:
      raise ConfigError('audit', f'{path} {name}', f'one of {", ".join(known)}')
  try:
    return _relative_to(file.parent, found)
  except RecursionError as error:
    raise ConfigError('audit', path, 'values that end') from error


def _parse(file: pathlib.Path) -> Any:
  """Return what a file holds."""
  text = file.read_text(encoding='utf-8')
  if file.suffix == '.toml':
    return tomllib.loads(text)
  if file.suffix == '.json':
    return json.loads(text)
  import yaml  # Slow to import, and needed here alone.

  try:
    return yaml.safe_load(text)
  except yaml.YAMLError as error:
    raise ValueError(str(error)) from error


def _relative_to(folder: pathlib.Path, values: Mapping[str, Any]) -> Any:
  """Return values whose paths are relative to a folder."""
  places = {*_FILES, *ARRAYS, 'record', 'out_dir'}

  def moved(value: Any) -> Any:
    if isinstance(value, str):
      return str(folder / value)
    return [moved(one) for one in value] if isinstance(value, list) else value

  found = {
    name: moved(value) if name in places else value
    for name, value in values.items()
  }
  runs = found.get('runs')
  if isinstance(runs, list):
    found['runs'] = [
      _relative_to(folder, one) if isinstance(one, Mapping) else one
      for one in runs
    ]
  return found


if __name__ == '__main__':
  sys.exit(main())
