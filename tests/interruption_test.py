import os
import signal
import time

import pytest

from splitjax import interruption


class _Deaf:
  """Loses what is raised while it is deleted, as Python does."""

  def __del__(self):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)  # Signals are seen between instructions.


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_an_interruption_that_was_dropped_comes_again():
  reached = False
  with pytest.raises(KeyboardInterrupt), interruption.heard(again=0.05):
    deaf = _Deaf()
    del deaf
    reached = True
    time.sleep(10)
  assert reached


def test_after_it_all_is_as_before():
  before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
  with pytest.raises(KeyboardInterrupt), interruption.heard(again=0.01):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
  time.sleep(0.05)  # Nothing comes again.
  after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
  assert after == before
