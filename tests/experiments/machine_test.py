"""Several devices, and several processes, give the results of one."""

import csv
import json
import pathlib
import socket
import subprocess
import sys
import time

import pytest

from splitjax.engine.workplace import CHECKPOINTS
from splitjax.results import TIMES

ROOT = pathlib.Path(__file__).parents[2]


def _start(*args):
  return subprocess.Popen(
    [
      sys.executable,
      '-m',
      'experiments.label_inference',
      '--epochs=1',
      '--num_seeds=3',
      '--num_aux_draws=2',
      '--attacks=distance,clustering',
      '--batch_size=200',
      *args,
    ],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _start_pair(folder, *args):
  """Two processes that run together; each has a folder of its own."""
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  return [
    _start(
      f'--coordinator_address=127.0.0.1:{port}',
      '--num_processes=2',
      f'--process_id={index}',
      f'--out_dir={folder / str(index)}',
      *args,
    )
    for index in range(2)
  ]


def _figures(folder):
  with open(folder / 'results.csv') as file:
    return [
      {**row, 'seconds': ''}
      for row in csv.DictReader(file)
      if row['measure'] not in TIMES
    ]


def _finish(*processes):
  """What the processes print, all of them successful."""
  outputs = [process.communicate() for process in processes]
  assert all(process.returncode == 0 for process in processes), outputs
  return [out for out, _ in outputs]


@pytest.mark.slow
def test_devices_and_processes_give_the_results_of_one(tmp_path):
  cache = f'--compilation_cache={tmp_path / "cache"}'
  _finish(_start(cache, f'--out_dir={tmp_path / "alone"}'))
  assert any((tmp_path / 'cache').iterdir())
  _finish(_start(f'--out_dir={tmp_path / "devices"}', '--cpu_devices=8'))
  config = json.loads((tmp_path / 'devices' / 'config.json').read_text())
  assert len(config['devices']) == 8
  assert _figures(tmp_path / 'devices') == _figures(tmp_path / 'alone')

  first, second = _finish(*_start_pair(tmp_path / 'pair'))
  assert _figures(tmp_path / 'pair' / '0') == _figures(tmp_path / 'alone')
  assert 'Written to' in first
  # Only the transport's own line on its connections may be there.
  assert not [x for x in second.splitlines() if not x.startswith('[Gloo]')]
  assert not (tmp_path / 'pair' / '1').exists()


@pytest.mark.slow
def test_processes_that_were_killed_go_on_together(tmp_path):
  """The second sees none of what the first has on its disk."""
  args = (
    '--epochs=3',
    '--checkpoint_seconds=0',
    f'--compilation_cache={tmp_path / "cache"}',
  )
  _finish(_start(f'--out_dir={tmp_path / "whole"}', *args))
  pair = _start_pair(tmp_path / 'pair', *args)
  while not list((tmp_path / 'pair' / '0').glob(f'{CHECKPOINTS}/*/index.json')):
    assert pair[0].poll() is None
    time.sleep(0.01)
  for process in pair:
    process.kill()
    process.communicate()
  pair = _start_pair(tmp_path / 'pair', *args)
  told = [process.communicate()[1] for process in pair]
  assert [process.returncode for process in pair] == [0, 0], told
  assert 'going on after pass' in told[0]
  assert _figures(tmp_path / 'pair' / '0') == _figures(tmp_path / 'whole')


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    (['--process_id=0'], '--process_id=0: expected '),
    pytest.param(
      [
        '--coordinator_address=a:1',
        '--num_processes=2',
        '--process_id=2',
      ],
      '--process_id=2: expected less than',
      marks=pytest.mark.slow,
    ),
  ],
)
def test_arguments_that_do_not_go_together_are_one_line(args, message):
  process = _start(*args)
  out, error = process.communicate()
  assert process.returncode == 2 and out == ''
  assert message in error and error.count('\n') == 1
