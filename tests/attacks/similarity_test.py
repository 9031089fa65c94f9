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


class NearestTest(parameterized.TestCase):
  @parameterized.product(
    num_targets=[1, 2, 9, 16, 17, 40], dtype=['float32', 'bfloat16']
  )
  def test_matches_numpy(self, num_targets, dtype):
    rng = np.random.default_rng(num_targets)
    points = jnp.asarray(rng.normal(size=(50, 6)), dtype)
    targets = np.float32(rng.normal(size=(num_targets, 6)))
    origin = jnp.full(6, 0.3)
    wide = np.asarray(points, float)
    distances = ((wide[:, None] - targets[None]) ** 2).sum(-1)
    closeness = ((wide - np.asarray(origin)) ** 2).sum(-1) - distances.min(1)
    for fn in (similarity.nearest, jax.jit(similarity.nearest)):
      indices, largest = fn(points, targets, origin)
      np.testing.assert_array_equal(indices, distances.argmin(axis=1))
      np.testing.assert_allclose(largest, closeness / 2, atol=2e-3)
      assert indices.dtype == jnp.int32

  @hypothesis.given(
    hnp.arrays(np.int8, (5, 3), elements=st.integers(-2, 2)),
    st.sampled_from([1, 8, 9, 23]),  # Of a chunk of 8; each compiles anew.
    st.sampled_from(['float32', 'bfloat16']),
  )
  def test_both_ways_are_equal_and_take_the_first(self, rows, num, dtype):
    # Small integers make many ties, and no product rounds.
    points = jnp.asarray(rows, dtype)
    targets = jnp.asarray(np.resize(rows[::-1], (num, 3)), jnp.float32)
    offsets = jnp.sum(targets**2, axis=1) / 2
    expected = np.asarray(points, np.float32) @ targets.T - offsets[None]

    def by_target(points, targets, offsets, precision):
      """Twice the same set: both found alike."""
      found = similarity.largest_by_target(
        points,
        jnp.stack([targets, targets]),
        jnp.stack([offsets, offsets]),
        precision,
      )
      for one in found:
        np.testing.assert_array_equal(one[0], one[1])
      return found[0][1], found[1][1]

    for fn in (similarity._largest_by_point, by_target):
      indices, largest = fn(points, targets, offsets, 'highest')
      np.testing.assert_array_equal(indices, expected.argmax(axis=1))
      np.testing.assert_array_equal(largest, expected.max(axis=1))

  @parameterized.product(
    num_targets=[1, 2, 5, 10, 16, 17, 40], width=[3, similarity._WIDE]
  )
  def test_nearest_of_any_number_is_the_first_of_the_nearest(
    self, num_targets, width
  ):
    rng = np.random.default_rng(num_targets)
    points = rng.integers(-2, 3, (60, width)).astype(np.float32)
    targets = points[:num_targets]
    targets[num_targets // 2] = targets[0]  # Equally near wherever it is.
    gaps = ((points[:, None].astype(float) - targets) ** 2).sum(axis=-1)
    nearest_fn = jax.jit(similarity.nearest)
    indices, closeness = nearest_fn(points, targets, jnp.zeros(width))
    np.testing.assert_array_equal(indices, gaps.argmin(axis=1))
    expected = ((points**2).sum(axis=1) - gaps.min(axis=1)) / 2
    np.testing.assert_allclose(closeness, expected, rtol=1e-6)
    # Far off, so that only targets that are there may be found.
    away = nearest_fn(points - 100, targets + 100, jnp.zeros(width))[0]
    assert np.all(np.asarray(away) < num_targets)

  def test_infinite_points_find_a_target_that_is_there(self):
    points = np.ones((2, similarity._WIDE), np.float32)
    points[:, 0] = np.inf, -np.inf
    targets = np.eye(5, similarity._WIDE, dtype=np.float32) - 0.5
    indices, _ = similarity.nearest(points, targets, jnp.zeros(len(points[0])))
    assert np.all(np.asarray(indices) < 5)

  def test_vmap_over_targets_equals_a_loop(self):
    rng = np.random.default_rng(0)
    points = np.float32(rng.normal(size=(30, 4)))
    targets = np.float32(rng.normal(size=(3, 20, 4)))
    actual = jax.vmap(similarity.nearest, (None, 0, None))(
      points, targets, jnp.zeros(4)
    )
    for index, one in enumerate(targets):
      expected = similarity.nearest(points, one, jnp.zeros(4))
      np.testing.assert_array_equal(actual[0][index], expected[0])

  def test_lower_precision_rounds_targets_of_narrow_points_once(self):
    points = jnp.ones((1, 1), jnp.bfloat16)
    target = jnp.full((1, 1), 1 + 2**-10, jnp.float32)
    exact = similarity.inner_products(points, target)
    rounded = similarity.inner_products(points, target, 'default')
    assert exact == 1 + 2**-10
    assert rounded == 1
    assert rounded.dtype == jnp.float32


class CoarseOriginTest(parameterized.TestCase):
  @parameterized.product(
    scale=[1e-12, 1e-3, 1.0, 1e6], offset=[0.0, 1e-7, 0.3, 1e5]
  )
  def test_is_amid_the_points_and_no_finer_than_it_must(self, scale, offset):
    rng = np.random.default_rng(0)
    mean = (scale * (offset + rng.normal(size=50))).astype(np.float32)
    variance = jnp.float32(scale**2)
    origin = np.asarray(similarity.coarse_origin(mean, variance))
    room = scale / 16 + 1e-6 * np.abs(mean)
    assert np.all(np.abs(origin - mean) <= room)
    nudged = mean * np.float32(1 + 1e-7)
    nudged = np.asarray(similarity.coarse_origin(nudged, variance))
    if offset < 1e5:  # There the points are that close to each other.
      np.testing.assert_array_equal(nudged, origin)

  def test_points_all_the_same_are_their_own_origin(self):
    mean = jnp.array([1e30, -2.5, 0.0])
    origin = similarity.coarse_origin(mean, jnp.float32(0))
    np.testing.assert_array_equal(origin, mean)

  @parameterized.parameters(1e-38, 1e-45, 1e38)
  def test_variances_at_the_ends_of_the_range(self, variance):
    mean = jnp.array([1.0, -3e20, 1e-30])
    origin = similarity.coarse_origin(mean, jnp.float32(variance))
    assert np.all(np.isfinite(origin))
    room = np.sqrt(variance) / 16 + 1e-6 * np.abs(mean)
    assert np.all(np.abs(origin - mean) <= room)
