"""Tests of the sweep over defenses, on networks that are hardly trained."""

from unittest import mock

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import common
from experiments import defense_sweep
from experiments import label_inference
from experiments import options
from splitjax.engine import pipeline
from splitjax.engine import problems
from splitjax.engine import programs
from splitjax.engine import summary
from splitjax.reports import frontiers
from splitjax.reports import page
from splitjax.results import report

SMALL = dict(
  # Whole batches, of the pair too: no program for an incomplete one.
  num_train=1000,
  epochs=3,
  num_seeds=2,
  num_aux_draws=2,
  batch_size=100,
  attacks=('distance',),
)


LABEL_DP = 'label_dp+compression:ratio=0.5'


def _run(families, out_dir):
  cells = defense_sweep.cells_of(families)
  results = report.Results(out_dir, {}, cells)
  with common.Progress(1) as progress:
    defense_sweep.run(families, results, progress)
  assert results.complete
  return results


def _values(results, measure='accuracy'):
  found = report.by_cell(results.rows(), measure)
  return {cell: row['values'] for cell, row in found.items()}


@pytest.fixture(scope='module')
def swept(tmp_path_factory):
  config = defense_sweep.Config(
    defenses=(
      'label_dp:epsilon=1|8+compression:ratio=0.5',
      'marvell:power=1|4',
    ),
    pair=('3', '8'),
    averaged_passes=(3,),
    **SMALL,
  )
  families = defense_sweep.check(config)
  folder = tmp_path_factory.mktemp('swept')
  return families, _run(families, folder)


def _setting(families, defense, strength):
  (found,) = [
    setting
    for family in families
    for setting in family.settings
    if (setting.defense, setting.strength) == (defense, strength)
  ]
  return found


def test_defenses_of_two_classes_are_tried_on_the_pair(swept):
  families, _ = swept
  names = [
    (family.problem.dataset.name, family.problem.plan.name)
    for family in families
  ]
  assert names == [
    ('digits', 'none'),
    ('digits', LABEL_DP),
    ('digits[3,8]', 'none'),
    ('digits[3,8]', 'marvell'),
  ]
  assert families[-1].problem.config.attacks == (
    'distance',
    'norm',
    'direction',
  )


def test_vmapped_strength_is_that_of_a_run_of_its_own(swept, run_job, tmp_path):
  families, results = swept
  flag = 'label_dp:epsilon=8+compression:ratio=0.5'
  problem = problems.check(problems.Config(defense=flag, **SMALL))
  alone = run_job(label_inference.job_of(problem), tmp_path)
  setting = _setting(families, LABEL_DP, 8.0)
  assert problem.setting == setting
  for place in (('training', 'cut_grads'), ('inference', 'smashed')):
    cell = report.Cell(setting, *place, 'distance')
    # Rounding may move a sample or two of 360 across a border.
    np.testing.assert_allclose(
      _values(alone)[cell], _values(results)[cell], atol=9e-3
    )


def test_labels_are_not_read_beyond_what_the_mechanism_keeps(swept):
  families, results = swept
  setting = _setting(families, LABEL_DP, 1.0)
  kept = _values(results, 'keep_probability')[
    report.Cell(setting, 'training', 'none', 'guarantee')
  ]
  np.testing.assert_allclose(kept, np.e / (np.e + 9), rtol=1e-5)
  read = _values(results)[
    report.Cell(setting, 'training', 'cut_grads', 'distance')
  ]
  assert np.mean(read) < np.mean(kept) + 0.03


def test_promises_and_averages_are_measured(swept):
  families, results = swept
  setting = _setting(families, 'marvell', 4.0)
  bound = _values(results, 'auc_bound')[
    report.Cell(setting, 'training', 'none', 'guarantee')
  ]
  assert np.shape(bound) == (2, 1)
  assert 0.5 < np.mean(bound) < 0.8
  one, three = (
    _values(results, 'auc_either_way')[
      report.Cell(
        setting._replace(num_passes=passes), 'training', 'cut_grads', 'distance'
      )
    ]
    for passes in (1, 3)
  )
  assert np.mean(one) < np.mean(three)
  stored = _setting(families, LABEL_DP, 1.0)._replace(num_passes=3)
  assert stored not in {cell.setting for cell in _values(results)}


def test_table_and_plot_show_every_strength(swept, tmp_path):
  families, results = swept
  shown = frontiers.summarise(families, results.rows())
  text = page.to_text(shown)
  for words in (
    'cut gradients, first pass; digits (model',
    f'smashed data; digits {LABEL_DP} epsilon=8 (99.7% of labels kept, model',
    'cut gradients, mean of 3 passes; digits[3,8] marvell power=4 (AUC at most',
    'no leak: raw inputs; digits[3,8] (model',
  ):
    assert words in text
  frontiers.plot(families, shown, tmp_path / 'leakage.png')
  assert (tmp_path / 'leakage.png').read_bytes().startswith(b'\x89PNG')


def test_finished_families_are_not_trained_again(swept):
  families, results = swept
  again = report.Results(results.path, {}, defense_sweep.cells_of(families))
  with (
    mock.patch.object(pipeline, 'observe', side_effect=AssertionError),
    common.Progress(1) as progress,
  ):
    defense_sweep.run(families, again, progress)


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(defenses=()), '--defenses=: expected one or more, each once'),
    (dict(defenses=('max_norm',) * 2), 'max_norm,max_norm: expected one or mo'),
    (dict(defenses=('x',)), '--defenses=x: expected one of dp_sgd'),
    (dict(defense='max_norm'), '--defense=max_norm: expected no such flag'),
    (dict(cuts=(3, 7)), '--cuts=3,7: expected one cut'),
    (dict(averaged_passes=(4,)), '--averaged_passes=4: expected .* 2 to 3'),
    (
      dict(defenses=('marvell',), pair=('1',)),
      '--pair=1: expected two classes',
    ),
    (dict(pair=('1', '2')), '--pair=1,2: expected data of more classes, and'),
  )
  def test_bad_value_is_named(self, change, message):
    config = dict(SMALL, defenses=('max_norm',))
    with self.assertRaisesRegex(common.FlagError, message):
      defense_sweep.check(defense_sweep.Config(**{**config, **change}))

  def test_strength_that_defends_nothing_is_left_out(self):
    families = defense_sweep.check(
      defense_sweep.Config(defenses=('compression:ratio=0|0.5',), **SMALL)
    )
    assert [x.strength for x in families[1].settings] == [0.5]

  def test_pair_has_its_share_of_the_samples(self):
    families = defense_sweep.check(
      defense_sweep.Config(
        defenses=('max_norm', 'marvell'), num_test=350, **SMALL
      )
    )
    dataset = families[-1].problem.dataset
    assert len(dataset.train_labels) == 200
    assert len(dataset.test_labels) == 70

  def test_two_stages_count_twice(self):
    families = defense_sweep.check(
      defense_sweep.Config(defenses=('lp_2st:epsilon=1',), **SMALL)
    )
    assert families[1].problem.num_epochs == 6


def test_second_stage_draws_the_labels_of_its_half_from_the_truth():
  problem = problems.check(
    problems.Config(defense='lp_2st:epsilon=50', **SMALL)
  )
  dataset = problem.dataset
  truth = jnp.asarray(dataset.train_labels)
  inputs = jnp.asarray(dataset.train_inputs)
  compiled = programs.Programs(problem.model, problem.recipe(), None, 9)
  runs = (
    jax.random.split(jax.random.key(0), 2),
    programs.Point(jnp.full(2, 0.1), ({'epsilon': jnp.array([50.0, 0.1])},)),
  )
  states = compiled.init(runs, inputs[:1])
  drawn_before = jnp.tile((truth + 1) % 10, (2, 1))
  rows = jnp.arange(1, len(truth), 2)
  labels = compiled.relabel(
    (*runs, states, drawn_before), inputs[rows], truth, rows
  )
  first = np.setdiff1d(np.arange(len(truth)), rows)
  np.testing.assert_array_equal(labels[:, first], drawn_before[:, first])
  # At epsilon 50 a label is kept wherever the model gives it any mass at all,
  # and at 0.1 hardly more often than chance.
  assert np.mean(labels[0, rows] == truth[rows]) > 0.95
  assert np.mean(labels[1, rows] == truth[rows]) < 0.3


def test_flags_become_the_configuration():
  flags = dict(defenses=['max_norm'], pair=['3', '8'], averaged_passes=['5'])
  fake = mock.Mock(**flags)
  with (
    mock.patch.object(
      options, 'config_of_flags', return_value=problems.Config()
    ),
    mock.patch.object(
      options,
      'numbers_of_flag',
      side_effect=lambda name, fn: tuple(map(fn, flags[name])),
    ),
    mock.patch.object(defense_sweep.flags, 'FLAGS', fake),
  ):
    config = defense_sweep.config_of_flags()
  assert config.defenses == ('max_norm',)
  assert config.pair == ('3', '8')
  assert config.averaged_passes == (5,)


@pytest.mark.slow
def test_model_that_noise_destroys_is_reported_and_not_an_error(
  run_job, tmp_path
):
  problem = problems.check(
    problems.Config(defense='dp_message:epsilon=0.001:clip_norm=1e6', **SMALL)
  )
  results = run_job(label_inference.job_of(problem), tmp_path)
  cell = report.Cell(problem.setting, 'training', 'none', 'model')
  assert _values(results, 'diverged')[cell] == [[1.0], [1.0]]
  shown = summary.summarise(problem, results.rows())
  assert any('made diverge' in fact for fact in shown.facts)
  cell = report.Cell(problem.setting, 'inference', 'smashed', 'none')
  assert np.mean(_values(results, 'zero_share')[cell]) == 1
