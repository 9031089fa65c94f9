"""Which candidates the strongest attacker chose, as the results say it."""

import dataclasses
import types

import jax
import numpy as np
import pytest

from splitjax import engine
from splitjax.attacks.groupings import CANDIDATES
from splitjax.engine import measuring
from splitjax.engine.trials import Predictions
from splitjax.results import Cell

CONFIG = engine.Config(
  num_train=200,
  num_test=60,
  hidden_sizes=(32,),
  epochs=2,
  batch_size=32,
  num_seeds=1,
  num_aux_draws=2,
  attacks=('strongest', 'distance'),
)
CHOSE = tuple(f'chose_{name}' for name in CANDIDATES)


def _by_place(result):
  """Values of each measure, by attack, phase, cut and what is read."""
  found = {}
  for row in result.rows():
    place = (row['attack'], row['phase'], row['cut'], row['intermediate'])
    found.setdefault(place, {})[row['measure']] = np.array(row['values'])
  return found


def _chosen(measures):
  return {k: v for k, v in measures.items() if k.startswith('chose_')}


@pytest.fixture(scope='module')
def plain():
  return engine.run(CONFIG)


@pytest.mark.slow
def test_strongest_has_rows_wherever_something_is_read(plain):
  found = _by_place(plain)
  read = {place[1:] for place in found if place[0] == 'strongest'}
  assert read == {place[1:] for place in found if place[0] == 'distance'}
  names = ['raw_inputs', 'smashed', 'untrained_smashed']
  assert sorted((phase, name) for phase, _, name in read) == [
    *(('inference', name) for name in names),
    *(('training', name) for name in ['cut_grads', *names]),
  ]
  for place, measures in found.items():
    assert place[0] != 'strongest' or np.isfinite(measures['accuracy']).all()


@pytest.mark.slow
def test_one_candidate_is_chosen_in_every_trial(plain):
  for (attack, *_, name), measures in _by_place(plain).items():
    chosen = _chosen(measures)
    if attack != 'strongest':
      assert not chosen
      continue
    assert set(chosen) <= set(CHOSE)
    np.testing.assert_array_equal(sum(chosen.values()), np.ones((1, 2)))
    for values in chosen.values():
      assert set(values.ravel()) <= {0, 1} and values.any()
    if name not in ('smashed', 'extracted'):  # No gradients beside them.
      assert 'chose_transfer' not in chosen


@pytest.mark.slow
def test_the_measure_says_which_candidate_it_was(monkeypatch, plain):
  problem = plain.study.problem
  labels = np.zeros((1, 2, 200), int)
  chosen = np.array([[2, 4]])
  answer = Predictions(labels, None, 1.0, 0.0, chosen)
  monkeypatch.setattr(measuring, 'predict', lambda *args, **_: answer)
  cell = Cell(problem.setting, 'training', 'cut_grads', 'strongest')
  monkeypatch.setattr(measuring, 'grant', lambda view, granted: view)
  scored = np.ones((1, 2, 200), bool)
  target = measuring.Target(
    dataclasses.make_dataclass('Ids', ['sample_ids'])(np.arange(200)[None]),
    labels[:, :1],
    scored,
  )
  source = types.SimpleNamespace(optional=(), canaries=None)
  rows = measuring._attack(jax.random.key(0), problem, cell, target, source, 0)
  found = {row['measure']: row['values'] for row in rows}
  assert _chosen(found) == {
    f'chose_{CANDIDATES[2]}': [[1.0, 0.0]],
    f'chose_{CANDIDATES[4]}': [[0.0, 1.0]],
  }


@pytest.mark.slow
def test_intervals_and_draws_of_one_network(plain):
  rows = plain.rows()
  for row in rows:
    if row['measure'] in ('accuracy', 'macro_f1') and row['attack'] in (
      'strongest',
      'distance',
      'model',  # One trial: its interval is that of the samples.
    ):
      assert 0 <= row['ci_low'] <= row['mean'] <= row['ci_high'] <= 1
      assert row['ci_low'] < row['ci_high']
  found = _by_place(plain)
  for place, measures in found.items():
    if place[0] in ('strongest', 'distance'):
      accuracy = measures['accuracy']
      np.testing.assert_array_equal(measures['worst_draw'], [[accuracy.min()]])
      np.testing.assert_array_equal(measures['best_draw'], [[accuracy.max()]])
    # Of ten classes, `distance` says no more than the nearest one.
    assert ('coverage_at_99' in measures) == (place[0] == 'strongest')
  assert 'for this network, fresh draws and samples]' in plain.summary()


@pytest.mark.slow
@pytest.mark.parametrize(
  'changes',
  [
    dict(model='conv_net', hidden_sizes=(), augment=True, project_to=60),
    dict(cuts=(2, 3), defense='mixup:alpha=0.5'),
  ],
  ids=['augment', 'two_cuts'],
)
def test_strongest_runs_on(changes):
  config = dataclasses.replace(CONFIG, num_aux_draws=1, **changes)
  found = _by_place(engine.run(config))
  places = [place for place in found if place[0] == 'strongest']
  cuts = {place[2] for place in places if place[3] == 'smashed'}
  assert len(cuts) == len(config.cuts or (0,))
  for place in places:
    assert np.isfinite(found[place]['accuracy']).all()
    np.testing.assert_array_equal(
      sum(_chosen(found[place]).values()),
      np.ones_like(found[place]['accuracy']),
    )


@pytest.mark.slow
def test_mean_of_the_batch_hides_nothing():
  config = dataclasses.replace(
    CONFIG,
    hidden_sizes=(),
    intermediates=('cut_grads',),
    defense='gradient_averaging:weight=0.9',
  )
  found = _by_place(engine.run(config))
  read = {
    place[0]: measures['accuracy'].mean()
    for place, measures in found.items()
    if place[3] == 'cut_grads' and 'accuracy' in measures
  }
  assert read['strongest'] >= 0.95 > read['distance']
