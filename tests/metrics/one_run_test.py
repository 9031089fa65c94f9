"""The epsilon that guesses of canaries show."""

import numpy as np
import pytest
from scipy import stats

from splitjax.metrics import one_run


def _p_value(right, guesses, canaries, epsilon, delta):
  """Returns the probability of so many right guesses, one sum at a time."""
  chance = 1 / (1 + np.exp(-epsilon))
  exactly = stats.binom.pmf(range(guesses + 1), guesses, chance)
  gained, steepest = 0.0, 0.0
  for given in range(1, right + 1):
    gained += exactly[right - given]
    steepest = max(steepest, gained / given)
  return exactly[right:].sum() + 2 * canaries * delta * steepest


@pytest.mark.parametrize('epsilon', [0.5, 1.0, 2.0, 5.0])
def test_randomised_response_is_measured_closely_and_not_above(epsilon):
  # Of two candidates, the released label is the true one as often as this.
  chance = 1 / (1 + np.exp(-epsilon))
  right = np.arange(int(10000 * chance) - 300, 10001)
  found = one_run.epsilon_lower(right, 10000)
  likely = stats.binom.pmf(right, 10000, chance)
  # No simulation: of all runs, so many see more than epsilon.
  assert 0.03 < likely[found > epsilon].sum() <= 0.05
  assert likely[found >= 0.75 * epsilon].sum() > 0.99


@pytest.mark.parametrize(
  ('right', 'guesses', 'canaries', 'delta'),
  [
    (100, 100, 100, 1e-3),
    (80, 100, 300, 1e-4),
    (55, 60, 400, 1e-3),
    (30, 30, 30, 1e-2),
    (20, 50, 50, 1e-3),
  ],
)
def test_with_a_delta_it_is_the_largest_epsilon_that_is_rejected(
  right, guesses, canaries, delta
):
  kwargs = dict(num_canaries=canaries, delta=delta)
  found = one_run.epsilon_lower(right, guesses, **kwargs)
  grid = np.linspace(0, 5, 51)
  rejected = [
    _p_value(right, guesses, canaries, x, delta) <= 0.05 for x in grid
  ]
  np.testing.assert_array_equal(rejected, (grid < found) & (found > 0))
  assert found <= one_run.epsilon_lower(right, guesses)


def test_a_delta_that_gives_labels_away_is_not_taken_for_epsilon():
  # Randomised response; each label is also published with probability delta.
  epsilon, delta, num = 1.0, 0.01, 1000
  rng = np.random.default_rng(0)
  chance = delta + (1 - delta) / (1 + np.exp(-epsilon))
  right, counts = np.unique(rng.binomial(num, chance, 2000), return_counts=True)
  found = one_run.epsilon_lower(right, num, delta=delta)
  assert counts[found > epsilon].sum() <= 0.05 * 2000
  # Without it, it is.
  without = one_run.epsilon_lower(right, num)
  assert counts[without > epsilon].sum() > 0.06 * 2000


def test_labels_drawn_in_every_pass_exceed_the_epsilon_of_one():
  # A majority of twenty draws at epsilon 1; ties are guessed at random.
  rng = np.random.default_rng(0)
  votes = rng.binomial(20, 1 / (1 + np.exp(-1)), 1000) + rng.random(1000) - 0.5
  assert one_run.epsilon_lower((votes > 10).sum(), 1000) > 1


def test_all_right_is_limited_by_the_number_of_canaries():
  # q^r = error has a closed form.
  q = 0.05 ** (1 / np.array([10, 1000]))
  found = one_run.epsilon_lower(np.array([10, 1000]), np.array([10, 1000]))
  np.testing.assert_allclose(found, np.log(q / (1 - q)), rtol=1e-6)
  assert one_run.epsilon_lower(5, 10) == one_run.epsilon_lower(0, 0) == 0


def test_best_of_several_is_corrected_for_their_number():
  one, ten = (one_run.epsilon_lower(80, 100, num_tried=n) for n in (1, 10))
  assert 0 < ten < one
  np.testing.assert_allclose(
    ten, one_run.epsilon_lower(80, 100, confidence=0.995)
  )


@pytest.mark.parametrize(
  ('args', 'kwargs', 'message'),
  [
    ((3, 2), {}, 'num_right must be'),
    ((1, 2), {'confidence': 1.0}, 'confidence must be'),
    ((1, 2), {'num_tried': 0}, 'num_tried must be'),
    ((1, 2), {'delta': -0.1}, 'delta must be'),
    ((1, 2), {'num_canaries': 1}, 'num_canaries must be'),
  ],
)
def test_bad_arguments_raise(args, kwargs, message):
  with pytest.raises(ValueError, match=message):
    one_run.epsilon_lower(*args, **kwargs)
