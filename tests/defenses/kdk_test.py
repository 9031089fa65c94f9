from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from splitjax import losses
from splitjax.defenses import kdk


@jax.jit
def _soften(labels, teacher_logits, k, smoothing):
  return kdk.soften(
    labels,
    teacher_logits,
    num_classes=teacher_logits.shape[1],
    k=k,
    smoothing=smoothing,
  )


@jax.jit
def _loss_and_grad(logits, labels, k, smoothing):
  def total(logits):
    loss = kdk.loss(
      losses.cross_entropy, logits, None, labels, k=k, smoothing=smoothing
    )
    return loss.sum(), loss

  grads, loss = jax.grad(total, has_aux=True)(logits)
  return loss, grads


def _slow_row(label, logits, k, smoothing):
  num_classes = len(logits)
  ranked = sorted(range(num_classes), key=lambda c: (-logits[c], c))
  ranked.remove(label)
  others = ranked[: min(k, num_classes) - 1]
  row = np.zeros(num_classes)
  row[label] = 1 - smoothing if others else 1
  for other in others:
    row[other] = smoothing / len(others)
  return row


class SoftenTest(parameterized.TestCase):
  @parameterized.product(dtype=['float32', 'bfloat16'], num_classes=[1, 2, 5])
  def test_matches_a_loop(self, dtype, num_classes):
    rng = np.random.default_rng(0)
    # Rounded, so that there are ties.
    logits = jnp.asarray(np.round(rng.normal(size=(30, num_classes)), 1), dtype)
    labels = jnp.asarray(rng.integers(0, num_classes, 30))
    ks = np.array([1, 2, 3, 4, 5, 9])
    smoothings = np.float32([0, 0.25, 0.65, 1])
    over_k = jax.vmap(_soften, (None, None, 0, None))
    actual = jax.vmap(over_k, (None, None, None, 0))(
      labels, logits, ks, smoothings
    )
    assert actual.dtype == jnp.float32
    rows = np.asarray(logits, float)
    expected = [
      [
        [_slow_row(*s, k, e) for s in zip(labels, rows, strict=True)]
        for k in ks
      ]
      for e in smoothings
    ]
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(actual.sum(axis=-1), 1, rtol=1e-6)

  @hypothesis.given(
    st.permutations(range(5)), st.integers(1, 6), st.floats(0, 1, width=32)
  )
  def test_soft_label_is_the_mean_over_its_classes(self, logits, k, smoothing):
    logits = jnp.tile(jnp.array(logits, jnp.float32), (5, 1))
    soft = np.float32([0.1, 0.4, 0.0, 0.3, 0.2])
    of_class = np.asarray(_soften(jnp.arange(5), logits, k, smoothing))
    actual = _soften(jnp.asarray(soft)[None], logits[:1], k, smoothing)
    np.testing.assert_allclose(actual[0], soft @ of_class, rtol=1e-5, atol=1e-7)
    # Each label has k classes, its own included, whatever the teacher says.
    if 0.01 < smoothing < 0.99:
      np.testing.assert_array_equal((of_class > 0).sum(axis=1), min(k, 5))
    np.testing.assert_allclose(
      np.diagonal(of_class), 1 - smoothing if k > 1 else 1, rtol=1e-6
    )

  def test_off_is_exactly_one_hot(self):
    labels = jnp.array([2, 0, 1])
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)))
    one_hot = jax.nn.one_hot(labels, 3)
    for k, smoothing in ((3, 0.0), (1, 0.7), (1, 0.0)):
      assert (
        _soften(labels, logits, k, smoothing).tobytes() == one_hot.tobytes()
      )
    soft = jnp.float32([[0.3, 0.7, -0.0]])
    assert _soften(soft, logits[:1], 2, 0.0).tobytes() == soft.tobytes()

  @parameterized.named_parameters(
    ('k', dict(k=0), 'k must be at least 1, got 0'),
    ('smoothing', dict(smoothing=1.5), 'smoothing must lie .* got 1.5'),
    ('labels', dict(labels=jnp.ones((3, 2))), 'labels must be classes'),
    ('float', dict(labels=jnp.ones(3)), 'labels must be classes .* float32'),
    ('rows', dict(labels=jnp.arange(2)), 'teacher_logits must have shape'),
    ('width', dict(num_classes=5), 'teacher_logits must have .* got'),
  )
  def test_bad_argument_is_named(self, change, message):
    kwargs = dict(
      labels=jnp.arange(3),
      teacher_logits=jnp.ones((3, 4)),
      num_classes=4,
      k=2,
      smoothing=0.5,
    )
    with self.assertRaisesRegex(ValueError, message):
      kdk.soften(**{**kwargs, **change})


class LossTest(parameterized.TestCase):
  @parameterized.parameters('float32', 'bfloat16')
  def test_is_the_loss_of_softened_labels_at_their_fixed_value(self, dtype):
    rng = np.random.default_rng(0)
    logits = jnp.asarray(3 * rng.normal(size=(10, 4)), dtype)
    labels = jnp.asarray(rng.integers(0, 4, 10))
    loss, grads = _loss_and_grad(logits, labels, 3, 0.6)
    wide = np.asarray(logits, float)
    soft = np.stack(
      [_slow_row(*s, 3, 0.6) for s in zip(labels, wide, strict=True)]
    )
    log_probs = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(loss, -(soft * log_probs).sum(axis=1), rtol=1e-5)
    assert grads.dtype == dtype
    # No gradient through the ranking; bfloat16 has three digits.
    np.testing.assert_allclose(
      np.asarray(grads, float),
      np.exp(log_probs) - soft,
      atol=1e-6 if dtype == 'float32' else 5e-3,
    )

  @parameterized.parameters(
    ('float32', False), ('float32', True), ('bfloat16', False)
  )
  def test_off_is_the_undefended_loss(self, dtype, soft):
    rng = np.random.default_rng(0)
    logits = jnp.asarray(3 * rng.normal(size=(50, 4)), dtype)
    labels = jnp.asarray(rng.integers(0, 4, 50))
    if soft:
      labels = jnp.asarray(rng.dirichlet(np.ones(4), 50), jnp.float32)
    loss, grads = _loss_and_grad(logits, labels, 3, 0.0)
    loss_fn = lambda logits: losses.cross_entropy(logits, labels)
    expected = jax.jit(loss_fn)(logits)
    assert loss.tobytes() == expected.tobytes()
    np.testing.assert_allclose(
      np.asarray(grads, float),
      np.asarray(jax.grad(lambda x: loss_fn(x).sum())(logits), float),
      rtol=1e-2,
      atol=1e-6,
    )

  def test_edges_are_finite(self):
    logits = jnp.array([[0.0, 0.0, 0.0], [1e38, -1e38, 0.0], [5.0, 5.0, 5.0]])
    with jax.debug_nans(True):
      for smoothing in (0.0, 0.5, 1.0):
        loss, grads = _loss_and_grad(logits, jnp.array([0, 0, 0]), 2, smoothing)
        assert np.isfinite(loss).all() and np.isfinite(grads).all()
      loss, _ = _loss_and_grad(jnp.ones((1, 1)), jnp.array([0]), 3, 0.5)
    np.testing.assert_allclose(loss, [0], atol=1e-6)
