from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from splitjax import losses
from splitjax.defenses import distance_correlation

_correlation = jax.jit(distance_correlation.distance_correlation)
_gradient = jax.jit(jax.grad(distance_correlation.distance_correlation))


def _reference(x, y):
  """Definition 4 of Szekely et al. (2007), one pair at a time in float64."""
  centred = []
  for z in (x, y):
    z = np.asarray(z, np.float64).reshape(len(z), -1)
    a = np.array([[np.linalg.norm(p - q) for q in z] for p in z])
    of_rows, of_columns = a.mean(1, keepdims=True), a.mean(0, keepdims=True)
    centred.append(a - of_rows - of_columns + a.mean())
  a, b = centred
  variances = (a * a).mean() * (b * b).mean()
  if variances == 0:
    return 0.0
  return np.sqrt(max((a * b).mean(), 0) / np.sqrt(variances))


def _draw(batch=12, width=5, seed=0, dtype='float32'):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(batch, width))
  return jnp.asarray(x, dtype), jnp.asarray(rng.integers(0, 3, batch))


@jax.jit
def _losses(logits, smashed, labels, weight):
  return distance_correlation.loss(
    losses.cross_entropy, logits, smashed, labels, weight=weight
  )


@jax.jit
def _grads(logits, smashed, labels, weight):
  mean_loss = lambda *args: jnp.mean(_losses(*args))
  return jax.grad(mean_loss, (0, 1))(logits, smashed, labels, weight)


class DistanceCorrelationTest(parameterized.TestCase):
  @parameterized.product(
    batch=[2, 12], width=[1, 5], dtype=['float32', 'bfloat16']
  )
  def test_matches_a_loop(self, batch, width, dtype):
    x, labels = _draw(batch, width, dtype=dtype)
    y = jnp.asarray(jax.nn.one_hot(labels, 3) + 0.1 * x[:, :1], dtype)
    actual = _correlation(x, y)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, _reference(x, y), rtol=1e-4)

  def test_duplicates_and_images_match_a_loop(self):
    x, y = _draw(12, 8)
    x = x.at[3].set(x[7]).at[4].set(x[7]).reshape(12, 2, 2, 2)
    y = jax.nn.one_hot(y, 3)
    np.testing.assert_allclose(_correlation(x, y), _reference(x, y), rtol=1e-5)

  @hypothesis.given(
    st.integers(0, 1000), st.sampled_from([1e-20, 1.0, 1e20, 1e38])
  )
  def test_invariant_to_shift_scale_rotation_and_order(self, seed, scale):
    x, y = _draw(seed=seed)
    y = jax.nn.one_hot(y, 3)
    expected = _correlation(x, y)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))[0]
    moved = (x @ rotation + 3) * np.float32(scale / 10)
    order = np.random.default_rng(seed).permutation(12)
    actual = _correlation(moved[order], y[order])
    np.testing.assert_allclose(actual, expected, rtol=1e-3)
    np.testing.assert_allclose(_correlation(y, x), expected, rtol=1e-5)
    assert 0 <= expected <= 1

  def test_is_one_for_a_scaled_copy(self):
    x, _ = _draw()
    np.testing.assert_allclose(_correlation(x, 2 * x - 1), 1, rtol=1e-6)
    assert _correlation(x, x) <= 1

  def test_gradient_matches_finite_differences(self):
    x, labels = _draw(8, 3)
    y = jax.nn.one_hot(labels, 3)
    actual, step = _gradient(x, y), 1e-6
    for index in np.ndindex(8, 3):
      high, low = (np.array(x, np.float64) for _ in range(2))
      high[index] += step
      low[index] -= step
      expected = (_reference(high, y) - _reference(low, y)) / (2 * step)
      np.testing.assert_allclose(actual[index], expected, atol=1e-5)

  @parameterized.named_parameters(
    ('constant', np.full((6, 3), 0.1)),
    ('zeros', np.zeros((6, 3))),
    ('largest', np.full((6, 3), 3e38)),
    ('smallest', np.eye(6, 3) * 1e-38),
    ('tiny_on_large', 1e10 + np.eye(6, 3)),
    ('two_values', np.repeat(np.eye(2, 3), 3, 0)),
    ('opposite', np.repeat([[3e38, -3e38, 0], [-3e38, 3e38, 1]], 3, 0)),
    ('outlier', np.eye(1, 6).T * np.ones((1, 3)) * 1e-6 + 1),
  )
  def test_edges_have_finite_values_and_gradients(self, x):
    x = jnp.asarray(x, jnp.float32)
    for labels in ([0, 0, 0, 1, 1, 2], [1] * 6):
      y = jax.nn.one_hot(jnp.array(labels), 3)
      with jax.debug_nans(True):
        value, gradient = _correlation(x, y), _gradient(x, y)
      assert 0 <= value <= 1
      assert np.isfinite(gradient).all()
      if len(set(labels)) == 1 or (np.asarray(x) == np.asarray(x[:1])).all():
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)

  def test_independent_rows_have_none(self):
    x, y = jnp.array([[0.0], [0], [1], [1]]), jnp.array([[0.0], [1], [0], [1]])
    with jax.debug_nans(True):
      assert _correlation(x, y) == 0
      np.testing.assert_array_equal(_gradient(x, y), 0)

  def test_one_sample_has_none(self):
    with jax.debug_nans(True):
      assert _correlation(jnp.ones((1, 3)), jnp.ones((1, 2))) == 0
      np.testing.assert_array_equal(
        _gradient(jnp.ones((1, 3)), jnp.ones((1, 2))), 0
      )

  def test_chunks_equal_the_whole(self):
    x, _ = _draw(200, 2**9)  # 40 rows at once.
    distances = distance_correlation.pairwise_distances(x)
    exact = np.asarray(x, float)
    for row in (0, 39, 40, 199):
      expected = np.linalg.norm(exact - exact[row][None], axis=1)
      np.testing.assert_allclose(distances[row], expected, rtol=1e-5)

  def test_gradient_of_one_distance(self):
    x, _ = _draw(4, 3)
    distance = lambda x: distance_correlation.pairwise_distances(x)[0, 2]
    expected, away = np.zeros((4, 3)), x[0] - x[2]
    expected[0] = away / np.linalg.norm(away)
    expected[2] = -expected[0]
    np.testing.assert_allclose(jax.grad(distance)(x), expected, atol=1e-6)


class LossTest(parameterized.TestCase):
  def test_adds_the_logarithm(self):
    smashed, labels = _draw()
    logits = smashed[:, :3]
    weights = np.array([0.0, 0.5, 2.0])
    actual = jax.vmap(_losses, (None, None, None, 0))(
      logits, smashed, labels, weights
    )
    y = jax.nn.one_hot(labels, 3)
    plain = losses.cross_entropy(logits, labels)
    penalty = weights * np.log(_reference(smashed, y))
    np.testing.assert_allclose(
      actual, plain[None] + penalty[:, None], rtol=1e-5
    )
    soft = _losses(logits, smashed, y, 0.5)
    np.testing.assert_allclose(soft, actual[1], rtol=1e-5)

  @parameterized.parameters('float32', 'bfloat16')
  def test_off_is_the_loss_and_its_gradient_bit_for_bit(self, dtype):
    smashed, labels = _draw(dtype=dtype)
    smashed = smashed.at[-1].set(smashed[0])
    logits = smashed[:, :3]
    expected = jax.jit(losses.cross_entropy)(logits, labels)
    actual = _losses(logits, smashed, labels, 0.0)
    assert np.asarray(actual).tobytes() == np.asarray(expected).tobytes()
    mean_loss = lambda x, y: jnp.mean(losses.cross_entropy(x, y))
    of_logits, of_smashed = _grads(logits, smashed, labels, 0.0)
    expected = jax.jit(jax.grad(mean_loss))(logits, labels)
    assert of_logits.tobytes() == expected.tobytes()
    np.testing.assert_array_equal(np.asarray(of_smashed, np.float32), 0)

  def test_edges_have_finite_gradients(self):
    for smashed in (jnp.zeros((4, 3)), jnp.tile(jnp.eye(2, 3), (2, 1))):
      for labels in ([0, 1, 2, 0], [1, 1, 1, 1], [0, 1, 0, 1]):
        labels = jnp.array(labels)
        with jax.debug_nans(True):
          grads = _grads(smashed, smashed, labels, 1.0)
          value = _losses(smashed, smashed, labels, 1.0)
        assert np.isfinite(value).all()
        assert all(np.isfinite(g).all() for g in grads)

  def test_descent_lowers_the_correlation(self):
    smashed, labels = _draw(30)
    smashed = smashed + 2 * jax.nn.one_hot(labels, 5)
    y = jax.nn.one_hot(labels, 3)
    moved = smashed
    for _ in range(30):
      moved -= 2 * _grads(jnp.zeros((30, 3)), moved, labels, 1.0)[1]
    assert _correlation(moved, y) < 0.8 * _correlation(smashed, y)

  def test_bad_weight_is_named(self):
    with self.assertRaisesRegex(ValueError, 'weight must .* got -1'):
      distance_correlation.loss(
        losses.cross_entropy,
        jnp.ones((2, 2)),
        jnp.ones((2, 2)),
        jnp.arange(2),
        weight=-1,
      )
