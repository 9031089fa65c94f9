from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.defenses import discrete_sgd


@jax.jit
def _discretize(cut_grads, num_bins):
  return discrete_sgd.discretize(None, cut_grads, None, num_bins=num_bins)


def _grid(grads, num_bins):
  exact = np.asarray(grads, float)
  mean, deviation = exact.mean(), exact.std()
  return np.linspace(
    mean - 2 * deviation, mean + 2 * deviation, int(num_bins) + 1
  )


class DiscretizeTest(parameterized.TestCase):
  @parameterized.product(
    shape=[(3, 1), (6, 50), (4, 2, 30)], dtype=['float32', 'bfloat16']
  )
  def test_every_entry_goes_to_the_nearest_value(self, shape, dtype):
    grads = np.random.default_rng(0).standard_t(df=3, size=shape) + 0.5
    grads = jnp.asarray(grads, dtype)
    bins = np.array([1, 2, 6, 24])
    actual = jax.vmap(_discretize, (None, 0))(grads, bins)
    assert actual.dtype == dtype
    for i, num_bins in enumerate(bins):
      grid = _grid(grads, num_bins)
      expected = np.array(
        [
          grid[np.argmin(np.abs(grid - g))]
          for g in np.ravel(grads).astype(float)
        ]
      )
      np.testing.assert_allclose(
        np.asarray(actual[i], float).ravel(),
        expected,
        rtol=1e-5 if dtype == 'float32' else 4e-3,
        atol=1e-5,
      )

  @parameterized.parameters('float32', 'bfloat16')
  def test_off_is_the_identity_bit_for_bit(self, dtype):
    grads = jnp.asarray([[0.0, -0.0, 1.0], [1e-38, -3e38, 1e-3]], dtype)
    actual = _discretize(grads, 0)
    assert np.asarray(actual).tobytes() == np.asarray(grads).tobytes()

  @parameterized.parameters(0.0, -0.0, 0.1, 1e-38, -3e38)
  def test_constant_batch_is_unchanged(self, value):
    grads = jnp.full((7, 3), value)
    with jax.debug_nans(True):
      actual = _discretize(grads, 6)
    assert np.asarray(actual).tobytes() == np.asarray(grads).tobytes()
    assert _discretize(grads[:1, :1], 6) == grads[0, 0]

  @hypothesis.given(st.integers(0, 1000), st.sampled_from([1e-30, 1e-9, 1e30]))
  def test_scale_does_not_matter(self, seed, scale):
    grads = np.random.default_rng(seed).normal(size=(5, 9)).astype(np.float32)
    np.testing.assert_allclose(
      _discretize(grads * np.float32(scale), 12) / np.float32(scale),
      _discretize(grads, 12),
      rtol=1e-4,
      atol=1e-5,
    )

  @parameterized.parameters('float32', 'bfloat16')
  def test_largest_numbers_stay_finite(self, dtype):
    limit = jnp.finfo(dtype).max
    grads = jnp.asarray([[limit, limit], [-limit, limit]], dtype)
    assert np.isfinite(np.asarray(_discretize(grads, 6), np.float32)).all()

  def test_bad_number_is_named(self):
    with self.assertRaisesRegex(ValueError, 'num_bins must .* got -1'):
      discrete_sgd.discretize(None, jnp.ones((2, 2)), None, num_bins=-1)
