"""The binaries. Until one of them starts, an interruption ends it at once."""

import os
import signal
import sys
import time
import types

STARTED = time.perf_counter()  # All that is imported comes after.


def _end(number: int, frame: types.FrameType | None) -> None:
  """End the process with one line: imports have nothing to clean up."""
  del number, frame
  os.write(2, b'\ninterrupted while the program was being loaded\n')
  os._exit(130)


# Python is looking for the module of `python -m experiments.NAME`.
if sys.argv[:1] == ['-m']:
  signal.signal(signal.SIGINT, _end)
