from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.defenses import gradient_averaging


@jax.jit
def _average(cut_grads, weight):
  return gradient_averaging.average(None, cut_grads, None, weight=weight)


class AverageTest(parameterized.TestCase):
  @parameterized.product(
    shape=[(1, 1), (6, 5), (4, 2, 3)], dtype=['float32', 'bfloat16']
  )
  def test_matches_numpy(self, shape, dtype):
    grads = np.random.default_rng(0).normal(size=shape)
    grads = jnp.asarray(grads, dtype)
    weights = np.array([0.0, 0.25, 1.0])
    actual = jax.vmap(_average, (None, 0))(grads, weights)
    assert actual.dtype == dtype
    exact = np.asarray(grads, float)
    for i, weight in enumerate(weights):
      expected = [(1 - weight) * g + weight * exact.mean(0) for g in exact]
      np.testing.assert_allclose(
        np.asarray(actual[i], float),
        np.stack(expected),
        rtol=1e-6 if dtype == 'float32' else 4e-3,
        atol=1e-6 if dtype == 'float32' else 1e-6,
      )

  def test_full_weight_makes_all_rows_equal(self):
    grads = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    actual = np.asarray(_average(grads, 1.0))
    np.testing.assert_array_equal(actual, np.tile(actual[:1], (5, 1)))

  @parameterized.parameters('float32', 'bfloat16')
  def test_off_is_the_identity_bit_for_bit(self, dtype):
    grads = jnp.asarray([[0.0, -0.0, 1.0], [1e-38, -3e38, 1e-3]], dtype)
    actual = _average(grads, 0.0)
    assert np.asarray(actual).tobytes() == np.asarray(grads).tobytes()

  def test_large_numbers_do_not_overflow(self):
    grads = jnp.full((8, 2), 3e38)
    np.testing.assert_allclose(_average(grads, 0.5), grads, rtol=1e-6)

  def test_bad_weight_is_named(self):
    with self.assertRaisesRegex(ValueError, 'weight must lie .* got -0.1'):
      gradient_averaging.average(None, jnp.ones((2, 2)), None, weight=-0.1)
