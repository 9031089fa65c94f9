"""Ctrl-C that is heard, wherever it comes."""

from collections.abc import Iterator
import contextlib
import signal
import types

_AGAIN = 5.0  # Seconds; whoever cleans up meanwhile is let do so.


@contextlib.contextmanager
def heard(again: float = _AGAIN) -> Iterator[None]:
  """Raise KeyboardInterrupt on Ctrl-C, and again until the block ends.

  Python drops what is raised while it calls a destructor, a weak reference's
  function or a hook of the garbage collector, and a run of JAX is full of
  these: a single KeyboardInterrupt may be lost, and the run goes on.

  To be used in the main thread alone, where signals arrive.

  Args:
    again: seconds after which it is raised again.
  """

  def interrupt(number: int, frame: types.FrameType | None) -> None:
    del number, frame
    signal.setitimer(signal.ITIMER_REAL, again)
    raise KeyboardInterrupt

  timed = hasattr(signal, 'setitimer')  # Not on Windows.
  names = (signal.SIGINT, signal.SIGALRM) if timed else ()
  before = {name: signal.signal(name, interrupt) for name in names}
  try:
    yield
  finally:
    if timed:
      signal.setitimer(signal.ITIMER_REAL, 0)
    for name, handler in before.items():
      signal.signal(name, handler)
