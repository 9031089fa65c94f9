import functools

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from splitjax import losses
from splitjax.defenses import mixup

_NUM_CLASSES = 3


@jax.jit
def _mix(key, inputs, labels, alpha):
  return mixup.mix(key, inputs, labels, num_classes=_NUM_CLASSES, alpha=alpha)


def _draw(key, alpha, batch=8):
  """`lam` and the order of the partners, read off a mixed identity."""
  weights, _ = _mix(key, jnp.eye(batch), jnp.zeros(batch, jnp.int32), alpha)
  weights = np.asarray(weights, float)
  lam = np.diagonal(weights).min()
  return lam, np.argmax(weights - lam * np.eye(batch), axis=1)


@functools.cache
def _many():
  """The identity mixed 2,000 times by each alpha, in one program."""
  alphas = jnp.float32([0.2, 1.0, 8.0, 1e-45, 1e-38, 1e-30, 1e-6])
  keys = jax.random.split(jax.random.key(0), 2000)
  labels = jnp.zeros(8, jnp.int32)
  mix_fn = lambda key, alpha: _mix(key, jnp.eye(8), labels, alpha)[0]
  with jax.debug_nans(True):
    weights = jax.vmap(jax.vmap(mix_fn, (0, None)), (None, 0))(keys, alphas)
  return alphas, np.asarray(weights)


class MixTest(parameterized.TestCase):
  @parameterized.parameters(
    ('float32', (8, 8), False),
    ('bfloat16', (8, 2, 3, 1), False),
    ('bfloat16', (8, 4), True),
  )
  def test_matches_a_loop(self, dtype, shape, soft):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=shape), dtype)
    labels = jnp.arange(8) % _NUM_CLASSES
    if soft:
      labels = jnp.asarray(rng.dirichlet([1, 1, 1], 8), dtype)
    one_hot = labels if soft else np.eye(_NUM_CLASSES)[np.arange(8) % 3]
    key = jax.random.key(3)
    lam, order = _draw(key, 0.7)
    assert 0.1 < lam < 0.9 and sorted(order) == list(range(8))
    assert (order != np.arange(8)).any()
    mixed_inputs, mixed_labels = _mix(key, inputs, labels, 0.7)
    assert mixed_inputs.dtype == dtype and mixed_labels.dtype == jnp.float32
    rtol = 1e-5 if dtype == 'float32' else 1e-2
    for i, j in enumerate(order):
      for x, actual, tolerance in (
        (inputs, mixed_inputs, rtol),
        (one_hot, mixed_labels, 1e-5),
      ):
        x = np.asarray(x, float)
        expected = lam * x[i] + (1 - lam) * x[j]
        np.testing.assert_allclose(
          np.asarray(actual[i], float), expected, rtol=tolerance, atol=tolerance
        )

  def test_pairs_are_those_that_were_mixed(self):
    key = jax.random.key(5)
    weights, partners = mixup.pairs(key, 8, alpha=0.7)
    lam, order = _draw(key, 0.7)
    np.testing.assert_allclose(weights, np.full(8, lam), rtol=1e-5)
    assert partners.tolist() == list(order)
    weights, _ = mixup.pairs(key, 8, alpha=0.0)
    assert weights.tolist() == [1] * 8

  def test_lam_is_beta(self):
    alphas, weights = (x[:3] for x in _many())
    # The diagonal is `lam`, save where a sample is its own partner.
    lam = np.diagonal(weights, axis1=2, axis2=3).min(axis=2)
    for draws, alpha in zip(lam, alphas, strict=True):
      test = scipy.stats.kstest(draws, scipy.stats.beta(alpha, alpha).cdf)
      assert test.pvalue > 0.01

  def test_alpha_zero_is_off(self):
    rows = jnp.array([[-0.0, 0.0], [1e-45, 3e38], [-1.0, 0.1]])
    inputs, labels = jnp.resize(rows, (8, 8)), jnp.arange(8) % 3
    for dtype in ('float32', 'bfloat16'):
      x = inputs.astype(dtype)
      mixed_inputs, mixed_labels = _mix(jax.random.key(0), x, labels, 0.0)
      assert mixed_inputs.dtype == dtype
      assert mixed_inputs.tobytes() == x.tobytes()
      assert mixed_labels.tobytes() == jax.nn.one_hot(labels, 3).tobytes()
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3)))
    np.testing.assert_allclose(
      losses.cross_entropy(logits, mixed_labels),
      losses.cross_entropy(logits, labels),
      rtol=1e-6,
    )

  def test_tiny_alpha_swaps_half_of_the_batches(self):
    weights = _many()[1][3:]
    assert set(np.unique(weights)) == {0, 1}
    is_swapped = (np.diagonal(weights, axis1=2, axis2=3) == 0).any(axis=2)
    # The standard error is 0.5 / sqrt(2000) = 0.011. A subnormal number may
    # count as 0, which is off.
    np.testing.assert_allclose(is_swapped[2:].mean(axis=1), 0.5, atol=0.05)

  def test_large_alpha_averages(self):
    weights, _ = _mix(
      jax.random.key(0), jnp.eye(8), jnp.zeros(8, jnp.int32), 1e8
    )
    assert set(np.unique(np.round(weights, 2))) <= {0, 0.5, 1}
    assert np.isfinite(weights).all()

  def test_one_sample_is_its_own_partner(self):
    inputs = jnp.array([[1.0, -2.0]])
    mixed_inputs, mixed_labels = _mix(
      jax.random.key(0), inputs, jnp.array([1]), 0.5
    )
    np.testing.assert_allclose(mixed_inputs, inputs, rtol=1e-6)
    np.testing.assert_allclose(mixed_labels, [[0, 1, 0]], rtol=1e-6)

  def test_vmap_over_strengths_equals_a_loop(self):
    inputs = jnp.asarray(
      np.random.default_rng(0).normal(size=(8, 8)), jnp.float32
    )
    labels = jnp.arange(8) % 3
    alphas = jnp.float32([0, 0.3, 2])
    mix_fn = lambda alpha: _mix(jax.random.key(0), inputs, labels, alpha)
    actual = jax.jit(jax.vmap(mix_fn))(alphas)
    for i, alpha in enumerate(alphas):
      expected = mix_fn(float(alpha))
      np.testing.assert_allclose(
        actual[0][i], expected[0], rtol=1e-5, atol=1e-6
      )
      np.testing.assert_allclose(
        actual[1][i], expected[1], rtol=1e-5, atol=1e-6
      )

  @parameterized.named_parameters(
    (
      'tokens',
      dict(inputs=jnp.ones((4, 2), jnp.int32)),
      'inputs must be .* int',
    ),
    ('labels', dict(labels=jnp.arange(3)), r'labels must have shape \(4,\)'),
    ('soft', dict(labels=jnp.ones((4, 2))), r'labels must have shape \(4, 3\)'),
    ('alpha', dict(alpha=-0.1), 'alpha must be finite .* got -0.1'),
    ('infinite', dict(alpha=float('inf')), 'alpha must be finite .* got inf'),
  )
  def test_bad_argument_is_named(self, change, message):
    kwargs = dict(
      inputs=jnp.ones((4, 2)), labels=jnp.arange(4), num_classes=3, alpha=0.2
    )
    with self.assertRaisesRegex(ValueError, message):
      mixup.mix(jax.random.key(0), **{**kwargs, **change})


class PairsTest(parameterized.TestCase):
  @parameterized.product(
    seed=(0, 1, 2), batch=(1, 2, 7, 8), alpha=(0.2, 1.0, 8.0)
  )
  def test_are_what_mix_did(self, seed, batch, alpha):
    """The mixed identity holds the weights of every sample."""
    key = jax.random.key(seed)
    labels = jnp.zeros(batch, jnp.int32)
    mixed, _ = _mix(key, jnp.eye(batch), labels, alpha)
    weights, partners = mixup.pairs(key, batch, alpha=alpha)
    assert weights.shape == partners.shape == (batch,)
    expected = np.zeros((batch, batch))
    for i, (weight, j) in enumerate(zip(weights, partners, strict=True)):
      expected[i, i] += weight
      expected[i, j] += 1 - weight
    np.testing.assert_allclose(mixed, expected, atol=1e-6)

  def test_are_read_off_what_mix_did(self):
    """Without looking at the draws: `lam` and the order from the mixture."""
    for seed in range(3, 6):
      key = jax.random.key(seed)
      lam, order = _draw(key, 0.7)
      weights, partners = mixup.pairs(key, 8, alpha=0.7)
      np.testing.assert_allclose(weights, lam, atol=1e-6)
      others = order != np.arange(8)
      if abs(lam - 1) > 1e-3:
        np.testing.assert_array_equal(partners[others], order[others])

  def test_alpha_zero_weighs_the_sample_alone(self):
    weights, partners = mixup.pairs(jax.random.key(0), 8, alpha=0.0)
    np.testing.assert_array_equal(weights, 1)
    assert sorted(partners.tolist()) == list(range(8))

  def test_vmap_over_strengths_equals_a_loop(self):
    pairs_fn = lambda alpha: mixup.pairs(jax.random.key(1), 5, alpha=alpha)
    alphas = jnp.float32([0, 0.3, 2])
    weights, partners = jax.jit(jax.vmap(pairs_fn))(alphas)
    for i, alpha in enumerate(alphas):
      expected = pairs_fn(float(alpha))
      np.testing.assert_allclose(weights[i], expected[0], rtol=1e-5)
      np.testing.assert_array_equal(partners[i], expected[1])
