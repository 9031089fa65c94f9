"""Tests of the regression binary, on networks that are hardly trained."""

import dataclasses
import os
import pathlib
import subprocess
import sys
from unittest import mock

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import common
from experiments import regression
from experiments import regression_config
from experiments import regressors
from experiments import target_reading
from splitjax import data
from splitjax import losses
from splitjax import training
from splitjax.reports import page
from splitjax.reports import regression_summary
from splitjax.results import report

ROOT = pathlib.Path(__file__).parents[2]
SMALL = regression_config.Config(
  hidden_sizes=(8,),
  epochs=2,
  batch_size=100,
  defense=('rle_like',),
  strengths=(2.0,),
  num_extra=2,
  num_aux=(4,),
  num_aux_draws=2,
  num_seeds=2,
)
RECIPE = regressors.Recipe((8,), 3, optax.sgd(0.01), 3, 100, 2)


def _run(out_dir, config=SMALL):
  config, dataset = regression_config.check(config)
  cells = regression.cells_of(config)
  results = report.Results(out_dir, {}, cells)
  with common.Progress(len(cells)) as progress:
    regression.run(config, dataset, results, progress)
  return results


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp('regression')


@pytest.fixture(scope='module')
def results(folder):
  # The learning-based attack compiles for long; slow tests run it.
  with mock.patch.dict(
    target_reading.ATTACKS, learning_based=target_reading.ridge
  ):
    return _run(folder)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  return _run(tmp_path_factory.mktemp('whole'))


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(dataset='digits'), '--dataset=digits: expected one of diabetes'),
    (dict(optimizer='sgdd'), '--optimizer=sgdd: expected one of sgd, '),
    (dict(learning_rate=0.0), '--learning_rate=0.0: expected a positive'),
    (dict(hidden_sizes=(0,)), '--hidden_sizes=0: expected widths, 1 to 4096'),
    (dict(hidden_sizes=()), '--hidden_sizes=0: expected widths, 1 to 4096'),
    (dict(cut=8), '--cut=8: expected a layer inside the model, 1 to 7'),
    (dict(recorded_epoch=31), '--recorded_epoch=31: .* epochs, 1 to 30'),
    (dict(defense=('rle',)), '--defense=rle: expected one of none, rle_like, '),
    (dict(defense=()), '--defense=: expected one of none, rle_like'),
    (dict(strengths=(-1.0,)), '--strengths=-1.0: expected a positive number'),
    (dict(strengths=()), '--strengths=0.0: expected a positive number'),
    (dict(strengths=(1.0, 1.0)), '--strengths=1.0,1.0: expected each value on'),
    (dict(num_aux=(2,)), '--num_aux=2: expected known samples.*, 3 to 351'),
    (dict(num_aux=()), '--num_aux=0: expected known samples.*, 3 to 351'),
    (dict(num_aux=(5, 5)), '--num_aux=5,5: expected each value once'),
    (dict(batch_size=354), '--batch_size=354: expected .* 1 to 353'),
  )
  def test_bad_flag_is_named_with_what_was_expected(self, change, message):
    with self.assertRaisesRegex(common.FlagError, message) as caught:
      regression_config.check(regression_config.Config(**change))
    assert '\n' not in str(caught.exception)

  def test_what_is_undefended_is_always_there_and_first(self):
    config, _ = regression_config.check(
      regression_config.Config(defense=('mle_like', 'none'), num_aux=(9, 3))
    )
    assert config.defense == ('none', 'mle_like') and config.num_aux == (3, 9)
    assert config.cut == 5


def test_known_samples_are_not_scored(results):
  assert results.complete
  for row in results.rows():
    known = 4 if row['attack'] != 'model' else 0
    expected = {'training': 353 - known, 'inference': 89}[row['phase']]
    assert row['num_scored'] == expected
    assert np.shape(row['values']) == {
      'model': (2, 1),
      'mean': (1, 4),
    }.get(
      row['attack'], (1, 4) if row['intermediate'] == 'raw_inputs' else (2, 2)
    )
    assert np.isfinite(row['values']).all()
  assert {row['measure'] for row in results.rows()} == {
    'r2',
    'mean_absolute_error',
    'spearman',
  }


@pytest.mark.slow  # Runs every attack.
def test_gradients_tell_more_than_nothing(whole):
  cells = report.by_cell(whole.rows(), 'spearman')
  read = {
    cell.attack: row['mean']
    for cell, row in cells.items()
    if cell.intermediate == 'cut_grads' and cell.setting.defense == 'none'
  }
  assert set(read) == {'nearest', 'ridge', 'learning_based'}
  assert min(read.values()) > 0.4, read
  known = report.by_cell(whole.rows(), 'r2')
  assert all(
    row['mean'] < 0 for cell, row in known.items() if cell.attack == 'mean'
  )


@pytest.mark.slow  # Trains and compiles again.
def test_same_seed_same_figures_and_other_seed_others(whole, tmp_path):
  again = _run(tmp_path / 'again')
  for one, other in zip(whole.rows(), again.rows(), strict=True):
    assert one | {'seconds': 0} == other | {'seconds': 0}
  other = _run(
    tmp_path / 'other', dataclasses.replace(SMALL, seed=1, defense=('none',))
  )
  assert other.rows()[0]['values'] != whole.rows()[0]['values']


def test_finished_cells_are_not_measured_again(results, folder):
  with mock.patch.object(regressors, 'observe') as observe:
    again = _run(folder)
  observe.assert_not_called()
  assert again.rows() == results.rows()


def test_summary_is_printed_and_written(results, folder):
  config, dataset = regression_config.check(SMALL)
  facts = regression.facts_of(config, dataset)
  summary = regression_summary.summarise(results.rows(), facts)
  text = page.to_text(summary)
  assert 'rle_like 2: cut gradients, pass 1, 4 known' in text
  regression_summary.draw(summary, folder / 'leakage.png')
  assert (folder / 'leakage.png').read_bytes()[:4] == b'\x89PNG'
  page.write(summary, folder)
  found = (folder / 'report.html').read_text()
  assert 'mean absolute error</h2>' in found and 'not theirs' in found


@pytest.mark.slow  # Compiles for long.
def test_record_is_that_of_the_epoch_asked_for():
  dataset = data.load_diabetes(seed=0)
  [[found]] = regressors.observe(
    jax.random.key(0), dataset, RECIPE, num_seeds=1, strengths=[0.0]
  )
  model, key = (
    regressors.make_model(RECIPE),
    jax.random.split(jax.random.key(0), 1)[0],
  )
  inputs, targets = map(
    jnp.asarray, (dataset.train_inputs, dataset.train_targets)
  )
  optimizers = [optax.sgd(0.01)] * 2
  state = training.init(
    training.init_key(key), inputs, model=model, optimizers=optimizers
  )
  for epoch in range(3):
    state, log = training.train_epoch(
      training.epoch_key(key, epoch),
      state,
      inputs,
      targets,
      batch_size=100,
      record_fn=lambda exchanges: exchanges[0],
      model=model,
      optimizers=optimizers,
      loss_fn=losses.squared_error,
    )
    if epoch == 1:
      record = found.records['training', 'cut_grads']
      np.testing.assert_array_equal(record.sample_ids, log.positions)
      close = dict(rtol=1e-3, atol=1e-6)
      np.testing.assert_allclose(
        record.vectors, log.recorded.cut_grads, **close
      )
      np.testing.assert_allclose(
        found.records['training', 'sent'].vectors, log.recorded.smashed, **close
      )
  answers = model.apply(
    state.params, state.state, jnp.asarray(dataset.test_inputs)
  )[0]
  np.testing.assert_allclose(
    found.answers['inference'], answers[:, 0], rtol=1e-3, atol=1e-5
  )


def test_view_has_targets_of_known_samples_alone():
  dataset = data.load_diabetes(seed=0)
  [[observed]] = regressors.observe(
    jax.random.key(0), dataset, RECIPE, num_seeds=1, strengths=[0.0]
  )
  record, sent = (
    observed.records['training', x] for x in ('cut_grads', 'sent')
  )
  known = np.array([[5, 100, 352], [7, 0, 9]])
  view = target_reading.make_view(record, record, sent, known, dataset)
  hidden = dataset.train_targets.copy()
  hidden[~np.isin(np.arange(353), known)] = np.nan
  blind = target_reading.make_view(
    record,
    record,
    sent,
    known,
    dataclasses.replace(dataset, train_targets=hidden),
  )
  jax.tree.map(np.testing.assert_array_equal, view, blind)
  np.testing.assert_allclose(
    view.aux_labels, dataset.targets_by_id[known], rtol=1e-6
  )
  # A gradient of the sample's own loss, wherever it stood in the record.
  for draw, index in ((0, 1), (1, 2)):
    row = int(np.flatnonzero(record.sample_ids == known[draw, index])[0])
    size = np.sum(record.steps == record.steps[row])
    expected = record.vectors[row] * size
    np.testing.assert_allclose(
      view.aux_vectors[draw, index], expected, rtol=1e-6
    )
    np.testing.assert_array_equal(
      view.vectors[row], view.aux_vectors[draw, index]
    )
    assert view.own.aux_rows[draw, index] == row


@pytest.mark.slow
def test_diverging_training_is_a_mistake_in_a_flag(tmp_path):
  config = dataclasses.replace(SMALL, learning_rate=1e6, defense=('none',))
  with pytest.raises(
    common.FlagError, match='--learning_rate=1000000.0: expected'
  ):
    _run(tmp_path / 'none', config)
  assert not (tmp_path / 'none').exists()


@pytest.mark.parametrize(
  ('flag', 'message'),
  [
    ('--num_aux=5,x', 'expected whole numbers with commas between'),
    pytest.param(
      '--num_aux=2',
      '--num_aux=2: expected known samples',
      marks=pytest.mark.slow,
    ),
    pytest.param(
      '--save_records',
      '--save_records=True: expected no such flag',
      marks=pytest.mark.slow,
    ),
  ],
)
def test_command_tells_mistakes_in_one_line(flag, message):
  result = subprocess.run(
    [sys.executable, '-m', 'experiments.regression', flag],
    capture_output=True,
    text=True,
    cwd=ROOT,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
  )
  assert result.returncode == 2 and not result.stdout
  assert message in result.stderr and result.stderr.count('\n') == 1


@pytest.mark.slow
def test_help_names_the_flags():
  result = subprocess.run(
    [sys.executable, '-m', 'experiments.regression', '--help'],
    capture_output=True,
    text=True,
    cwd=ROOT,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
  )
  for field in dataclasses.fields(regression_config.Config):
    assert (
      f'--{field.name}' in result.stdout
      or f'--[no]{field.name}' in result.stdout
    )
