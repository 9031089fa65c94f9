import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from splitjax.attacks import mixmatch

_mix = jax.jit(mixmatch.mix)
_sharpen = jax.jit(mixmatch.sharpen)


@pytest.mark.parametrize('temperature', [0.01, 0.5, 0.8, 1.0, 3.0])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_sharpen_matches_powers(temperature, dtype):
  rng = np.random.default_rng(0)
  probabilities = jnp.asarray(rng.dirichlet(np.ones(4), 20), dtype)
  actual = _sharpen(probabilities, temperature)
  powers = np.asarray(probabilities, float) ** (1 / temperature)
  assert actual.dtype == jnp.float32
  np.testing.assert_allclose(
    actual, powers / powers.sum(axis=1, keepdims=True), rtol=2e-4, atol=1e-6
  )


def test_sharpen_keeps_zeros_and_is_finite():
  probabilities = jnp.array([[0.0, 1.0, 0.0], [0.0, 1e-38, 1e-37]])
  with jax.debug_nans(True):
    for temperature in (1e-3, 1.0, 10.0):
      sharp = _sharpen(probabilities, temperature)
      np.testing.assert_allclose(sharp[0], [0, 1, 0])
      assert sharp[1, 0] == 0 and np.isclose(np.sum(sharp[1]), 1)


def test_mix_keeps_each_nearer_to_itself():
  """With x = e_i the mixed row shows the share and the partner."""
  x, y = jnp.eye(50), jnp.eye(50)[:, ::-1]
  mixed_x, mixed_y = _mix(jax.random.key(0), x, y, alpha=0.75)
  own = np.diag(mixed_x)
  assert (own >= 0.5).all() and len(np.unique(own)) > 30  # A share a sample.
  partners = np.argmax(mixed_x - 2 * np.eye(50), axis=1)
  assert len(np.unique(partners)) == 50
  np.testing.assert_allclose(np.sum(mixed_x, axis=1), 1, rtol=1e-6)
  np.testing.assert_allclose(mixed_y, mixed_x[:, ::-1], rtol=1e-6)


@pytest.mark.parametrize('alpha', [0.05, 0.2, 0.75, 1.0, 4.0])
def test_mix_draws_from_the_beta_distribution(alpha):
  x = jnp.eye(500)
  keys = jax.random.split(jax.random.key(0), 6)
  mixed, _ = jax.vmap(lambda key: _mix(key, x, x[:, :1], alpha=alpha))(keys)
  own = np.diagonal(mixed, axis1=1, axis2=2).ravel()
  folded = lambda share: 2 * stats.beta.cdf(share, alpha, alpha) - 1
  # Shares within rounding of 1 are one number.
  own = own[own < 1 - 1e-6]
  in_range = lambda share: folded(share) / folded(1 - 1e-6)
  assert stats.kstest(own, in_range).pvalue > 1e-3
  assert abs(len(own) / 3000 - folded(1 - 1e-6)) < 0.05


def test_mix_with_alpha_zero_changes_nothing():
  x = jnp.arange(12.0).reshape(6, 2)
  with jax.debug_nans(True):
    mixed_x, mixed_y = _mix(jax.random.key(0), x, 2 * x, alpha=0.0)
  np.testing.assert_array_equal(mixed_x, x)
  np.testing.assert_array_equal(mixed_y, 2 * x)


def test_ema_matches_a_loop_and_forgets_its_start():
  values = np.random.default_rng(0).normal(size=300)
  average, expected = {'w': jnp.float32(1e3)}, 1e3
  update = jax.jit(mixmatch.ema)
  for step, value in enumerate(values):
    average = update(average, {'w': jnp.float32(value)}, decay=0.9, step=step)
    kept = min(0.9, (1 + step) / (10 + step))
    expected = kept * expected + (1 - kept) * value
    np.testing.assert_allclose(average['w'], expected, rtol=1e-4, atol=1e-4)
  assert abs(average['w']) < 1


def test_mixed_predictions_keep_the_two_apart():
  labelled = jnp.full((2, 3), 10.0), jnp.eye(4)[jnp.array([0, 0])]
  others = jnp.full((5, 3), -10.0), jnp.eye(4)[jnp.array([3] * 5)]
  first, second = mixmatch.mixed_predictions(
    jax.random.key(3), lambda x: x[:, :1] + 1, labelled, others, alpha=0.75
  )
  assert first[0].shape == (2, 1) and second[0].shape == (5, 1)
  assert (first[1][:, 0] >= 0.5).all() and (second[1][:, 3] >= 0.5).all()
  # Logits and targets are of the same mixture.
  for logits, targets in (first, second):
    expected = 10 * targets[:, :1] - 10 * targets[:, 3:] + 1
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
