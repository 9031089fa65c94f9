"""The epsilon that guesses of canaries show."""

import numpy as np
import pytest

from splitjax.metrics import one_run


@pytest.mark.parametrize('epsilon', [0.5, 1.0, 2.0, 5.0])
def test_randomised_response_is_measured_closely_and_not_above(epsilon):
  # Of two candidates, the released label is the true one as often as this.
  chance = 1 / (1 + np.exp(-epsilon))
  rng = np.random.default_rng(0)
  right = (rng.random((200, 10000)) < chance).sum(axis=1)
  found = one_run.epsilon_lower(right, 10000)
  assert (found > epsilon).mean() <= 0.05 + 0.03
  assert np.median(found) >= 0.75 * epsilon


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
  ],
)
def test_bad_arguments_raise(args, kwargs, message):
  with pytest.raises(ValueError, match=message):
    one_run.epsilon_lower(*args, **kwargs)
