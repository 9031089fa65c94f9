"""The commands that pip installs; importing this module takes no time."""

import importlib
import sys

from splitjax import interruption
from splitjax.errors import INTERRUPTED


def audit() -> int:
  """Run `splitjax-audit`, and return its exit status."""
  return _run('splitjax-audit', 'splitjax.auditing.command')


def report() -> int:
  """Run `splitjax-report`, and return its exit status."""
  return _run('splitjax-report', 'splitjax.auditing.comparing')


def _run(name: str, module: str) -> int:
  """Import a module and call its `main`; Ctrl-C ends either in one line."""
  try:
    with interruption.heard():
      return importlib.import_module(module).main()
  except KeyboardInterrupt:
    print(f'{name}: error: interrupted', file=sys.stderr)
    return INTERRUPTED
