"""Guesses of canaries: what is made of answers, and what they show."""

import numpy as np
import pytest

from splitjax import metrics

NUM = 2000


def _canaries(seed, num_networks=1):
  rng = np.random.default_rng(seed)
  first = rng.integers(10, size=(num_networks, NUM))
  other = (first + rng.integers(1, 10, first.shape)) % 10
  candidates = np.stack([first, other], axis=-1)
  coins = rng.integers(2, size=first.shape)
  used = np.take_along_axis(candidates, coins[..., None], axis=-1)[..., 0]
  return rng, candidates, coins, used


def _judge(labels, candidates, coins, margins=None, **kwargs):
  evidence = metrics.weigh_answers(labels, candidates, margins)
  return metrics.judge_guesses(evidence, coins, **kwargs)


def test_predictions_vote_and_margins_decide_where_none_does():
  labels = np.array([[[3, 1, 7, 7], [3, 3, 7, 7]]])
  margins = np.array([[[0, 0, 2, 0], [0, 0, -6, 0]]])
  candidates = np.array([[[3, 1]] * 4])
  found = metrics.weigh_answers(labels, candidates, margins)
  np.testing.assert_array_equal(found.votes, [[2, 0, 0, 0]])
  # Both draws weigh alike: 2 and -6 are each four times their mean.
  np.testing.assert_allclose(found.margins, [[0, 0, 0, 0]])
  np.testing.assert_array_equal(found.guesses, [[1, 0, 0, 0]])
  one = metrics.weigh_answers(labels[:, :1], candidates, margins[:, :1])
  np.testing.assert_array_equal(one.guesses, [[1, -1, 1, 0]])


def test_labels_of_randomised_response_show_its_epsilon():
  epsilon = 1.0
  above = 0
  for seed in range(20):
    rng, candidates, coins, used = _canaries(seed, num_networks=4)
    keep = np.exp(epsilon) / (np.exp(epsilon) + 9)
    wrong = (used + rng.integers(1, 10, used.shape)) % 10
    drawn = np.where(rng.random(used.shape) < keep, used, wrong)
    found = _judge(drawn[:, None], candidates, coins)
    lower = found.epsilon_lower()
    assert 0.7 * epsilon < lower < 1.1 * epsilon
    assert found.epsilon_lower(num_tried=30) < lower
    above += lower > epsilon
  assert above <= 4  # 5% of 20 are one; five come once in a hundred.


def test_an_answer_that_sees_nothing_has_no_advantage():
  above = 0
  for seed in range(40):
    rng, candidates, coins, _ = _canaries(seed)
    margins = rng.normal(size=(1, 3, NUM))
    labels = rng.integers(10, size=(1, 3, NUM))
    found = _judge(labels, candidates, coins, margins)
    above += found.epsilon_lower() > 0
  assert above <= 6  # Of 40 that are above in 5%, two.


def test_the_surest_are_guessed_where_the_others_are_noise():
  rng, candidates, coins, used = _canaries(0)
  sure = np.arange(NUM) % 5 == 0
  right = np.where(used == candidates[..., 0], 1.0, -1.0)
  noise = 0.1 * rng.normal(size=used.shape)
  margins = np.where(sure, right, noise)[:, None]
  nothing = np.full(margins.shape, 10)
  found = _judge(nothing, candidates, coins, margins)
  assert found.num_guesses == 0.25 * 0.75 * NUM
  every = metrics.epsilon_lower((found.outcomes > 0).sum(), NUM)
  assert found.epsilon_lower() > 2 * every > 0


def test_advantage_is_half_of_a_right_guess_more_than_a_wrong_one():
  _, candidates, coins, used = _canaries(0, num_networks=2)
  ids = np.tile(np.arange(NUM), (2, 1))
  labels = np.where(np.arange(NUM) < NUM // 2, used, 10)  # Half abstain.
  figure = _judge(labels[:, None], candidates, coins).advantage(ids)
  np.testing.assert_allclose(figure.values, [[0.25], [0.25]])
  assert figure.deleted.shape == (30, 2, 1)
  low, high = metrics.interval(*figure, bounds=(-0.5, 0.5))
  assert 0.23 < low < 0.25 < high < 0.27


def test_a_delta_lowers_what_is_shown():
  _, candidates, coins, used = _canaries(0)
  answers = used[:, None], candidates, coins
  found = _judge(*answers)
  assert found.right == found.num_guesses == found.num_canaries == 0.75 * NUM
  limits = [found.epsilon_lower(delta=x) for x in (0, 1e-5, 1e-3)]
  assert limits[0] > limits[1] > limits[2] > 1
  assert found.expected == pytest.approx(limits[0], rel=0.01)


def test_too_few_canaries_raise():
  few = np.zeros((1, 7), int)
  with pytest.raises(ValueError, match='coins must be 8 or more'):
    _judge(few[:, None], np.zeros((1, 7, 2), int), few)
