"""Every binary tells what its flags are."""

import importlib
import os
import pathlib
import subprocess
import sys

import pytest

from splitjax import options

ROOT = pathlib.Path(__file__).parents[2]
BINARIES = (
  'label_inference',
  'cut_sweep',
  'ablation',
  'defense_sweep',
  'transfer',
  'parties',
  'regression',
  'pretrain',
  'recommend',
)
COMMON = ('out_dir', 'overwrite', 'debug', 'coordinator_address')


def _run(name, *args):
  return subprocess.run(
    [sys.executable, '-m', f'experiments.{name}', *args],
    capture_output=True,
    text=True,
    cwd=ROOT,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
  )


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=[pytest.mark.slow] if index else [])
    for index, name in enumerate(BINARIES)
  ],
)
def test_help_lists_every_field(name):
  module = importlib.import_module(f'experiments.{name}')
  text = _run(name, '--help').stdout
  names = [one.name for one in options.options_of(module.DEFAULT)]
  assert len(names) > 30
  missing = [
    x
    for x in (*names, *COMMON)
    if f'--{x}:' not in text and f'--[no]{x}:' not in text
  ]
  assert missing == []


def test_binaries_are_all_listed():
  found = {path.stem for path in (ROOT / 'experiments').glob('*.py')}
  others = {
    '__init__',
    'attack_table',
    'common',
    'failing',
    'options',
    'progress',
  }
  assert found - others == set(BINARIES)


@pytest.mark.slow
@pytest.mark.parametrize(
  ('name', 'args', 'message'),
  [
    (
      'regression',
      ['--vary_num_aux=5,x'],
      'expected whole numbers with commas between',
    ),
    ('regression', ['--num_aux=2'], '--num_aux=2: expected known samples'),
    ('ablation', ['--vary_learning_rate=x'], 'expected numbers with commas'),
    ('defense_sweep', ['--defense=max_norm'], '--defense=max_norm: expected'),
    ('cut_sweep', ['--malicious_client'], '--malicious_client=True: expected'),
    ('parties', ['--parties=65'], '--parties=65: expected'),
    ('parties', ['--attackers=0+2'], '--attackers=0+2: expected'),
    ('transfer', ['--extractor=nowhere'], '--extractor=nowhere: expected cli'),
    ('pretrain', ['--num_aux=2'], '--num_aux=2: expected no such flag'),
    ('recommend', ['--max_loss=0'], '--max_loss=0.0: expected between 0 and'),
    ('pretrain', ['--weights=x'], '--model=mlp: expected resnet18 or vgg16'),
  ],
)
def test_mistake_is_one_line(name, args, message):
  done = _run(name, *args)
  assert done.returncode == 2 and not done.stdout
  assert message in done.stderr
  assert done.stderr.count('\n') == 1
