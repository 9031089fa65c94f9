"""Intervals of means over trials."""

from absl.testing import parameterized
import numpy as np
import pytest

from benchmarks import simulation
from splitjax import metrics

_CASES = 2500  # A coverage of 95% has a standard error of 0.44%.


class CoverageTest(parameterized.TestCase):
  @parameterized.product(
    sizes=[(1, 1), (1, 10), (2, 1), (5, 1), (10, 1)],
    name=['networks dominate', 'draws dominate', 'mixed', 'near 99%'],
  )
  def test_holds_as_often_as_it_says(self, name, sizes):
    scenario = simulation.SCENARIOS[name]
    found = simulation.coverage(simulation.single, scenario, sizes, _CASES)
    # Two networks that differ little are seen too rarely to be told apart from
    # two that differ much: there it covers more often.
    assert 0.93 <= found <= (0.985 if sizes[0] == 2 else 0.97)

  @parameterized.parameters((1, 10), (2, 1), (5, 1))
  def test_of_a_difference_holds_too(self, *sizes):
    scenario = simulation.SCENARIOS['mixed']
    found = simulation.coverage(simulation.paired, scenario, sizes, _CASES)
    assert 0.93 <= found <= 0.975

  @parameterized.parameters((1, 1), (5, 1))
  def test_all_of_five_hold_together(self, *sizes):
    scenario = simulation.SCENARIOS['networks dominate']
    found = simulation.coverage(simulation.strongest, scenario, sizes, 1000)
    assert 0.935 <= found <= 0.985

  def test_many_networks_and_draws(self):
    scenario = simulation.SCENARIOS['mixed']
    found = simulation.coverage(simulation.single, scenario, (10, 10), 1000)
    assert 0.93 <= found <= 0.975


class IntervalTest(parameterized.TestCase):
  def _figures(self, size=(1, 3, 4)):
    rng = np.random.default_rng(0)
    found = simulation.simulate(rng, simulation.SCENARIOS['mixed'], size)
    return found.values[0, 0], found.deleted[0, 0]

  def test_without_samples_it_is_that_of_student(self):
    values = np.random.default_rng(0).normal(size=(5, 7))
    low, high = metrics.interval(values, bounds=metrics.REAL)
    means = values.mean(1)
    reach = 2.7764451 * means.std(ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(low, means.mean() - reach)
    np.testing.assert_allclose(high, means.mean() + reach)

  def test_of_one_network_its_draws_vary(self):
    values = np.random.default_rng(0).normal(size=(1, 7))
    np.testing.assert_allclose(
      metrics.interval(values, bounds=metrics.REAL),
      metrics.interval(values.T, bounds=metrics.REAL),
    )

  def test_one_trial_varies_by_its_samples(self):
    """Wilson's interval, but for Student's quantile of 30 groups."""
    right = np.arange(3000) % 10 > 0
    groups = metrics.assign_groups(np.arange(3000))
    scored = np.ones((1, 1, 3000), bool)
    mean_fn = lambda mask: {'mean': (right * mask).sum(-1) / mask.sum(-1)}
    deleted = metrics.deleted(mean_fn, scored, groups)['mean']
    low, high = metrics.interval(np.array([[0.9]]), deleted)
    np.testing.assert_allclose(low, 0.8887, atol=0.004)
    np.testing.assert_allclose(high, 0.9102, atol=0.004)

  def test_leading_axes_are_figures_of_their_own(self):
    values, deleted = self._figures()
    both = np.stack([values, values / 2]), np.stack([deleted, deleted / 2])
    low, high = metrics.interval(*both)
    for index in range(2):
      one = metrics.interval(both[0][index], both[1][index])
      np.testing.assert_allclose((low[index], high[index]), one)

  def test_samples_make_it_wider(self):
    values, deleted = self._figures()
    width = lambda *args: np.diff(metrics.interval(*args), axis=0)
    assert width(values, deleted) > width(values, values + 0 * deleted)

  @parameterized.parameters(0.0, 1.0)
  def test_all_wrong_and_all_right(self, value):
    values, deleted = np.full((2, 3), value), np.full((30, 2, 3), value)
    low, high = metrics.interval(values, deleted, num_samples=100)
    reach = 1.96**2 / (100 + 1.96**2)  # Wilson's.
    expected = (0, reach) if value == 0 else (1 - reach, 1)
    np.testing.assert_allclose((low, high), expected, atol=1e-4)

  def test_two_attacks_that_never_differ(self):
    values, deleted = np.zeros((2, 3)), np.zeros((30, 2, 3))
    bounds = metrics.DIFFERENCE
    low, high = metrics.interval(
      values, deleted, bounds=bounds, num_samples=100
    )
    assert -0.1 < low < 0 < high < 0.1

  def test_stays_inside_its_bounds(self):
    values = np.array([[0.99], [0.2]])
    low, high = metrics.interval(values)
    assert 0 <= low <= high <= 1
    low, high = metrics.interval(values, bounds=(-np.inf, 1.0))
    assert low < 0 and high == 1

  def test_one_trial_without_samples_shows_nothing(self):
    assert np.isnan(metrics.interval(np.ones((1, 1)))).all()

  @parameterized.parameters(metrics.SHARE, metrics.REAL)
  def test_nan_stays_nan(self, *bounds):
    values, deleted = self._figures()
    values[0, 0] = np.nan
    found = metrics.interval(values, deleted, bounds=bounds, num_samples=9)
    assert np.isnan(found).all()

  def test_simultaneous_ones_are_wider(self):
    values, deleted = self._figures()
    width = lambda ends: ends[1] - ends[0]
    one = width(metrics.interval(values, deleted, bounds=metrics.DIFFERENCE))
    same = width(metrics.simultaneous(values[None], deleted[None]))
    five = width(
      metrics.simultaneous(*(np.stack([x] * 5) for x in (values, deleted)))
    )
    np.testing.assert_allclose(same, one)
    assert (five > one).all()

  def test_population_is_named(self):
    assert metrics.population(2, 1).startswith('fresh networks')
    assert metrics.population(1, 2).startswith('this network, fresh draws')
    assert metrics.population(1, 1).startswith('this network and this draw')

  def test_arguments_are_checked(self):
    with pytest.raises(ValueError, match='values must have shape'):
      metrics.interval(np.ones(3))
    with pytest.raises(
      ValueError, match=r'deleted must have shape .* \(3, 2\)'
    ):
      metrics.interval(np.ones((1, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match='level must lie between 0 and 1'):
      metrics.interval(np.ones((1, 2)), level=95)
    with pytest.raises(ValueError, match=r'values must have shape \[M, S, R\]'):
      metrics.simultaneous(np.ones((1, 2)))
