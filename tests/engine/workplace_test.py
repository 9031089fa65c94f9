"""Runs that are cut short: nothing finished is lost, and nothing mixed up."""

import errno
import json
import os

import numpy as np
import pytest

from splitjax import data
from splitjax import engine
from splitjax import results as tables
from splitjax.engine import measuring
from splitjax.engine import observing
from splitjax.engine.workplace import Workplace
from splitjax.engine.workplace import identity_of_study
from splitjax.errors import ConfigError
from splitjax.results import lock

SMALL = dict(
  num_train=60,
  num_test=30,
  epochs=3,
  batch_size=30,
  num_seeds=1,
  num_aux_draws=1,
  attacks=('distance',),
)


class Killed(BaseException):
  """What stands for the end of a process here."""


@pytest.fixture
def trained(monkeypatch):
  """Names of the passes that are trained, and where to end."""
  told, end = [], []
  train = observing._Session._train

  def telling(self, epoch, rows, name, kept=False):
    if name in end:
      raise Killed
    told.append(name)
    return train(self, epoch, rows, name, kept)

  monkeypatch.setattr(observing._Session, '_train', telling)
  return told, end


def _run(folder, **changes):
  config = engine.Config(**{**SMALL, **changes.pop('config', {})})
  return engine.run(config, out_dir=folder, checkpoint_seconds=0, **changes)


def _figures(result):
  return [
    (row['attack'], row['measure'], row['values'])
    for row in result.rows()
    if row['measure'] not in tables.TIMES
  ]


@pytest.mark.parametrize(
  'config',
  [
    {},
    pytest.param({'defense': 'lp_2st'}, marks=pytest.mark.slow),
    pytest.param({'optimizer': 'adam'}, marks=pytest.mark.slow),
  ],
)
def test_pass_that_was_finished_is_not_trained_again(tmp_path, trained, config):
  told, end = trained
  whole = _run(None, config=config)
  num_passes = len(told)
  for name in told[num_passes - 2 :]:
    end[:] = [name]
    with pytest.raises(Killed):
      _run(tmp_path, config=config)
    assert os.listdir(tmp_path) == ['.checkpoints']
  end.clear()
  again = _run(tmp_path, config=config)
  assert told == told[:num_passes] * 2
  assert _figures(again) == _figures(whole)
  assert '.checkpoints' not in os.listdir(tmp_path)


def test_run_that_ends_in_its_first_attack_is_not_trained_again(
  tmp_path, trained, monkeypatch
):
  told, _ = trained

  def ends(*args):
    raise Killed

  with monkeypatch.context() as patched, pytest.raises(Killed):
    patched.setattr(measuring, '_reference', ends)
    _run(tmp_path)
  assert told == ['1', '2', '3']
  assert _run(tmp_path).results.complete
  assert told == ['1', '2', '3']


@pytest.mark.slow
def test_overwriting_starts_anew_unless_the_run_was_killed(tmp_path, trained):
  told, end = trained
  _run(tmp_path, config={'seed': 1})
  old = (tmp_path / 'results.csv').read_bytes()
  end[:] = ['3']
  for expected in (['1', '2'], ['1', '2']):
    told.clear()
    with pytest.raises(Killed):
      _run(tmp_path, overwrite=True)
    assert told == expected
    assert (tmp_path / 'results.csv').read_bytes() == old
  # A killed process leaves its lock.
  study = engine.studies.label_inference.study(engine.Config(**SMALL))
  place = Workplace(tmp_path, identity_of_study(study))
  with place.held():
    left = (tmp_path / lock.LOCK_FILE).read_text()
  (tmp_path / lock.LOCK_FILE).write_text(left)
  end.clear()
  told.clear()
  assert _run(tmp_path, overwrite=True).results.complete
  assert told == ['3']


def test_damaged_checkpoint_is_said_and_training_starts_anew(tmp_path, trained):
  told, end = trained
  end[:] = ['3']
  with pytest.raises(Killed):
    _run(tmp_path)
  [path] = tmp_path.glob('.checkpoints/*/current-2.safetensors')
  path.write_bytes(path.read_bytes()[:-1])
  warned = []

  class Progress(engine.Progress):
    def warn(self, text):
      warned.append(text)

  end.clear()
  told.clear()
  assert _run(tmp_path, progress=Progress()).results.complete
  assert told == ['1', '2', '3']
  assert len(warned) == 1 and 'is damaged, and is not used' in warned[0]


def test_second_run_in_a_folder_is_refused_and_names_the_first(tmp_path):
  with (
    lock.locked(tmp_path, {'binary': 'transfer'}),
    pytest.raises(ConfigError, match='out_dir=.*: transfer, process') as caught,
  ):
    _run(tmp_path)
  assert '\n' not in str(caught.value)
  assert os.listdir(tmp_path) == []


def test_full_disk_names_the_folder(tmp_path):
  place = Workplace(tmp_path / 'out', {})
  with (
    pytest.raises(ConfigError, match='out_dir=.*expected a folder with space'),
    place.held(),
  ):
    raise OSError(errno.ENOSPC, 'No space left on device', 'results.csv')
  assert os.listdir(tmp_path) == []


def test_files_that_a_killed_run_was_writing_are_removed(tmp_path):
  (tmp_path / '.results.csv.abcd_123').mkdir()
  with Workplace(tmp_path, {}).held():
    assert os.listdir(tmp_path) == ['.lock']


def test_other_data_under_the_same_flags_are_another_run(tmp_path):
  path = tmp_path / 'table.csv'
  rng = np.random.default_rng(0)
  digests = []
  for shift in (0, 1):
    rows = rng.normal(size=(60, 2)) + shift
    lines = [f'{a:.3f},{b:.3f},{i % 2}' for i, (a, b) in enumerate(rows)]
    path.write_text('\n'.join(['a,b,y', *lines, '']))
    config = engine.Config(dataset=f'csv:{path}', label_column='y')
    study = engine.studies.label_inference.study(config)
    identity = identity_of_study(study)
    json.dumps(identity)
    digests.append(identity['read'])
  assert digests[0] != digests[1]
  named, loaded = (
    engine.studies.label_inference.study(engine.Config(dataset=x))
    for x in ('digits', data.load_digits(seed=0))
  )
  assert identity_of_study(named)['read'] == identity_of_study(loaded)['read']
