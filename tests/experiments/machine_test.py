"""Several devices, and several processes, give the results of one."""

import csv
import json
import pathlib
import socket
import subprocess
import sys

from absl import flags
from absl.testing import flagsaver
import pytest

from experiments import common
from experiments import machine
from splitjax.results import report

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ({'process_id': 0}, 'expected all of --coordinator_address'),
    (
      dict(
        coordinator_address='a:1',
        num_processes=2,
        process_id=0,
        distributed=True,
      ),
      'without --distributed',
    ),
    (
      dict(coordinator_address='a:1', num_processes=2, process_id=2),
      '--process_id=2: expected less than --num_processes=2',
    ),
  ],
)
def test_flags_of_processes_go_together(given, message):
  with flagsaver.flagsaver():
    flags.FLAGS.mark_as_parsed()
    for name, value in given.items():
      setattr(flags.FLAGS, name, value)
    with pytest.raises(flags.Error, match=message):
      machine.start()


def test_one_process_writes_and_agrees_with_itself():
  assert machine.writes()
  assert machine.agree([True, False]) == [True, False]


def test_process_that_does_not_write_leaves_the_folder_alone(tmp_path):
  setting = report.Setting('digits', 'mlp', '7')
  cells = [
    report.Cell(setting, 'training', 'smashed', name) for name in ('a', 'b')
  ]
  path = tmp_path / 'out'
  results = report.Results(path, {}, cells, overwrite=True, writes=False)
  results.skip(cells[:1])
  assert cells[0] in results and cells[1] not in results
  results.begin()
  results.add(cells[1], [])
  assert results.complete
  assert not path.exists()


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


def _figures(folder):
  with open(folder / 'results.csv') as file:
    return [
      {**row, 'seconds': ''}
      for row in csv.DictReader(file)
      if row['measure'] not in report.TIMES
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

  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  first, second = _finish(
    *(
      _start(
        f'--coordinator_address=127.0.0.1:{port}',
        '--num_processes=2',
        f'--process_id={index}',
        f'--out_dir={tmp_path / "pair" / str(index)}',
      )
      for index in range(2)
    )
  )
  assert _figures(tmp_path / 'pair' / '0') == _figures(tmp_path / 'alone')
  assert 'Written to' in first
  # Only the transport's own line on its connections may be there.
  assert not [x for x in second.splitlines() if not x.startswith('[Gloo]')]
  assert not (tmp_path / 'pair' / '1').exists()


def test_command_line_names_the_flags_of_the_machine():
  names = {x.name for x in flags.FLAGS.get_key_flags_for_module(common)}
  assert {'coordinator_address', 'compilation_cache', 'distributed'} <= names
