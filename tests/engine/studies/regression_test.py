"""Real targets, on networks that are hardly trained."""

import dataclasses
from unittest import mock

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from splitjax import engine
from splitjax import losses
from splitjax import training
from splitjax.engine import observing
from splitjax.engine import problems
from splitjax.engine import recipes
from splitjax.engine import targets
from splitjax.engine.progress import SILENT
from splitjax.engine.sources import Source
from splitjax.engine.studies import regression
from splitjax.engine.study import point_of
from splitjax.errors import ConfigError
from splitjax.records import viewing
from splitjax.reports import page
from splitjax.results import by_cell

SMALL = regression.Config(
  dataset='diabetes',
  hidden_sizes=(8,),
  epochs=2,
  learning_rate=0.01,
  batch_size=100,
  num_aux=4,
  vary_num_aux=(4, 8),
  defenses=('rle_like:scale=2:num_extra=2',),
  num_aux_draws=2,
  num_seeds=2,
  # The learning-based attack compiles for long; slow tests run it.
  attacks=('nearest', 'ridge'),
)
# A training of three passes, of which the second is recorded.
RECORDED = engine.Config(
  dataset='diabetes',
  hidden_sizes=(8,),
  epochs=3,
  recorded_epoch=2,
  learning_rate=0.01,
  batch_size=100,
  num_aux_draws=2,
  num_seeds=1,
)


@pytest.fixture(scope='module')
def measured(run_study, tmp_path_factory):
  study = regression.study(SMALL)
  return study, run_study(study, tmp_path_factory.mktemp('regression'))


@pytest.fixture(scope='module')
def whole(run_study):
  config = dataclasses.replace(SMALL, attacks=('default',), vary_num_aux=())
  return run_study(regression.study(config))


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (
      dict(dataset='digits', defenses=()),
      'target=real: expected none or other data: the labels of digits are',
    ),
    (dict(target='class'), 'target=class: expected real, or none'),
    (dict(optimizer='sgdd'), 'optimizer=sgdd: expected one of sgd, '),
    (dict(learning_rate=0.0), 'learning_rate=0.0: expected a positive'),
    (dict(hidden_sizes=(0,)), 'hidden_sizes=0: expected widths, 1 to 4096'),
    (dict(cuts=(8,)), 'cuts=8: expected a layer inside mlp, 1 to 5'),
    (dict(cuts=(1, 2)), 'cuts=1,2: expected one cut'),
    (dict(recorded_epoch=3), 'recorded_epoch=3: expected an epoch, 1 to 2'),
    (dict(defense='rle_like'), 'defense=rle_like: expected none: see --defens'),
    (dict(defenses=('rle',)), 'defenses=rle: expected one of dp_sgd, '),
    (
      dict(defenses=('max_norm',) * 2),
      'defenses=max_norm,max_norm: expected e',
    ),
    (
      dict(defenses=('label_dp',)),
      '=label_dp.*: expected a defense that is de',
    ),
    (
      dict(defenses=('rle_like:scale=-1',)),
      'defenses=rle_like:scale=-1: expected scale between 1e-06 and inf',
    ),
    (
      dict(defenses=('rle_like:scale=1|1.0',)),
      'defenses=rle_like:scale=1|1.0: expected each strength once',
    ),
    (dict(num_aux=2), 'num_aux=2: expected known samples.*, 3 to 351'),
    (dict(vary_num_aux=(2,)), 'vary_num_aux=2: expected known.*, 3 to 351'),
    (dict(vary_num_aux=(5, 5)), 'vary_num_aux=5,5: expected each value once'),
    (dict(batch_size=354), 'batch_size=354: expected .* 1 to 353'),
  )
  def test_bad_field_is_named_with_what_was_expected(self, change, message):
    with self.assertRaisesRegex(ConfigError, message) as caught:
      regression.study(dataclasses.replace(SMALL, **change))
    assert '\n' not in str(caught.exception)

  def test_what_is_undefended_is_always_there_and_first(self):
    study = regression.study(
      dataclasses.replace(
        SMALL, defenses=('mle_like:scale=2|1',), vary_num_aux=(9, 3)
      )
    )
    settings = [x.setting for one in study.trainings for x in one.readings]
    assert [(x.defense, x.strength, x.num_aux) for x in settings] == [
      (name, strength, num_aux)
      for name, strength in (('none', 0), ('mle_like', 1), ('mle_like', 2))
      for num_aux in (3, 4, 9)
    ]


def test_known_samples_are_not_scored(measured):
  _, results = measured
  for row in results.rows():
    known = 0 if row['attack'] in ('model', 'none') else row['num_aux']
    expected = {'training': 353 - known, 'inference': 89}[row['phase']]
    assert row['num_scored'] == expected
    one_seed = row['intermediate'] == 'raw_inputs' or row['attack'] == 'mean'
    shape = (1, 4) if one_seed else (2, 2)
    if row['attack'] in ('model', 'none'):
      shape = (1, 1) if row['intermediate'] == 'raw_inputs' else (2, 1)
    elif row['measure'] in ('samples_per_second', 'compile_seconds'):
      shape = (1, 1)
    assert np.shape(row['values']) == shape
    assert np.isfinite(row['values']).all()


def test_rows_are_of_every_attack_and_reference(measured):
  study, results = measured
  rows = results.rows()
  figures = {'r2', 'mean_absolute_error', 'spearman'}
  assert figures < {row['measure'] for row in rows}
  found = {
    (row['defense'], row['num_aux'], row['attack'])
    for row in rows
    if row['measure'] == 'r2'
  }
  defended = study.trainings[1].problem.plan.name
  assert defended == 'rle_like:num_extra=2'
  expected = {
    (name, num_aux, attack)
    for name in ('none', defended)
    for num_aux in (4, 8)
    for attack in ('nearest', 'ridge')
  }
  expected |= {('none', num_aux, 'mean') for num_aux in (4, 8)}
  # However many samples are known, the model is one.
  expected |= {(name, 4, 'model') for name in ('none', defended)}
  assert found == expected
  assert not any(row['attack'] in ('majority', 'chance') for row in rows)


def test_extended_outputs_are_those_of_the_defense(measured):
  study, _ = measured
  plain, defended = (one.problem.model.layers[-1] for one in study.trainings)
  assert (plain.features, defended.features) == (1, 3)


@pytest.mark.slow  # Runs every attack.
def test_gradients_tell_more_than_nothing(whole):
  cells = by_cell(whole.rows(), 'spearman')
  read = {
    cell.attack: row['mean']
    for cell, row in cells.items()
    if cell.intermediate == 'cut_grads' and cell.setting.defense == 'none'
  }
  assert set(read) == {'strongest', 'nearest', 'ridge', 'learning_based'}
  assert min(read.values()) > 0.4, read
  known = by_cell(whole.rows(), 'r2')
  means = [row['mean'] for cell, row in known.items() if cell.attack == 'mean']
  assert means and max(means) < 0


@pytest.mark.slow  # Trains and compiles again.
def test_same_seed_same_figures_and_other_seed_others(
  measured, run_study, untimed
):
  _, results = measured
  assert untimed(run_study(regression.study(SMALL))) == untimed(results)
  other = run_study(
    regression.study(dataclasses.replace(SMALL, seed=1, defenses=()))
  )
  assert other.rows()[0]['values'] != results.rows()[0]['values']


def test_finished_cells_are_not_measured_again(measured, run_study):
  study, results = measured
  with mock.patch.object(observing, 'observe') as observe:
    again = run_study(study, results.path)
  observe.assert_not_called()
  assert again.rows() == results.rows()


def test_summary_plot_and_page_name_what_was_varied(measured, tmp_path):
  study, results = measured
  engine.Result(study, results).save(tmp_path)
  summary = study.summarise_fn(study, results.rows())
  text = page.to_text(summary)
  assert 'rle_like:num_extra=2 2: cut gradients, first pass, 4 known' in text
  assert 'The mean of the known targets: ' in text
  assert (tmp_path / 'leakage.png').read_bytes()[:4] == b'\x89PNG'
  found = (tmp_path / 'report.html').read_text()
  assert 'mean absolute error</h2>' in found
  assert 'R2 is negative where' in found


@pytest.fixture(scope='module')
def observed():
  problem = problems.check(RECORDED)
  recipe = recipes.recipe_of(problem, recorded_epochs=(2,))
  [[found]] = observing.observe(
    problem, recipe, [point_of(problem)], jax.random.key(0), SILENT
  )
  return problem, found


@pytest.mark.slow  # Compiles for long.
def test_record_is_that_of_the_epoch_asked_for(observed):
  """Trains anew, epoch by epoch, with the library alone."""
  problem, found = observed
  dataset, model = problem.dataset, problem.model
  # Runs on real targets are drawn from the training's key itself.
  key = jax.random.split(jax.random.key(0), 1)[0]
  inputs = jnp.asarray(dataset.train_inputs)
  labels = jnp.asarray(dataset.train_labels)
  optimizers = [optax.sgd(0.01)] * 2
  state = training.init(
    training.init_key(key), inputs, model=model, optimizers=optimizers
  )
  for epoch in range(3):
    state, log = training.train_epoch(
      training.epoch_key(key, epoch),
      state,
      inputs,
      labels,
      batch_size=100,
      record_fn=lambda exchanges: exchanges[0],
      model=model,
      optimizers=optimizers,
      loss_fn=losses.squared_error,
    )
    if epoch == 1:
      close = dict(rtol=1e-3, atol=1e-6)
      (grads,), (sent,) = found.cut_grads[2], found.sent[2]
      np.testing.assert_array_equal(
        grads.sample_ids, dataset.train_ids[log.positions]
      )
      np.testing.assert_allclose(grads.vectors, log.recorded.cut_grads, **close)
      np.testing.assert_allclose(sent.vectors, log.recorded.smashed, **close)
  answers = model.apply(
    state.params, state.state, jnp.asarray(dataset.test_inputs)
  )[0]
  np.testing.assert_allclose(
    found.logits['inference'][:, 0], answers[:, 0], rtol=1e-3, atol=1e-5
  )


def _target(problem, found, known, truth):
  """What is attacked of the gradients, with targets that may be hidden."""
  dataset = problem.dataset
  labels = truth[known].astype(np.float32)
  source = Source(
    [found],
    [viewing.Auxiliary(ids=known, labels=labels)],
    problem.plan,
    problem.model,
    epoch=2,
  )
  return targets.make_target(
    dataset, source, 'training', 'cut_grads', granted=problem.granted
  )


def test_view_has_targets_of_known_samples_alone(observed):
  problem, found = observed
  dataset = problem.dataset
  known = np.array([[5, 100, 352], [7, 0, 9]])
  truth = dataset.labels_by_id
  view = _target(problem, found, known, truth).view
  hidden = np.where(np.isin(np.arange(len(truth)), known), truth, np.nan)
  blind = _target(problem, found, known, hidden).view
  jax.tree.map(np.testing.assert_array_equal, view, blind)
  np.testing.assert_allclose(view.aux_labels[0], truth[known], rtol=1e-6)
  # All that is the length of the training set tells no target apart.
  for leaf in jax.tree.leaves(view):
    assert not np.array_equal(np.ravel(leaf), truth[view.sample_ids[0]])


def test_gradients_are_those_of_each_samples_own_loss(observed):
  """Of the mean loss they would be as large as their batch is small."""
  problem, found = observed
  known = np.array([[5, 100, 352], [7, 0, 9]])
  truth = problem.dataset.labels_by_id
  view = _target(problem, found, known, truth).view
  (record,) = found.cut_grads[2]
  sizes = np.bincount(record.steps)
  assert list(sizes) == [100, 100, 100, 53]
  np.testing.assert_allclose(
    view.vectors[0], record.vectors * sizes[record.steps][:, None], rtol=1e-6
  )
  for draw, index in ((0, 1), (1, 2)):
    row = int(np.flatnonzero(record.sample_ids == known[draw, index])[0])
    np.testing.assert_array_equal(
      view.vectors[0, row], view.aux_vectors[0, draw, index]
    )
    assert view.own.aux_rows[0, draw, index] == row


@pytest.mark.slow
def test_diverging_training_is_a_mistake_in_a_field(tmp_path):
  config = dataclasses.replace(SMALL, learning_rate=1e6, defenses=())
  with pytest.raises(ConfigError, match='learning_rate=1000000.0: expected'):
    engine.run(regression.study(config), out_dir=tmp_path / 'none')
  assert not (tmp_path / 'none').exists()
