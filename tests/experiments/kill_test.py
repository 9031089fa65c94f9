"""Killed runs: nothing finished is lost, and the results are the same."""

import csv
import os
import random
import re

import pytest

from splitjax.results import TIMES
from tests.experiments import kills

# 40 kills over all binaries: SPLITJAX_KILLS=6, in some minutes.
_NUM_KILLS = int(os.environ.get('SPLITJAX_KILLS', '1'))
_FIRST = 'pretrain'  # Killed in the default run of the tests.


@pytest.fixture(scope='module')
def runner(tmp_path_factory):
  found = kills.Runner(tmp_path_factory.mktemp('cache'))
  yield found
  found.close()


def _figures(folder):
  if not (folder / 'results.csv').exists():
    return (folder / 'extractor.json').read_text()
  with open(folder / 'results.csv') as file:
    return [
      {**row, 'seconds': ''}
      for row in csv.DictReader(file)
      if row['measure'] not in TIMES
    ]


def _files(folder):
  found = {str(x.relative_to(folder)) for x in folder.rglob('*') if x.is_file()}
  # Orbax names the files of the parameters of an extractor by chance.
  return {x for x in found if not x.startswith('variables')}


def _told(text, name):
  return re.findall(rf'^{name}: (.*)$', text, re.MULTILINE)


def _check_kills(runner, tmp_path, binary, num_kills, seed):
  """Kills a run at chance places, each time after something was finished."""
  status, text = runner.run(binary, tmp_path / 'whole')
  assert status == 0, text
  num_writes = int(_told(text, 'writes')[0])
  whole = {name: _told(text, name) for name in ('_train', 'add')}

  rng, done = random.Random(seed), {'_train': [], 'add': []}
  folder = tmp_path / 'out' / 'killed'
  folder.parent.mkdir()
  for _ in range(num_kills):
    at = rng.randint(1, max(num_writes // num_kills, 1))
    after = rng.random() < 0.5
    status, text = runner.run(binary, folder, at=at, after=after)
    assert status in (-9, 0), text
    for name, told in done.items():
      told += _told(text, name)
  status, text = runner.run(binary, folder)
  if status == 2:  # It was finished already.
    assert binary == 'pretrain' and 'expected a new folder' in text
  else:
    assert status == 0, text
  for name, told in done.items():
    told += _told(text, name)
    # At most what a kill kept from being written is done twice; what was
    # written when it came is not told.
    assert abs(len(told) - len(whole[name])) <= num_kills
  assert 'Traceback' not in text and 'damaged' not in text
  assert _figures(folder) == _figures(tmp_path / 'whole')
  assert _files(folder) == _files(tmp_path / 'whole')
  assert sorted(os.listdir(folder.parent)) == ['killed', 'killed.log']


@pytest.mark.slow
def test_killed_run_loses_nothing(runner, tmp_path):
  _check_kills(runner, tmp_path, _FIRST, 1, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize(
  'binary', [x for x in kills.COMMANDS if x != _FIRST or _NUM_KILLS > 1]
)
def test_killed_run_of_every_binary_loses_nothing(runner, tmp_path, binary):
  _check_kills(runner, tmp_path, binary, _NUM_KILLS, seed=1)


@pytest.mark.slow
def test_pretrain_overwrites_its_own_files_when_it_has_new_ones(
  runner, tmp_path
):
  folder = tmp_path / 'out'
  folder.mkdir()
  (folder / 'mine.txt').write_text('mine')
  status, text = runner.run('pretrain', folder)
  assert status == 2 and 'a new folder, or --overwrite' in text
  assert os.listdir(folder) == ['mine.txt']
  (folder / 'extractor.json').write_text('old')
  status, _ = runner.run('pretrain', folder, '--overwrite', at=3)
  assert status == -9
  assert (folder / 'extractor.json').read_text() == 'old'
  status, text = runner.run('pretrain', folder, '--overwrite')
  assert status == 0 and 'going on after pass' in text
  names = ['extractor.json', 'mine.txt', 'variables']
  assert sorted(os.listdir(folder)) == names
  assert (folder / 'extractor.json').read_text() != 'old'


@pytest.mark.slow
def test_transfer_that_is_killed_again_and_again_comes_to_its_end(
  runner, tmp_path
):
  """Each time after few writes, of which a pass takes four or five."""
  folder = tmp_path / 'out'
  passes = []
  for _ in range(4):
    status, text = runner.run('transfer', folder, at=7)
    assert status == -9, text
    passes += _told(text, '_train')
  status, text = runner.run('transfer', folder)
  assert status == 0 and not _told(text, '_train'), text
  assert set(passes) == {'0', '1', '2'} and len(passes) <= 3 + 4
