"""A folder that one run has at a time."""

import json
import os
import signal
import subprocess
import sys

import pytest

from splitjax.results import lock

_HOLD = """
import sys, time
from splitjax.results import lock
with lock.locked(sys.argv[1], {'binary': 'transfer', 'identity': sys.argv[2]}):
  print('held', flush=True)
  time.sleep(60)
"""


def _hold(folder, identity):
  process = subprocess.Popen(
    [sys.executable, '-c', _HOLD, str(folder), identity],
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'held\n'
  return process


def _kill(process):
  process.send_signal(signal.SIGKILL)
  process.communicate()


def test_lock_names_the_other_run_and_ends_with_its_process(tmp_path):
  folder = tmp_path / 'new' / 'out'
  process = _hold(folder, 'a')
  with (
    pytest.raises(
      lock.FolderInUseError, match=f'transfer, process {process.pid} on .*since'
    ),
    lock.locked(folder, {}),
  ):
    raise AssertionError
  assert process.poll() is None  # And its lock is still there.
  _kill(process)
  assert os.listdir(folder) == ['.lock']
  with lock.locked(folder, {'binary': 'transfer', 'identity': 'b'}) as killed:
    assert not killed  # It was another run.
    (folder / 'results.csv').write_text('')
  assert os.listdir(folder) == ['results.csv']


def test_run_that_was_killed_is_known_again(tmp_path):
  _kill(_hold(tmp_path, 'a'))
  about = {'binary': 'transfer', 'identity': 'a'}
  with lock.locked(tmp_path, about) as killed:
    assert killed
  with lock.locked(tmp_path, about) as killed:
    assert not killed  # The last one ended by itself.


def test_one_process_holds_a_folder_once(tmp_path):
  with (
    lock.locked(tmp_path, {}),
    pytest.raises(lock.FolderInUseError),
    lock.locked(tmp_path, {}),
  ):
    raise AssertionError


@pytest.mark.parametrize('text', ['', '{', '[]', json.dumps({'about': 3})])
def test_any_file_of_that_name_may_be_there(tmp_path, text):
  (tmp_path / '.lock').write_text(text)
  with lock.locked(tmp_path, {}) as killed:
    assert not killed


def test_folders_that_hold_nothing_are_taken_away(tmp_path):
  with (
    pytest.raises(RuntimeError),
    lock.locked(tmp_path / 'a' / 'b', {}),
  ):
    raise RuntimeError
  assert os.listdir(tmp_path) == []
