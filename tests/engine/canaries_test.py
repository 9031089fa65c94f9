"""Canaries: which samples they are, and what coins say of their labels."""

import dataclasses

import numpy as np
import pytest

from splitjax import engine
from splitjax.data import sets
from splitjax.engine import canaries
from splitjax.engine import problems
from splitjax.engine import targets
from splitjax.errors import ConfigError

CONFIG = engine.Config(num_train=300, num_test=20, num_aux=2, num_seeds=3)
DATASET = sets.load(CONFIG, 0)


def _draw(number, num_seeds=3, **kwargs):
  found = dict(seed=0, num_seeds=num_seeds, num_aux=2) | kwargs
  return canaries.draw(number, DATASET, **found)


def test_coins_choose_between_the_class_and_another_one():
  found = _draw(270)
  true = DATASET.train_labels[found.ids]
  np.testing.assert_array_equal(found.candidates[..., 0], np.tile(true, (3, 1)))
  other = found.candidates[..., 1]
  assert (other != true).all()
  assert set(np.unique(other)) == set(range(10))
  np.testing.assert_array_equal(
    found.labels, np.where(found.coins == 0, true, other)
  )
  assert abs(found.coins.mean() - 0.5) < 4 * 0.5 / np.sqrt(3 * 270)
  # Coins of other networks and samples are others.
  for one, two in (found.coins[:2], (found.coins[:, 1:], found.coins[:, :-1])):
    assert abs((one == two).mean() - 0.5) < 4 * 0.5 / np.sqrt(270)


def test_a_network_has_the_same_canaries_whatever_their_number():
  few, many = _draw(50, num_seeds=1), _draw(50, num_seeds=3)
  np.testing.assert_array_equal(few.ids, many.ids)
  np.testing.assert_array_equal(few.labels[0], many.labels[0])
  assert (_draw(50, seed=1).ids != few.ids).any()


def test_every_class_keeps_samples_to_know_and_to_score():
  found = _draw(270)
  left = np.setdiff1d(DATASET.train_ids, found.ids)
  assert (np.bincount(DATASET.train_labels[left], minlength=10) == 3).all()


def test_labels_of_other_samples_are_left_and_known_samples_are_no_canaries():
  problem = problems.check(CONFIG)
  truth = np.tile(DATASET.train_labels, (3, 1))
  np.testing.assert_array_equal(problem.trained_labels, truth)
  assert _draw(0) is None
  found = _draw(100)
  problem = dataclasses.replace(problem, canaries=found)
  changed = problem.trained_labels != truth
  assert not np.delete(changed, found.ids, axis=1).any()
  np.testing.assert_array_equal(changed[:, found.ids], found.coins == 1)
  for one in targets.draw_auxiliary(problem, 2):
    assert not np.isin(one.ids, found.ids).any()
    np.testing.assert_array_equal(one.labels, DATASET.train_labels[one.ids])


def test_rows_are_found_in_the_order_of_each_network():
  found = _draw(40)
  rng = np.random.default_rng(0)
  ids = np.stack([rng.permutation(300) for _ in range(3)])
  asked = found.asked(ids)
  for order, rows in zip(ids, asked.rows, strict=True):
    np.testing.assert_array_equal(order[rows], found.ids)
  assert asked._fields == ('rows', 'candidates')  # No coins.


@pytest.mark.parametrize('number', [7, 271])
def test_too_few_or_too_many_are_refused(number):
  with pytest.raises(ConfigError, match=f'canaries={number}.* 8 to 270'):
    _draw(number)


def test_real_targets_have_none():
  config = engine.Config(dataset='diabetes')
  with pytest.raises(ConfigError, match='targets are real'):
    canaries.draw(8, sets.load(config, 0), seed=0, num_seeds=1, num_aux=3)
