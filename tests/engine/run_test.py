"""`engine.run`: from a configuration to rows, a table and files."""

import json
import os
from unittest import mock

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import data
from splitjax import engine
from splitjax import results as tables
from splitjax.engine import measuring
from splitjax.engine import observing
from splitjax.engine import timings
from splitjax.engine.studies import cut_sweep
from splitjax.errors import ConfigError
from splitjax.models import layers
from splitjax.results import Cell
from splitjax.training.protection import Protection

SMALL = dict(
  num_train=200,
  num_test=100,
  epochs=1,
  batch_size=100,
  num_seeds=1,
  num_aux_draws=2,
  attacks=('distance',),
)
FILES = [
  'config.json',
  'leakage.png',
  'leakage.svg',
  'report.html',
  'results.csv',
  'results.jsonl',
]


def _untimed(result):
  return [
    {**row, 'seconds': None}
    for row in result.rows()
    if row['measure'] not in tables.TIMES
  ]


def _values(result, measure='accuracy'):
  return {
    (row['phase'], row['intermediate'], row['attack']): row['values']
    for row in result.rows()
    if row['measure'] == measure
  }


@pytest.fixture(scope='module')
def result():
  """A run in memory."""
  return engine.run(engine.Config(**SMALL))


@pytest.fixture(scope='module')
def kept(tmp_path_factory):
  """The same run, in a folder."""
  folder = tmp_path_factory.mktemp('kept')
  return folder, engine.run(engine.Config(**SMALL), out_dir=folder)


def test_rows_frame_and_summary_tell_the_same(result):
  rows = result.rows()
  assert {tables.cell_of(row) for row in rows} == set(result.study.cells)
  frame = result.to_dataframe()
  assert len(frame) == len(rows)
  assert set(tables.COLUMNS) <= set(frame.columns)
  np.testing.assert_array_equal(frame['mean'], [row['mean'] for row in rows])
  text = result.summary()
  assert 'digits: labels read at the cut of a split model' in text
  assert 'cut gradients, first pass' in text
  cell = Cell(result.study.problem.setting, 'training', 'smashed', 'distance')
  mean = tables.by_cell(rows, 'accuracy')[cell]['mean']
  assert f'{100 * mean:.1f} [' in text


def test_run_is_saved_whole_afterwards(result, tmp_path):
  result.save(tmp_path / 'new')
  assert sorted(os.listdir(tmp_path / 'new')) == FILES
  config = json.loads((tmp_path / 'new' / 'config.json').read_text())
  assert config['binary'] == 'label_inference'
  assert config['flags']['num_train'] == 200
  lines = (tmp_path / 'new' / 'results.jsonl').read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  assert all(row.pop('digest') for row in rows)
  assert rows == result.rows()
  assert (tmp_path / 'new' / 'leakage.png').read_bytes()[:4] == b'\x89PNG'
  assert (tmp_path / 'new' / 'leakage.svg').read_text().startswith('<?xml')
  assert '<h1>digits' in (tmp_path / 'new' / 'report.html').read_text()


def test_folder_or_memory_makes_no_difference(result, kept):
  folder, again = kept
  assert _untimed(again) == _untimed(result)
  assert sorted(os.listdir(folder)) == ['config.json', *FILES[-2:]]


def test_seconds_of_each_phase_are_kept_with_the_figures(kept):
  folder, _ = kept
  about = json.loads((folder / 'config.json').read_text())['run']
  assert about['seconds'].keys() == set(timings.PHASES)
  assert about['out_dir'] == str(folder)
  assert all(about['seconds'][x] > 0 for x in ('trace', 'train', 'attack'))
  assert about['seconds']['report'] == 0  # None was asked for.


def test_finished_folder_is_read_and_nothing_trained(kept):
  folder, first = kept
  with mock.patch.object(observing, 'observe') as observe:
    again = engine.run(engine.Config(**SMALL), out_dir=folder)
  observe.assert_not_called()
  assert again.rows() == first.rows()


def test_run_that_was_saved_afterwards_is_found_again(result, tmp_path):
  result.save(tmp_path)
  with mock.patch.object(observing, 'observe') as observe:
    again = engine.run(engine.Config(**SMALL), out_dir=tmp_path)
  observe.assert_not_called()
  assert again.rows() == result.rows()


@pytest.mark.parametrize(
  ('what', 'difference'),
  [
    (engine.Config(**SMALL, seed=1), 'seed was 0, is 1'),
    (cut_sweep.study(engine.Config(**SMALL)), 'binary was'),
  ],
)
def test_folder_of_another_run_is_refused(kept, what, difference):
  folder, _ = kept
  with pytest.raises(ConfigError, match=f'out_dir=.*{difference}') as caught:
    engine.run(what, out_dir=folder)
  assert caught.value.field == 'out_dir'
  assert '\n' not in str(caught.value)


def test_records_need_a_folder():
  with pytest.raises(ConfigError, match='save_records=True: expected none wit'):
    engine.run(engine.Config(**SMALL), save_records=True)


def test_progress_is_told_of_every_epoch_and_cell():
  told = []

  class Progress(engine.Progress):
    def advance(self, text=None):
      told.append(text)

  result = engine.run(engine.Config(**SMALL), progress=Progress())
  assert len(told) == result.study.num_epochs + len(result.study.cells)
  assert told[0].startswith('epoch 1, loss ')


@pytest.mark.slow
def test_figures_of_an_attack_do_not_depend_on_the_others(result):
  """Neither on which others run, nor on their order."""
  alone = 'clustering_paper:num_restarts=2'
  one, other = (
    _values(engine.run(engine.Config(**{**SMALL, 'attacks': names})))
    for names in ((alone,), ('distance', alone))
  )
  names = [key for key in one if key[2] == alone]
  assert len(names) == 7  # Gradients in training; three others in both phases.
  for name in names:
    assert one[name] == other[name]
  for name, values in _values(result).items():
    assert other[name] == values


@pytest.mark.slow
def test_settings_of_an_attack_are_used_and_named():
  names = ('distance:metric=euclidean', 'clustering:max_iters=1', 'clustering')
  result = engine.run(engine.Config(**{**SMALL, 'attacks': names}))
  values = _values(result)
  assert set(names) < {name for _, _, name in values}
  place = ('inference', 'smashed')
  assert values[*place, names[1]] != values[*place, names[2]]
  assert 'clustering:max_iters=1' in result.summary()


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('clustring', 'attacks=clustring: expected one of strongest, '),
    ('clustering:x=1', 'attacks=clustering:x=1: expected clustering with any'),
    ('clustering:max_iters=a', 'expected a whole number for max_iters'),
  ],
)
def test_attack_that_is_not_there_is_one_line(text, message):
  with pytest.raises(ConfigError, match=message) as caught:
    engine.run(engine.Config(attacks=(text,)))
  assert '\n' not in str(caught.value)


def _zero(key, grads, labels):
  del key, labels
  return jnp.zeros_like(grads)


def _own(shift=0.0, **changes):
  """Two separated classes, layers and a defense, all of them objects."""
  rng = np.random.default_rng(0)
  labels = np.arange(240) % 2
  inputs = rng.normal(size=(240, 6)) + 4 * labels[:, None] + shift
  fields = dict(
    dataset=data.from_arrays(inputs, labels, name='mine', standardize=False),
    model=[nn.Dense(8), nn.tanh, nn.Dense(2)],
    cuts=(2,),
    epochs=2,
    batch_size=48,
    num_seeds=2,
    num_aux_draws=2,
    attacks=('distance', 'norm'),
  )
  return engine.Config(**{**fields, **changes})


@pytest.fixture(scope='module')
def own(tmp_path_factory):
  folder = tmp_path_factory.mktemp('own')
  config = _own(defense=Protection(cut_grads=_zero))
  return folder, engine.run(config, out_dir=folder)


def test_objects_run_and_a_defense_of_ones_own_defends(own):
  _, defended = own
  plain = engine.run(_own())
  mean = lambda found, name: np.mean(
    _values(found, 'auc')['training', 'cut_grads', name]
  )
  assert mean(plain, 'distance') > 0.95
  for name in ('distance', 'norm'):
    assert mean(defended, name) == 0.5
  zeros = _values(defended, 'zero_share')['training', 'cut_grads', 'none']
  assert np.mean(zeros) == 1
  # A client that gets zeros learns nothing.
  values = _values(defended)
  for phase in ('training', 'inference'):
    trained, untrained = (
      values[phase, name, 'distance']
      for name in ('smashed', 'untrained_smashed')
    )
    assert trained == untrained


def test_objects_are_named_in_rows_and_facts(own):
  _, defended = own
  row = defended.rows()[0]
  assert (row['dataset'], row['model'], row['cut']) == ('mine', 'own', '2')
  assert row['defense'] == 'own'
  assert 'Defense: own.' in defended.summary()


def test_folder_of_objects_is_that_of_equal_objects_alone(own):
  folder, defended = own
  config = json.loads((folder / 'config.json').read_text())
  assert config['flags']['dataset']['name'] == 'mine'
  assert 'Dense' in config['flags']['model'][0]
  defense = Protection(cut_grads=_zero)
  with mock.patch.object(observing, 'observe') as observe:
    again = engine.run(_own(defense=defense), out_dir=folder)
  observe.assert_not_called()
  assert again.rows() == defended.rows()
  for other in (
    _own(defense=defense, shift=1.0),
    _own(),
    _own(defense=defense, model=[nn.Dense(9), nn.tanh, nn.Dense(2)]),
  ):
    with pytest.raises(ConfigError, match='out_dir=.*another run'):
      engine.run(other, out_dir=folder)


@pytest.mark.slow
def test_images_of_your_own_through_functions_as_layers():
  rng = np.random.default_rng(0)
  labels = np.arange(120) % 3
  images = rng.uniform(size=(120, 4, 4, 1)) + labels[:, None, None, None]
  config = engine.Config(
    dataset=data.from_arrays(images, labels),
    model=[layers.flatten, nn.Dense(3), jax.nn.log_softmax],
    batch_size=24,
    **{
      name: value
      for name, value in SMALL.items()
      if name in ('epochs', 'num_seeds', 'num_aux_draws')
    },
    attacks=('direct',),
  )
  # The gradients of logits tell every label.
  read = _values(engine.run(config))['training', 'cut_grads', 'direct']
  assert np.mean(read) == 1


@pytest.mark.parametrize('error', [MemoryError('full'), OverflowError('full')])
def test_attack_that_does_not_fit_is_named(monkeypatch, error):
  def fails(*args, **kwargs):
    raise error

  monkeypatch.setattr(measuring, 'predict', fails)
  with pytest.raises(ConfigError, match='attacks=distance: expected an attack'):
    engine.run(engine.Config(**SMALL))
