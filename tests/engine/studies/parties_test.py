import dataclasses
import functools
import itertools

import jax
import numpy as np
import pytest

from splitjax import engine
from splitjax.engine import coalitions
from splitjax.engine import observing
from splitjax.engine import recipes
from splitjax.engine import sources
from splitjax.engine.progress import SILENT
from splitjax.engine.studies import parties
from splitjax.engine.studies.parties import Config
from splitjax.engine.study import point_of
from splitjax.errors import ConfigError
from splitjax.results import COLUMNS

SMALL = {
  'num_train': 200,
  'num_test': 60,
  'epochs': 2,
  'num_seeds': 1,
  'num_aux_draws': 2,
  'attacks': ('distance',),
  'hidden_sizes': (16,),
}


@functools.cache
def _result(**fields):
  return engine.run(parties.study(Config(**SMALL | fields)))


def _rows(**fields):
  return _result(**fields).rows()


def _accuracy(rows, party, phase, intermediate, attack='distance'):
  (found,) = [
    row
    for row in rows
    if (row['party'], row['phase'], row['intermediate'], row['attack'])
    == (party, phase, intermediate, attack)
    and row['measure'] == 'accuracy'
  ]
  return found['values']


@pytest.mark.slow
def test_one_party_is_label_inference_number_for_number():
  base = dict(SMALL, intermediates=('cut_grads', 'smashed'))
  two_party = engine.run(engine.Config(**base)).rows()
  one = _rows(parties=1, intermediates=('cut_grads', 'smashed'))
  by = lambda rows: {
    tuple(row[x] for x in ('phase', 'intermediate', 'attack', 'measure')): row[
      'values'
    ]
    for row in rows
    if 'second' not in row['measure']
  }
  assert by(one) == by(two_party)


@pytest.mark.slow
def test_both_halves_of_digits_are_read_from_gradients():
  rows = _rows()
  assert 'party' in COLUMNS
  assert {row['party'] for row in rows} == {'any', '0', '1', '0+1'}
  for party in ('0', '1', '0+1'):
    read = np.mean(_accuracy(rows, party, 'training', 'cut_grads'))
    own = np.mean(_accuracy(rows, party, 'training', 'raw_inputs'))
    assert read > 0.95 > own + 0.1


def test_baselines_are_of_the_features_that_the_attackers_hold():
  rows = _rows()
  each = [
    np.mean(_accuracy(rows, x, 'training', 'raw_inputs'))
    for x in ('0', '1', '0+1')
  ]
  assert max(each[:2]) < each[2]
  problem = parties.study(Config(**SMALL)).problem
  pixels = problem.dataset.train_inputs.reshape(200, 8, 8)
  held = coalitions.dataset_of(problem.dataset, problem.model, (1,))
  np.testing.assert_array_equal(
    held.train_inputs.reshape(200, 8, 4), pixels[:, :, 4:]
  )


def test_a_view_joins_what_its_members_receive():
  config = Config(parties=3, attackers=('0+2', '1'), **SMALL)
  study = parties.study(config)
  assert [x.setting.party for x in study.trainings[0].readings] == [
    'any',
    '0+2',
    '1',
  ]
  record = lambda value: sources.Record(
    'cut_grads', np.full((2, 3), value), np.arange(2), np.zeros(2, int), {}
  )
  source = sources.Source(
    [], [], study.problem.plan, study.problem.model, parties=(0, 2)
  )
  joined = source.of_view([record(x) for x in (0.0, 1.0, 2.0)])
  assert joined.vectors.tolist() == [[0.0] * 3 + [2.0] * 3] * 2


def test_of_several_passes_only_gradients_are_read():
  study = parties.study(Config(averaged_passes=(2,), **SMALL))
  assert list(study.trainings[0].recorded_epochs) == [1, 2]
  late = [x for x in study.cells if x.setting.num_passes == 2]
  assert {x.setting.party for x in late} == {'0', '1', '0+1'}
  assert {x.intermediate for x in late} == {'cut_grads'}


@pytest.mark.slow
def test_every_kind_of_attack_and_defense_runs():
  rows = _rows(
    active_features=0.25,
    attacks=('strongest', 'model_completion', 'online'),
    intermediates=('cut_grads',),
    defense='max_norm+label_dp:epsilon=2',
    attackers=('0', '0+1'),
    drop_out=0.1,
    fill='mean',
    averaged_passes=(2,),
  )
  attacks = {row['attack'] for row in rows if row['party'] == '0+1'}
  assert {'strongest', 'model_completion'} <= attacks
  assert 'online' not in attacks  # Its clusters are of one party.
  assert 'guarantee' not in {row['attack'] for row in rows}
  counts = {(row['num_passes'], row['party']) for row in rows}
  assert counts == {(1, 'any'), *itertools.product((1, 2), ('0', '0+1'))}


@pytest.mark.slow
def test_an_absent_party_costs_the_model_accuracy():
  fields = {'epochs': 20, 'intermediates': ('cut_grads',)}
  both = _accuracy(_rows(**fields), 'any', 'inference', 'none', 'model')
  rows = _rows(**fields, absent=(1,))
  assert np.mean(_accuracy(rows, 'any', 'inference', 'none', 'model')) < (
    np.mean(both) - 0.05
  )
  assert _accuracy(rows, '0', 'training', 'cut_grads') == _accuracy(
    _rows(**fields), '0', 'training', 'cut_grads'
  )


def _after_a_step(defense):
  """What each party receives, and its part after a step of all samples."""
  config = Config(
    **SMALL | {'epochs': 1},
    batch_size=200,
    party_models=('mlp:1', 'mlp:16'),
    defense=defense,
  )
  problem = parties.study(config).problem
  recipe = dataclasses.replace(
    recipes.recipe_of(problem), read=frozenset({'client', 'cut_grads'})
  )
  [[run]] = observing.observe(
    problem, recipe, [point_of(problem)], jax.random.key(0), SILENT
  )
  return [x.vectors for x in run.cut_grads[1]], run.clients[0]


def test_noise_by_party_reaches_the_one_that_reads_more_and_no_other():
  """A gradient of one number tells less than one of sixteen."""
  grads, parts = _after_a_step('none')
  noised, others = _after_a_step('ans_like')
  np.testing.assert_array_equal(noised[0], grads[0])
  jax.tree.map(np.testing.assert_array_equal, others[0], parts[0])
  # Scales are 1 / 0.05 of a gradient's length, or more.
  added = np.linalg.norm(noised[1] - grads[1], axis=1)
  assert np.all(added > 10 * np.linalg.norm(grads[1], axis=1))
  assert not np.allclose(others[1][1]['kernel'], parts[1][1]['kernel'])


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'parties': 65}, '^parties=65: '),
    ({'fusion': 'product'}, '^fusion=product: expected one of concat, sum'),
    ({'fill': 'ones'}, '^fill=ones: '),
    (
      {'attackers': ('0+2',)},
      r'^attackers=0\+2: .*different parties of 0 to 1',
    ),
    ({'attackers': ('0+0',)}, r'^attackers=0\+0: '),
    ({'attackers': ()}, '^attackers=: '),
    ({'absent': (2,)}, '^absent=2: '),
    ({'absent': (1, 1)}, '^absent=1,1: expected each value once'),
    ({'drop_out': 1.0}, '^drop_out=1.0: '),
    ({'active_features': 0.9}, '^active_features=0.9: '),
    (
      {'malicious_client': True},
      '^malicious_client=True: expected none with several parties$',
    ),
    ({'averaged_passes': (3,)}, '^averaged_passes=3: expected passes of .* 2$'),
    ({'averaged_passes': (2, 2)}, '^averaged_passes=2,2: expected each value'),
    (
      {'averaged_passes': (2,), 'intermediates': ('smashed',)},
      '^averaged_passes=2: expected cut_grads in intermediates',
    ),
    ({'party_models': ('mlp',)}, '^party_models=mlp: expected 2 models'),
    ({'cuts': (3, 5)}, '^cuts=3,5: expected one cut'),
    ({'party_columns': 'a;b'}, '^party_columns='),
    (
      {'active_features': 0.25, 'defense': 'dp_sgd'},
      '^defense=dp_sgd.*: expected no such defense with --active_features',
    ),
    (
      {
        'model': 'conv_net',
        'cuts': (2,),
        'feature_split': 'strips:1:3',
        'fusion': 'sum',
        'hidden_sizes': (),
      },
      '^fusion=sum: expected concat: only equal shapes',
    ),
  ],
)
def test_what_does_not_fit_is_refused(fields, message):
  with pytest.raises(ConfigError, match=message):
    parties.study(Config(**SMALL | fields))


def test_a_promise_of_one_exchange_is_none_of_several():
  for fields, kept in (
    ({'defense': 'dp_message'}, False),
    ({'defense': 'dp_message', 'parties': 1, 'attackers': ('0',)}, True),
    ({'defense': 'label_dp'}, True),
  ):
    study = parties.study(Config(**SMALL | fields))
    assert ('guarantee' in {x.attack for x in study.cells}) == kept
    told = [x for x in study.notes if 'promises nothing here' in x]
    assert len(told) == (not kept)


def test_columns_of_a_table_are_named_once_and_are_there():
  config = Config(dataset='breast_cancer')
  names = parties.study(config).problem.dataset.column_names
  for text in (f'{names[0]},{names[1]};{names[0]}', 'nothing;else'):
    config = Config(dataset='breast_cancer', party_columns=text)
    with pytest.raises(ConfigError, match='^party_columns='):
      parties.study(config)


def test_the_answer_comes_first():
  summary = _result().to_summary()
  first = summary.facts[0]
  assert first.startswith('Of cut gradients, first pass (training), distance')
  assert 'own raw inputs' in first
  assert '0+1: ' in first
  assert 'points of leakage' in summary.verdict
