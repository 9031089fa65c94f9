"""What the binaries say while they run, on standard error."""

import pathlib
import sys

import tqdm

from splitjax import engine
from splitjax import parallel


def warn(text: str) -> None:
  """Say something that the user should know, on standard error."""
  print(f'{pathlib.Path(sys.argv[0]).stem}: warning: {text}', file=sys.stderr)


class Progress(engine.Progress):
  """A bar on a terminal, plain lines otherwise; written to standard error."""

  def __init__(self, total: int) -> None:
    self._quiet = not parallel.is_writer()
    self._bar = tqdm.tqdm(total=total, disable=self._quiet or None, leave=False)

  def start(self, text: str) -> None:
    """Say what is being done now."""
    if self._quiet:
      return
    if self._bar.disable:
      print(text, file=sys.stderr, flush=True)
    else:
      self._bar.set_description(text)

  def advance(self, text: str | None = None) -> None:
    """Count one unit as done; the text is shown on a terminal only."""
    if text is not None and not self._bar.disable:
      self._bar.set_description(text, refresh=False)
    self._bar.update()

  def warn(self, text: str) -> None:
    """Say something that the user should know."""
    if not self._quiet:
      self._bar.clear()
      warn(text)

  def close(self) -> None:
    """Take the bar off the terminal."""
    self._bar.close()
