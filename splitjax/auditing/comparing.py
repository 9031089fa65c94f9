"""The command that compares audits: before and after, old and new."""

import argparse
from collections.abc import Mapping, Sequence
import pathlib
import sys
import traceback
from typing import Any

from splitjax import results
from splitjax.auditing.result import AuditResult
from splitjax.engine import verdicts
from splitjax.reports import compare

_NAME = 'splitjax-report'
ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
  """Compare the audits of several folders.

  Args:
    argv: arguments without the name of the command; those of the process by
      default.

  Returns:
    The exit status: 0, or 2 for an error of use.
  """
  parser = argparse.ArgumentParser(
    prog=_NAME,
    description='Compares audits: the first with each of the others.',
    allow_abbrev=False,
  )
  parser.add_argument(
    'runs',
    nargs='+',
    metavar='RUN',
    help='A folder of an audit, or of experiments.label_inference.',
  )
  parser.add_argument(
    '--out_dir', metavar='FOLDER', help='Where to write compare.html.'
  )
  parser.add_argument(
    '--debug',
    action='store_true',
    help='Show where in the program an error arose.',
  )
  flags = parser.parse_args(argv)
  try:
    audits = {run: _content_of(run) for run in flags.runs}
    if len(audits) < len(flags.runs):
      raise ValueError(f'RUN={flags.runs[0]}: expected each run once')
    print(compare.to_text(audits))
    if flags.out_dir:
      compare.write(audits, pathlib.Path(flags.out_dir))
  except Exception as error:  # Nobody who runs a command wants a traceback.
    foreseen = isinstance(error, OSError | ValueError)
    text = f'{error}' if foreseen else f'{type(error).__name__}: {error}'
    if flags.debug:
      traceback.print_exc()
    text = ' '.join(text.split())
    print(f'{_NAME}: error: {text}', file=sys.stderr)
    return ERROR
  return 0


def _content_of(run: str) -> Mapping[str, Any]:
  """Return the content of an audit, or what a run of the engine says.

  Args:
    run: the folder of either.

  Raises:
    ValueError: if it is the folder of neither.
  """
  path = pathlib.Path(run)
  if not path.exists():
    raise ValueError(f'RUN={run}: expected the folder of an audit or of a run')
  if (path / 'audit.json').exists() or not (path / 'results.jsonl').exists():
    return AuditResult.load(run).to_dict()
  try:
    settings, rows = results.read(path)
  except ValueError as error:
    raise ValueError(f'RUN={run}: {error}') from error
  if settings.get('binary') != 'label_inference':
    raise ValueError(
      f'RUN={run}: expected an audit or a run of label_inference, got one of '
      f'{settings.get("binary")}'
    )
  found = verdicts.judge(rows)
  if found is None:
    raise ValueError(f'RUN={run}: expected a run that read classes')
  return found


if __name__ == '__main__':
  sys.exit(main())
