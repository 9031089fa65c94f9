"""What goes wrong in a binary is one line and a status."""

import errno
import os
import signal
import subprocess
import sys
import time

from absl import flags
import pytest

from experiments import failing
from splitjax import data
from splitjax.errors import ConfigError
from tests.experiments import kills


@pytest.fixture(autouse=True)
def parsed(monkeypatch):
  """Command line of a binary without flags."""
  monkeypatch.setattr(sys, 'argv', ['transfer.py'])
  if 'dataset' not in flags.FLAGS:
    flags.DEFINE_string('dataset', 'csv:x', '')
  flags.FLAGS['dataset'].value = 'csv:x'
  monkeypatch.setattr(flags.FLAGS['debug'], 'value', False)


def _status(error):
  with pytest.raises(SystemExit) as ended, failing.one_line_errors():
    raise error
  return ended.value.code


@pytest.mark.parametrize(
  ('error', 'status', 'text'),
  [
    (ConfigError('cuts', 12, 'less'), 2, '--cuts=12: expected less'),
    (flags.Error('two\nlines'), 2, 'two lines'),
    (OSError(errno.EACCES, 'No', 'a.txt'), 1, 'a.txt: No'),
    (MemoryError(), 1, 'out of memory: fewer of --num_seeds'),
    (
      RuntimeError('a\nb'),
      1,
      'error in the program: RuntimeError: a b (not foreseen; --debug shows',
    ),
  ],
)
def test_error_is_one_line(capsys, error, status, text):
  assert _status(error) == status
  printed = capsys.readouterr()
  assert printed.err.startswith(f'transfer: error: {text}')
  assert printed.err.count('\n') == 1 and not printed.out


def test_error_that_nobody_thought_of_names_the_flag(capsys):
  with pytest.raises(SystemExit), failing.one_line_errors():
    data.find_classes(3, 4)
  assert capsys.readouterr().err.startswith(
    'transfer: error: --dataset=csv:x: TypeError: '
  )


def test_debug_shows_where(capsys, monkeypatch):
  monkeypatch.setattr(flags.FLAGS['debug'], 'value', True)
  _status(RuntimeError('a'))
  lines = capsys.readouterr().err.splitlines()
  assert lines[0].startswith('Traceback')
  assert lines[-1].startswith('transfer: error: ')


def _interrupted_when(is_time_fn, tmp_path):
  """Starts a run; interrupts it when the function of its messages says so."""
  process = subprocess.Popen(
    [
      sys.executable,
      '-m',
      'experiments.label_inference',
      f'--out_dir={tmp_path / "out"}',
    ],
    cwd=kills.ROOT,
    env={**os.environ, 'PYTHONPATH': str(kills.ROOT)},
    stderr=subprocess.PIPE,
    text=True,
  )
  told = is_time_fn(process.stderr)
  process.send_signal(signal.SIGINT)
  _, printed = process.communicate()
  return process.returncode, told + printed


def test_interruption_of_the_imports_is_one_line(tmp_path):
  wait_fn = lambda messages: time.sleep(0.6) or ''
  status, printed = _interrupted_when(wait_fn, tmp_path)
  assert (status, printed) == (
    130,
    '\ninterrupted while the program was being loaded\n',
  )


@pytest.mark.slow
def test_interruption_of_the_training_is_one_line(tmp_path):
  status, printed = _interrupted_when(lambda x: x.readline(), tmp_path)
  assert status == 130
  assert printed.splitlines()[-1].startswith('label_inference: error: interr')
  assert 'Traceback' not in printed


def test_device_that_is_not_there_is_one_line(tmp_path):
  done = subprocess.run(
    [sys.executable, '-m', 'experiments.transfer', f'--out_dir={tmp_path}/a'],
    capture_output=True,
    text=True,
    cwd=kills.ROOT,
    env={
      **os.environ,
      'PYTHONPATH': str(kills.ROOT),
      'JAX_PLATFORMS': 'nonsense',
    },
  )
  assert done.returncode == 2 and not done.stdout
  assert done.stderr.startswith('transfer: error: JAX_PLATFORMS=nonsense: exp')
  assert done.stderr.count('\n') == 1
