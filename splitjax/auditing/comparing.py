"""The command that compares audits: before and after, old and new."""

import argparse
from collections.abc import Sequence
import pathlib
import sys

from splitjax.auditing.result import AuditResult
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
    'runs', nargs='+', metavar='RUN', help='A folder with an audit.json.'
  )
  parser.add_argument(
    '--out_dir', metavar='FOLDER', help='Where to write compare.html.'
  )
  flags = parser.parse_args(argv)
  try:
    audits = {run: AuditResult.load(run).to_dict() for run in flags.runs}
    if len(audits) < len(flags.runs):
      raise ValueError(f'RUN={flags.runs[0]}: expected each run once')
    print(compare.to_text(audits))
    if flags.out_dir:
      compare.write(audits, pathlib.Path(flags.out_dir))
  except (OSError, ValueError) as error:
    text = ' '.join(f'{error}'.split())
    print(f'{_NAME}: error: {text}', file=sys.stderr)
    return ERROR
  return 0


if __name__ == '__main__':
  sys.exit(main())
