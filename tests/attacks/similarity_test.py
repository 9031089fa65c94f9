from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np

from splitjax import attacks
from splitjax.attacks import similarity


class UnitNormalizeTest(parameterized.TestCase):
  @parameterized.product(
    shape=[(1, 1), (7, 3), (4, 129)], dtype=['float32', 'bfloat16']
  )
  def test_matches_numpy_and_keeps_the_type(self, shape, dtype):
    vectors = np.random.default_rng(0).normal(size=shape)
    vectors = jnp.asarray(vectors, dtype)
    expected = np.asarray(vectors, np.float64)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    actual = attacks.unit_normalize(vectors)
    assert actual.dtype == dtype
    rtol = 1e-6 if dtype == 'float32' else 4e-3
    np.testing.assert_allclose(np.asarray(actual, float), expected, rtol=rtol)

  def test_zero_vector_stays_zero_without_nan(self):
    with jax.debug_nans(True):
      actual = attacks.unit_normalize(jnp.array([[0.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(actual, [[0, 0], [0, 1]])

  @parameterized.parameters(1e-37, 1e-20, 1.0, 1e20, 6e37)
  def test_no_norm_overflows_or_underflows(self, scale):
    actual = attacks.unit_normalize(jnp.array([[3.0, 4.0]]) * scale)
    np.testing.assert_allclose(actual, [[0.6, 0.8]], rtol=1e-6)

  @parameterized.named_parameters(
    ('rank', (3,), 'float32'),
    ('no_width', (3, 0), 'float32'),
    ('integers', (3, 2), 'int32'),
  )
  def test_bad_input_is_named(self, shape, dtype):
    with self.assertRaisesRegex(ValueError, '^vectors must'):
      attacks.unit_normalize(jnp.zeros(shape, dtype))


class ClosenessTest(parameterized.TestCase):
  @hypothesis.given(
    hnp.arrays(np.float32, (6, 3), elements=st.floats(-5, 5, width=32)),
    st.floats(-100, 100, width=32),
  )
  def test_differences_are_halved_squared_distances(self, rows, offset):
    rows = rows + np.float32(offset)
    points, targets = rows[:4], rows[4:]
    close = similarity.closeness(points, targets, points.mean(0))
    distances = ((points[:, None] - targets[None]) ** 2).sum(-1)
    np.testing.assert_allclose(
      close[:, 0] - close[:, 1],
      (distances[:, 1] - distances[:, 0]) / 2,
      atol=1e-3 + 1e-5 * abs(offset),
    )

  def test_narrow_points_lose_nothing_that_matters(self):
    rng = np.random.default_rng(0)
    points = jnp.asarray(rng.normal(size=(50, 64)), jnp.bfloat16)
    targets = jnp.asarray(rng.normal(size=(5, 64)), jnp.float32)
    actual = similarity.inner_products(points, targets)
    expected = np.asarray(points, float) @ np.asarray(targets, float).T
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected, atol=1e-3)
