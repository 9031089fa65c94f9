"""`python -m experiments.label_inference`, as a command."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def _command(*args, cwd=ROOT):
  return subprocess.run(
    [sys.executable, '-m', 'experiments.label_inference', *args],
    capture_output=True,
    text=True,
    cwd=cwd,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
  )


_MISTAKES = [
  (['--epoch=3'], "Unknown command line flag 'epoch'. Did you mean: epochs"),
  (['--out_dir=/dev/null/x'], '--out_dir=/dev/null/x: expected a folder'),
]
_OTHERS = [
  (['--cuts=3,x'], '--cuts=3,x: expected whole numbers with commas between'),
  (['--dataset=mnits'], '--dataset=mnits: expected one of digits'),
  (['--epochs=abc'], 'flag --epochs=abc: invalid literal for int'),
  (['--num_aux=0'], 'flag --num_aux=0: 0 is not an integer in the r'),
  (['digits'], 'digits: expected flags only, as --name=value'),
  (['--attacks=clustering:x=1'], '--attacks=clustering:x=1: expected clust'),
  (['--defense=max_norm+'], '--defense=: expected one of dp_sgd'),
]


@pytest.mark.parametrize(
  ('args', 'message'),
  [
    *_MISTAKES,
    *(pytest.param(*x, marks=pytest.mark.slow) for x in _OTHERS),
  ],
)
def test_mistake_is_one_line_and_a_status(args, message):
  done = _command(*args)
  assert done.returncode == 2
  assert message in done.stderr
  assert done.stderr.count('\n') == 1
  assert done.stdout == ''


@pytest.mark.slow
def test_other_flags_do_not_touch_finished_results(tmp_path):
  flags = ['--epochs=1', '--num_seeds=1', '--num_aux_draws=1']
  flags += ['--attacks=distance', f'--out_dir={tmp_path}/out']
  first = _command(*flags)
  assert first.returncode == 0, first.stderr
  names = sorted(os.listdir(tmp_path / 'out'))
  assert names == [
    'config.json',
    'leakage.png',
    'leakage.svg',
    'report.html',
    'results.csv',
    'results.jsonl',
  ]
  config = json.loads((tmp_path / 'out' / 'config.json').read_text())
  assert config['flags']['num_seeds'] == 1
  assert 'jax' in config['versions']
  before = (tmp_path / 'out' / 'results.csv').read_bytes()

  other = _command(*flags, '--epochs=2')
  assert other.returncode == 2
  assert '--overwrite' in other.stderr
  assert (tmp_path / 'out' / 'results.csv').read_bytes() == before

  again = _command(*flags)
  assert again.returncode == 0
  assert again.stdout == first.stdout
  assert 'training' not in again.stderr
  assert (tmp_path / 'out' / 'results.csv').read_bytes() == before

  overwritten = _command(*flags, '--epochs=2', '--overwrite')
  assert overwritten.returncode == 0
  config = json.loads((tmp_path / 'out' / 'config.json').read_text())
  assert config['flags']['epochs'] == 2


@pytest.mark.slow
def test_flags_are_the_fields_of_the_configuration(tmp_path):
  flags = ['--dataset=diabetes', '--hidden_sizes=8,4', '--epochs=1']
  flags += ['--cuts=1,3', '--attacks=nearest', '--nocenter_smashed']
  flags += ['--num_seeds=1', '--num_aux_draws=1', f'--out_dir={tmp_path}/out']
  done = _command(*flags, '--save_records')
  assert done.returncode == 0, done.stderr
  config = json.loads((tmp_path / 'out' / 'config.json').read_text())
  assert config['binary'] == 'label_inference'
  given = {
    'dataset': 'diabetes',
    'hidden_sizes': [8, 4],
    'cuts': [1, 3],
    'attacks': ['nearest'],
    'center_smashed': False,
    'target': None,
    'num_aux': 10,
  }
  assert given.items() <= config['flags'].items()
  assert len(list((tmp_path / 'out' / 'records').iterdir())) == 6
