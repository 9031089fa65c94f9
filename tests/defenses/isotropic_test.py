from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.defenses import isotropic

_noise = jax.jit(isotropic.noise)


def _grads(shape=(6, 5), dtype='float32', scale=1.0):
  grads = scale * np.random.default_rng(0).normal(size=shape)
  grads[0] = -0.0
  return jnp.asarray(grads, dtype)


class NoiseTest(parameterized.TestCase):
  @parameterized.product(dtype=['float32', 'bfloat16'], scale=[1e-25, 1.0, 1e8])
  def test_matches_numpy(self, dtype, scale):
    grads = _grads((6, 2, 3), dtype, scale)
    key = jax.random.key(1)
    actual = _noise(key, grads, jnp.zeros(6, int), ratio=0.7)
    assert actual.dtype == dtype
    rows = np.asarray(grads, float).reshape(6, 6)
    normal = np.asarray(jax.random.normal(key, grads.shape), float)
    deviation = 0.7 * np.linalg.norm(rows, axis=1).max() / np.sqrt(6)
    expected = np.asarray(grads, float) + deviation * normal
    rtol = 1e-5 if dtype == 'float32' else 1e-2
    np.testing.assert_allclose(
      np.asarray(actual, float), expected, rtol=rtol, atol=1e-6 * scale
    )

  def test_covariance_is_as_stated(self):
    grads = _grads()
    keys = jax.random.split(jax.random.key(2), 5000)
    draw = lambda key: isotropic.noise(key, grads, None, ratio=2.0) - grads
    drawn = np.asarray(jax.jit(jax.vmap(draw))(keys), float).reshape(-1, 5)
    variance = 4 * np.linalg.norm(grads, axis=1).max() ** 2 / 5
    # The standard error of a variance is sqrt(2 / N) of it, N = 30000.
    error = variance * np.sqrt(2 / len(drawn))
    covariance = drawn.T @ drawn / len(drawn)
    np.testing.assert_allclose(covariance, variance * np.eye(5), atol=4 * error)

  @parameterized.parameters('float32', 'bfloat16')
  def test_ratio_zero_returns_the_bits(self, dtype):
    grads = _grads(dtype=dtype)
    actual = _noise(jax.random.key(0), grads, None, ratio=0.0)
    assert actual.tobytes() == grads.tobytes()

  def test_vmap_over_ratios_equals_a_loop(self):
    grads, key, ratios = _grads(), jax.random.key(3), jnp.array([0.0, 0.5, 4])
    fn = lambda ratio: _noise(key, grads, None, ratio=ratio)
    np.testing.assert_allclose(
      jax.vmap(fn)(ratios), [fn(ratio) for ratio in ratios], rtol=1e-5
    )

  def test_zero_gradients_stay_zero_and_derivatives_finite(self):
    with jax.debug_nans(True):
      for grads in (jnp.zeros((1, 1)), jnp.zeros((3, 2)), _grads()):
        fn = lambda g, ratio: jnp.sum(
          isotropic.noise(jax.random.key(0), g, None, ratio=ratio)
        )
        wrt_grads, wrt_ratio = jax.jit(jax.grad(fn, (0, 1)))(grads, 1.0)
        np.testing.assert_array_equal(wrt_grads, np.ones(grads.shape))
        assert np.isfinite(wrt_ratio)
      zero = _noise(jax.random.key(0), jnp.zeros((3, 2)), None, ratio=1.0)
    np.testing.assert_array_equal(zero, np.zeros((3, 2)))
