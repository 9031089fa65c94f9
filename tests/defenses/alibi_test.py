from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats

from splitjax import losses
from splitjax.defenses import alibi

_EPSILONS = np.float32([0.1, 1, 8, 50])


@jax.jit
def _posterior(logits, labels, epsilon):
  """The soft labels that the loss is computed with."""
  read_labels = lambda logits, labels: labels
  return alibi.loss(read_labels, logits, logits, labels, epsilon=epsilon)


def _slow_posterior(logits, noisy, epsilon):
  """A product of Laplace densities for each class, in float64."""
  prior = scipy.special.log_softmax(np.asarray(logits, float), axis=1)
  noisy = np.asarray(noisy, float)
  log_posterior = np.zeros_like(prior)
  for i, vector in enumerate(noisy):
    for c in range(noisy.shape[1]):
      one_hot = np.eye(noisy.shape[1])[c]
      density = scipy.stats.laplace.logpdf(vector, one_hot, 2 / epsilon)
      log_posterior[i, c] = prior[i, c] + density.sum()
  return scipy.special.softmax(log_posterior, axis=1)


class PerturbTest(parameterized.TestCase):
  def test_noise_is_laplace_of_scale_two_over_epsilon(self):
    labels = jnp.arange(2000) % 3
    perturb_fn = lambda epsilon: alibi.perturb(
      jax.random.key(0), labels, num_classes=3, epsilon=epsilon
    )
    vectors = jax.jit(jax.vmap(perturb_fn))(_EPSILONS)
    assert vectors.shape == (4, 2000, 3) and vectors.dtype == jnp.float32
    for noisy, epsilon in zip(vectors, _EPSILONS, strict=True):
      noise = np.asarray(noisy, float) - np.eye(3)[np.arange(2000) % 3]
      test = scipy.stats.kstest(
        noise.ravel(), scipy.stats.laplace(scale=2 / epsilon).cdf
      )
      # Wrong by a tenth in scale gives about 1e-4.
      assert test.pvalue > 0.01
      correlation = np.corrcoef(noise.T) - np.eye(3)
      # The standard error is 1 / sqrt(2000) = 0.022.
      np.testing.assert_allclose(correlation, 0, atol=0.1)

  def test_infinite_epsilon_is_exactly_one_hot(self):
    labels = jnp.array([2, 0, 1, 1])
    perturb = jax.jit(alibi.perturb, static_argnames='num_classes')
    noisy = perturb(jax.random.key(0), labels, num_classes=3, epsilon=jnp.inf)
    assert noisy.tobytes() == jax.nn.one_hot(labels, 3).tobytes()

  def test_zero_epsilon_is_finite(self):
    noisy = alibi.perturb(
      jax.random.key(0), jnp.arange(1000) % 2, num_classes=2, epsilon=0.0
    )
    assert np.isfinite(noisy).all()

  @parameterized.named_parameters(
    ('epsilon', dict(epsilon=-2.0), 'epsilon must be at least 0, got -2.0'),
    ('labels', dict(labels=jnp.ones(3)), 'labels must be integers'),
    ('classes', dict(num_classes=0), 'num_classes must be at least 1, got 0'),
  )
  def test_bad_argument_is_named(self, change, message):
    kwargs = dict(labels=jnp.arange(3), num_classes=3, epsilon=1.0)
    with self.assertRaisesRegex(ValueError, message):
      alibi.perturb(jax.random.key(0), **{**kwargs, **change})


class LossTest(parameterized.TestCase):
  @parameterized.product(dtype=['float32', 'bfloat16'], shape=[(1, 1), (20, 5)])
  def test_posterior_matches_products_of_densities(self, dtype, shape):
    rng = np.random.default_rng(0)
    logits = jnp.asarray(3 * rng.normal(size=shape), dtype)
    noisy = jnp.asarray(rng.laplace(size=shape), jnp.float32)
    actual = jax.vmap(_posterior, (None, None, 0))(logits, noisy, _EPSILONS)
    assert actual.dtype == jnp.float32
    for posterior, epsilon in zip(actual, _EPSILONS, strict=True):
      expected = _slow_posterior(logits, noisy, float(epsilon))
      np.testing.assert_allclose(posterior, expected, rtol=2e-5, atol=1e-30)

  @hypothesis.given(
    st.lists(
      st.floats(-(2.0**100), 2.0**100, width=32), min_size=4, max_size=4
    ),
    st.floats(0, 30, width=32),
  )
  def test_no_noisy_label_tells_more_than_epsilon(self, vector, epsilon):
    noisy = jnp.array([vector], jnp.float32)
    posterior = _posterior(jnp.zeros((1, 4)), noisy, np.float32(epsilon))
    ratio = float(posterior.max() / posterior.min())
    assert ratio <= np.exp(epsilon) * (1 + 1e-5)

  def test_posterior_is_calibrated(self):
    num_samples, epsilon = 20_000, 3.0
    labels = jax.random.randint(jax.random.key(0), (num_samples,), 0, 3)
    noisy = alibi.perturb(
      jax.random.key(1), labels, num_classes=3, epsilon=epsilon
    )
    posterior = _posterior(jnp.zeros((num_samples, 3)), noisy, epsilon)
    posterior = np.asarray(posterior)
    is_label = np.asarray(labels)[:, None] == np.arange(3)
    for low in (0.0, 0.2, 0.4, 0.6):
      within = (posterior > low) & (posterior <= low + 0.2)
      assert within.sum() > 1000
      # At least 1000 samples: a standard error of at most 0.016.
      np.testing.assert_allclose(
        is_label[within].mean(), posterior[within].mean(), atol=0.05
      )

  @parameterized.parameters('float32', 'bfloat16')
  def test_infinite_epsilon_is_the_undefended_loss(self, dtype):
    rng = np.random.default_rng(0)
    logits = jnp.asarray(10 * rng.normal(size=(6, 4)), dtype)
    labels = jax.nn.one_hot(jnp.array([3, 0, 0, 1, 2, 3]), 4)

    def total(logits, epsilon):
      loss = alibi.loss(
        losses.cross_entropy, logits, None, labels, epsilon=epsilon
      )
      return loss.sum(), loss

    with jax.debug_nans(True):
      grads, loss = jax.jit(jax.grad(total, has_aux=True))(logits, jnp.inf)
    expected_fn = lambda logits: losses.cross_entropy(logits, labels)
    assert loss.tobytes() == jax.jit(expected_fn)(logits).tobytes()
    expected = jax.grad(lambda logits: expected_fn(logits).sum())(logits)
    np.testing.assert_allclose(
      np.asarray(grads, float),
      np.asarray(expected, float),
      rtol=1e-2,
      atol=1e-6,
    )

  def test_no_gradient_flows_through_the_prior(self):
    rng = np.random.default_rng(0)
    logits, noisy = jnp.asarray(rng.normal(size=(2, 5, 3)), jnp.float32)
    grads = jax.grad(
      lambda x: alibi.loss(
        losses.cross_entropy, x, None, noisy, epsilon=2.0
      ).sum()
    )(logits)
    expected = jax.nn.softmax(logits) - _posterior(logits, noisy, 2.0)
    np.testing.assert_allclose(grads, expected, atol=1e-6)

  @parameterized.parameters(0.0, 1e-30, 1.0, 3e38, np.inf)
  def test_extremes_are_finite(self, epsilon):
    logits = jnp.array([[0.0, 0.0], [3e38, -3e38], [-1e3, 1e3]])
    noisy = jnp.array([[3e38, 3e38], [-3e38, 3e38], [1.0, 0.0]])
    with jax.debug_nans(True):
      posterior = _posterior(logits, noisy, epsilon)
    np.testing.assert_allclose(posterior.sum(axis=1), 1, rtol=1e-6)

  def test_labels_must_be_noisy_vectors(self):
    with self.assertRaisesRegex(ValueError, r'labels must .* got \(3,\)'):
      alibi.loss(
        losses.cross_entropy, jnp.eye(3), None, jnp.arange(3), epsilon=1.0
      )
