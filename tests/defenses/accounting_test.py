import math

from absl.testing import parameterized
import dp_accounting
from dp_accounting import rdp
import hypothesis
from hypothesis import strategies as st
import numpy as np
import scipy.optimize
import scipy.stats

from splitjax.defenses import accounting


def _delta(epsilon, sensitivity):
  """Balle and Wang (2018), theorem 8, for noise of deviation 1."""
  cdf = scipy.stats.norm.logcdf
  half, shift = sensitivity / 2, epsilon / sensitivity
  return math.exp(cdf(half - shift)) - math.exp(epsilon + cdf(-half - shift))


def _epsilon(sensitivity, delta):
  """The inverse of `_delta`."""
  if _delta(0, sensitivity) <= delta:
    return 0.0
  excess = lambda epsilon: _delta(epsilon, sensitivity) - delta
  return scipy.optimize.brentq(excess, 0, 1e4, xtol=1e-10)


class GaussianTest(parameterized.TestCase):
  @parameterized.product(
    noise_multiplier=[0.3, 1.0, 5.0, 200.0],
    num_epochs=[1, 30],
    delta=[1e-7, 1e-3],
  )
  def test_matches_the_closed_form(self, noise_multiplier, num_epochs, delta):
    kwargs = dict(
      noise_multiplier=noise_multiplier, num_epochs=num_epochs, delta=delta
    )
    sensitivity = math.sqrt(num_epochs) / noise_multiplier
    np.testing.assert_allclose(
      accounting.epsilon_shuffled(**kwargs),
      _epsilon(sensitivity, delta),
      rtol=1e-6,
    )
    np.testing.assert_allclose(
      accounting.epsilon_message(**kwargs),
      _epsilon(2 * sensitivity, delta),
      rtol=1e-6,
    )

  def test_no_test_set_can_beat_it(self):
    # The likelihood-ratio test of label a against b from T noised gradients of
    # norm C at opposite ends: its true and false positive rates must satisfy
    # tpr <= exp(epsilon) fpr + delta, and nearly reach it somewhere.
    sigma, num_epochs, delta = 4.0, 5, 1e-3
    epsilon = accounting.epsilon_message(
      noise_multiplier=sigma, num_epochs=num_epochs, delta=delta
    )
    gap = 2 * math.sqrt(num_epochs) / sigma
    thresholds = np.linspace(-5, 12, 10000)
    tpr, fpr = (scipy.stats.norm.sf(thresholds - mean) for mean in (gap, 0.0))
    excess = tpr - math.exp(epsilon) * fpr
    np.testing.assert_allclose(excess.max(), delta, rtol=1e-3)

  @hypothesis.given(
    st.floats(0.05, 100), st.integers(1, 1000), st.floats(1e-9, 0.1)
  )
  def test_monotone(self, noise_multiplier, num_epochs, delta):
    run = lambda s, t, d: accounting.epsilon_shuffled(
      noise_multiplier=s, num_epochs=t, delta=d
    )
    epsilon = run(noise_multiplier, num_epochs, delta) + 1e-9
    assert run(noise_multiplier * 1.5, num_epochs, delta) <= epsilon
    assert run(noise_multiplier, num_epochs, delta * 1.5) <= epsilon
    assert run(noise_multiplier, num_epochs + 1, delta) >= epsilon - 2e-9

  @parameterized.parameters(
    accounting.epsilon_shuffled, accounting.epsilon_message
  )
  def test_limits(self, epsilon_fn):
    run = lambda **change: epsilon_fn(
      **(dict(noise_multiplier=1.0, num_epochs=3, delta=1e-5) | change)
    )
    assert run(noise_multiplier=0.0) == math.inf
    assert run(noise_multiplier=math.inf) == 0
    assert run(num_epochs=0) == 0
    with self.assertRaisesRegex(ValueError, 'noise_multiplier must .* -1'):
      run(noise_multiplier=-1.0)
    with self.assertRaisesRegex(ValueError, 'delta must lie .* got 0.0'):
      run(delta=0.0)
    with self.assertRaisesRegex(ValueError, 'num_epochs must .* got -1'):
      run(num_epochs=-1)


class PoissonTest(parameterized.TestCase):
  @parameterized.parameters(
    (1.0, 0.01, 1000), (0.5, 0.002, 5000), (5.0, 0.01, 1000), (0.3, 0.01, 300)
  )
  def test_just_below_a_bound_by_renyi_divergences(self, sigma, rate, steps):
    epsilon = accounting.epsilon_poisson(
      noise_multiplier=sigma, sampling_rate=rate, num_steps=steps, delta=1e-5
    )
    accountant = rdp.RdpAccountant().compose(
      dp_accounting.PoissonSampledDpEvent(
        rate, dp_accounting.GaussianDpEvent(sigma)
      ),
      steps,
    )
    bound = accountant.get_epsilon(1e-5)
    assert 0.8 * bound < epsilon < bound

  @parameterized.parameters(0.7, 2.0)
  def test_one_step_has_a_closed_form(self, sigma):
    # delta(epsilon) of (1 - q) N(0, s^2) + q N(1, s^2) against N(0, s^2): it is
    # q times that of the Gaussian at log(1 + (e^epsilon - 1) / q).
    rate, delta = 0.2, 1e-4
    unsampled = _epsilon(1 / sigma, delta / rate)
    expected = math.log1p(rate * math.expm1(unsampled))
    actual = accounting.epsilon_poisson(
      noise_multiplier=sigma, sampling_rate=rate, num_steps=1, delta=delta
    )
    np.testing.assert_allclose(actual, expected, rtol=2e-3)

  @parameterized.parameters(0.5, 1.0, 4.0)
  def test_is_below_shuffled_and_equal_for_the_whole_set(self, sigma):
    kwargs = dict(noise_multiplier=sigma, delta=1e-5)
    shuffled = accounting.epsilon_shuffled(num_epochs=5, **kwargs)
    poisson = lambda rate: accounting.epsilon_poisson(
      sampling_rate=rate, num_steps=round(5 / rate), **kwargs
    )
    assert poisson(0.01) < poisson(0.1) < shuffled
    np.testing.assert_allclose(poisson(1.0), shuffled, rtol=2e-3)

  def test_limits(self):
    run = lambda **change: accounting.epsilon_poisson(
      **(
        dict(noise_multiplier=1.0, sampling_rate=0.1, num_steps=3, delta=1e-5)
        | change
      )
    )
    assert run(noise_multiplier=0.0) == math.inf
    assert run(num_steps=0) == 0
    with self.assertRaisesRegex(ValueError, 'sampling_rate must .* got 1.5'):
      run(sampling_rate=1.5)
    with self.assertRaisesRegex(ValueError, 'num_steps must .* got -1'):
      run(num_steps=-1)


class NoiseMultiplierForTest(parameterized.TestCase):
  @parameterized.product(
    target=[0.1, 1.0, 10.0, 100.0],
    epsilon_fn=[accounting.epsilon_shuffled, accounting.epsilon_message],
  )
  def test_least_noise_that_reaches_the_target(self, target, epsilon_fn):
    kwargs = dict(num_epochs=30, delta=1e-5)
    noise = accounting.noise_multiplier_for(target, epsilon_fn, **kwargs)
    assert epsilon_fn(noise_multiplier=noise, **kwargs) <= target
    assert epsilon_fn(noise_multiplier=noise * 0.999, **kwargs) > target

  @parameterized.parameters(0.5, 20.0)
  def test_poisson(self, target):
    kwargs = dict(sampling_rate=0.01, num_steps=500, delta=1e-5)
    noise = accounting.noise_multiplier_for(
      target, accounting.epsilon_poisson, **kwargs
    )
    epsilon = accounting.epsilon_poisson(noise_multiplier=noise, **kwargs)
    assert 0.99 * target < epsilon <= target

  def test_limits(self):
    solve = lambda target, epochs=1: accounting.noise_multiplier_for(
      target, accounting.epsilon_shuffled, num_epochs=epochs, delta=1e-5
    )
    assert solve(math.inf) == 0
    assert solve(1.0, 0) == 0
    with self.assertRaisesRegex(ValueError, 'target_epsilon must .* got 0'):
      solve(0)
