"""Intervals of means over trials."""

from absl.testing import parameterized
import numpy as np
import pytest

from splitjax import metrics


class BootstrapTest(parameterized.TestCase):
  def test_covers_the_mean_as_often_as_it_says(self):
    rng = np.random.default_rng(0)
    hits = []
    for index in range(300):
      values = rng.normal(size=(30, 1)) + 0.3 * rng.normal(size=(30, 5))
      low, high = metrics.bootstrap_interval(
        values, num_resamples=400, seed=index
      )
      hits.append(low <= 0 <= high)
    assert 0.88 <= np.mean(hits) <= 0.98

  def test_trials_of_one_seed_count_less_than_trials_of_many(self):
    rng = np.random.default_rng(0)
    seeds = rng.normal(size=(6, 1))
    width = lambda values: np.diff(metrics.bootstrap_interval(values))[0]
    together = np.repeat(seeds, 50, axis=1)
    assert width(together) > 0.8 * width(seeds)
    assert width(together.reshape(1, -1)) < 0.5 * width(together)

  def test_width_is_that_of_the_normal_approximation(self):
    values = np.random.default_rng(0).normal(size=(400, 1))
    width = np.diff(metrics.bootstrap_interval(values))[0]
    expected = 2 * 1.96 * values.std() / np.sqrt(400)
    np.testing.assert_allclose(width, expected, rtol=0.06)

  def test_draws_of_one_seed_are_resampled(self):
    values = np.random.default_rng(0).normal(size=(1, 400))
    width = np.diff(metrics.bootstrap_interval(values))[0]
    expected = 2 * 1.96 * values.std() / np.sqrt(400)
    np.testing.assert_allclose(width, expected, rtol=0.06)

  def test_draws_of_different_seeds_are_resampled_apart(self):
    values = np.tile(np.random.default_rng(0).normal(size=(1, 50)), (50, 1))
    width = np.diff(metrics.bootstrap_interval(values))[0]
    # 2,500 draws of their own; shared ones would count as 50.
    expected = 2 * 1.96 * values.std() / np.sqrt(2500)
    np.testing.assert_allclose(width, expected, rtol=0.1)

  def test_is_deterministic_and_ordered(self):
    values = np.random.default_rng(0).random((3, 4))
    low, high = metrics.bootstrap_interval(values)
    assert (low, high) == metrics.bootstrap_interval(values)
    assert values.min() <= low <= values.mean() <= high <= values.max()

  def test_single_trial_has_no_interval(self):
    assert np.isnan(metrics.bootstrap_interval(np.ones((1, 1)))).all()

  def test_shape_is_checked(self):
    with pytest.raises(ValueError, match='values must have shape'):
      metrics.bootstrap_interval(np.ones(3))
