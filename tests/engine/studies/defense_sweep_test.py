"""Defenses by strength, on networks that are hardly trained."""

from unittest import mock

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import engine
from splitjax.engine import observing
from splitjax.engine import problems
from splitjax.engine import programs
from splitjax.engine import recipes
from splitjax.engine.studies import defense_sweep
from splitjax.engine.studies import label_inference
from splitjax.errors import ConfigError
from splitjax.reports import page
from splitjax.results import Cell
from splitjax.results import by_cell

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


def _values(results, measure='accuracy'):
  found = by_cell(results.rows(), measure)
  return {cell: row['values'] for cell, row in found.items()}


@pytest.fixture(scope='module')
def swept(run_study, tmp_path_factory):
  config = defense_sweep.Config(
    defenses=(
      'label_dp:epsilon=1|8+compression:ratio=0.5',
      'marvell:power=1|4',
    ),
    pair=('3', '8'),
    averaged_passes=(3,),
    **SMALL,
  )
  study = defense_sweep.study(config)
  return study, run_study(study, tmp_path_factory.mktemp('swept'))


def _setting(study, defense, strength):
  (found,) = [
    setting
    for training in study.trainings
    for setting in training.settings
    if setting[3:5] == (defense, strength) and setting.num_passes == 1
  ]
  return found


def test_defenses_of_two_classes_are_tried_on_the_pair(swept):
  study, _ = swept
  problems_of = [training.problem for training in study.trainings]
  names = [(one.dataset.name, one.plan.name) for one in problems_of]
  assert names == [
    ('digits', 'none'),
    ('digits', LABEL_DP),
    ('digits[3,8]', 'none'),
    ('digits[3,8]', 'marvell'),
  ]
  assert study.trainings[-1].problem.config.attacks == (
    'distance',
    'norm',
    'direction',
  )


def test_vmapped_strength_is_that_of_a_run_of_its_own(swept, run_study):
  study, results = swept
  flag = 'label_dp:epsilon=8+compression:ratio=0.5'
  one = label_inference.study(engine.Config(defense=flag, **SMALL))
  alone = run_study(one)
  setting = _setting(study, LABEL_DP, 8.0)
  assert one.problem.setting == setting
  for place in (('training', 'cut_grads'), ('inference', 'smashed')):
    cell = Cell(setting, *place, 'distance')
    # Rounding may move a sample or two of 360 across a border.
    np.testing.assert_allclose(
      _values(alone)[cell], _values(results)[cell], atol=9e-3
    )


def test_labels_are_not_read_beyond_what_the_mechanism_keeps(swept):
  study, results = swept
  setting = _setting(study, LABEL_DP, 1.0)
  kept = _values(results, 'keep_probability')[
    Cell(setting, 'training', 'none', 'guarantee')
  ]
  np.testing.assert_allclose(kept, np.e / (np.e + 9), rtol=1e-5)
  read = _values(results)[Cell(setting, 'training', 'cut_grads', 'distance')]
  assert np.mean(read) < np.mean(kept) + 0.03


def test_promises_and_averages_are_measured(swept):
  study, results = swept
  setting = _setting(study, 'marvell', 4.0)
  bound, of_batch = (
    _values(results, name)[Cell(setting, 'training', 'none', 'guarantee')]
    for name in ('auc_bound', 'batch_auc_bound')
  )
  assert np.shape(bound) == (2, 1)
  assert 0.5 < np.mean(of_batch) < 0.8
  assert np.mean(of_batch) < np.mean(bound) < 0.9
  one, three = (
    _values(results, 'auc_either_way')[
      Cell(
        setting._replace(num_passes=passes), 'training', 'cut_grads', 'distance'
      )
    ]
    for passes in (1, 3)
  )
  assert np.mean(one) < np.mean(three)
  # Of stored labels nothing is drawn anew, but other entries are left out.
  compressed = _setting(study, LABEL_DP, 1.0)._replace(num_passes=3)
  assert compressed in {cell.setting for cell in _values(results)}


def test_table_and_plot_show_every_strength(swept, tmp_path):
  study, results = swept
  shown = study.summarise_fn(study, results.rows())
  text = page.to_text(shown)
  for words in (
    'cut gradients, first pass; digits (model',
    f'smashed data; digits {LABEL_DP} epsilon=8 (label epsilon 8, '
    '99.7% of labels kept, model',
    'cut gradients, 3 passes; digits[3,8] marvell power=4 (AUC of one pass '
    'at most',
    'no leak: raw inputs; digits[3,8] (model',
  ):
    assert words in text
  study.draw_fn(study, shown, tmp_path / 'leakage.png')
  assert (tmp_path / 'leakage.png').read_bytes().startswith(b'\x89PNG')


def test_finished_trainings_are_not_trained_again(swept, run_study):
  study, results = swept
  with mock.patch.object(observing, 'observe') as observe:
    again = run_study(study, results.path)
  observe.assert_not_called()
  assert again.rows() == results.rows()


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(defenses=()), 'defenses=: expected one or more, each once'),
    (dict(defenses=('max_norm',) * 2), 'max_norm,max_norm: expected one or mo'),
    (dict(defenses=('x',)), 'defenses=x: expected one of dp_sgd'),
    (dict(defense='max_norm'), 'defense=max_norm: expected no such flag'),
    (dict(cuts=(3, 7)), 'cuts=3,7: expected one cut'),
    (dict(averaged_passes=(4,)), 'averaged_passes=4: expected .* 2 to 3'),
    (
      dict(defenses=('marvell',), pair=('1',)),
      'pair=1: expected two classes',
    ),
    (dict(pair=('1', '2')), 'pair=1,2: expected data of more classes, and'),
  )
  def test_bad_value_is_named(self, change, message):
    config = dict(SMALL, defenses=('max_norm',))
    with self.assertRaisesRegex(ConfigError, message):
      defense_sweep.study(defense_sweep.Config(**{**config, **change}))

  def test_strength_that_defends_nothing_is_left_out_and_noted(self):
    study = defense_sweep.study(
      defense_sweep.Config(defenses=('compression:ratio=0|0.5',), **SMALL)
    )
    _, defended = study.trainings
    assert [x.setting.strength for x in defended.readings] == [0.5]
    (note,) = study.notes
    assert note.startswith('compression at 0 defends nothing: left out')

  def test_pair_has_its_share_of_the_samples(self):
    study = defense_sweep.study(
      defense_sweep.Config(
        defenses=('max_norm', 'marvell'), num_test=350, **SMALL
      )
    )
    dataset = study.trainings[-1].problem.dataset
    assert len(dataset.train_labels) == 200
    assert len(dataset.test_labels) == 70

  def test_two_stages_count_twice(self):
    study = defense_sweep.study(
      defense_sweep.Config(defenses=('lp_2st:epsilon=1',), **SMALL)
    )
    assert study.trainings[1].problem.num_epochs == 6
    assert study.num_epochs == 3 + 6

  def test_only_what_draws_anew_is_averaged(self):
    study = defense_sweep.study(
      defense_sweep.Config(
        defenses=('label_dp', 'max_norm'), averaged_passes=(2,), **SMALL
      )
    )
    passes = [
      {reading.num_passes for reading in training.readings}
      for training in study.trainings
    ]
    assert passes == [{1, 2}, {1}, {1, 2}]
    assert study.trainings[2].recorded_epochs == range(1, 3)


def test_second_stage_draws_the_labels_of_its_half_from_the_truth():
  problem = problems.check(engine.Config(defense='lp_2st:epsilon=50', **SMALL))
  dataset = problem.dataset
  truth = jnp.asarray(dataset.train_labels)
  inputs = jnp.asarray(dataset.train_inputs)
  recipe = recipes.recipe_of(problem)
  compiled = programs.Programs(problem.model, recipe, None, 9)
  runs = (
    jax.random.split(jax.random.key(0), 2),
    programs.Hyperparameters(
      jnp.full(2, 0.1), ({'epsilon': jnp.array([50.0, 0.1])},)
    ),
  )
  states = compiled.init(runs, inputs[:1])
  drawn_before = jnp.tile((truth + 1) % 10, (2, 1))
  rows = jnp.arange(1, len(truth), 2)
  labels = compiled.relabel(
    (*runs, states, drawn_before, jnp.tile(truth, (2, 1))), inputs[rows], rows
  )
  first = np.setdiff1d(np.arange(len(truth)), rows)
  np.testing.assert_array_equal(labels[:, first], drawn_before[:, first])
  # At epsilon 50 a label is kept wherever the model gives it any mass at all,
  # and at 0.1 hardly more often than chance.
  assert np.mean(labels[0, rows] == truth[rows]) > 0.95
  assert np.mean(labels[1, rows] == truth[rows]) < 0.3


@pytest.mark.slow
def test_model_that_noise_destroys_is_reported_and_not_an_error(run_study):
  study = label_inference.study(
    engine.Config(defense='dp_message:epsilon=0.001:clip_norm=1e6', **SMALL)
  )
  results = run_study(study)
  setting = study.problem.setting
  cell = Cell(setting, 'training', 'none', 'model')
  assert _values(results, 'diverged')[cell] == [[1.0], [1.0]]
  shown = study.summarise_fn(study, results.rows())
  assert any('made diverge' in fact for fact in shown.facts)
  cell = Cell(setting, 'inference', 'smashed', 'none')
  assert np.mean(_values(results, 'zero_share')[cell]) == 1


@pytest.fixture(scope='module')
def with_canaries(run_study, tmp_path_factory):
  small = SMALL | dict(num_train=300, epochs=1, num_aux_draws=1)
  config = defense_sweep.Config(
    defenses=('label_dp:epsilon=0.5',), canaries=200, **small
  )
  study = defense_sweep.study(config)
  return study, run_study(study, tmp_path_factory.mktemp('canaries'))


def test_canaries_show_an_epsilon_beside_what_is_promised(with_canaries):
  study, results = with_canaries
  lower, limit = (
    {x.setting.defense: y[0][0] for x, y in _values(results, m).items()}
    for m in ('epsilon_lower', 'epsilon_limit')
  )
  assert 4 < lower['none'] <= limit['none']
  assert lower['label_dp'] <= 0.5 < limit['label_dp']
  [advantage] = [
    y
    for x, y in _values(results, 'canary_advantage').items()
    if x[1:] == ('training', 'cut_grads', 'distance')
    and x.setting.defense == 'none'
  ]
  assert np.mean(advantage) > 0.4
  lines = study.summarise_fn(study, results.rows()).lines
  assert any('label epsilon 0.5, measured: at least' in x[-1] for x in lines)


def test_canaries_are_not_scored(with_canaries):
  study, results = with_canaries
  counted = {
    cell.attack: row['num_scored']
    for cell, row in by_cell(results.rows(), 'accuracy').items()
    if cell.phase == 'training' and cell.setting.defense == 'none'
  }
  assert counted['model'] == 100
  # Ten are known.
  assert counted['distance'] == counted['chance'] == 90


def test_as_many_canaries_as_the_data_do_not_have_are_refused():
  config = defense_sweep.Config(canaries=281, **(SMALL | dict(num_train=300)))
  with pytest.raises(ConfigError, match='canaries=281'):
    defense_sweep.study(config)
