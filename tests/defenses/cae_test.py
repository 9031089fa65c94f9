import functools

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.defenses import cae

pytestmark = pytest.mark.slow  # Compiles for long.

_WEIGHTS = np.float32([0.1, 0.5, 1, 2])


@functools.cache
def _fit(num_classes):
  """One fit for each entropy weight, in one program."""
  fit_fn = lambda weight: cae.fit(
    jax.random.key(0), num_classes=num_classes, entropy_weight=weight
  )
  params = jax.jit(jax.vmap(fit_fn))(_WEIGHTS)
  encode_fn = lambda p: cae.encode(
    p, jnp.arange(num_classes), num_classes=num_classes
  )
  return params, jax.jit(jax.vmap(encode_fn))(params)


def _fit_small(seed, weight):
  return cae.fit(
    jax.random.key(seed),
    num_classes=3,
    entropy_weight=weight,
    num_steps=50,
    num_hidden=8,
  )


_fit_one = jax.jit(_fit_small)


@functools.cache
def _small_fits():
  """Fits of several seeds and weights, in one program."""
  seeds = jnp.array([0, 0, 1, 0, 0])
  weights = jnp.array([1, 1, 1, 0, 1e6])
  with jax.debug_nans(True):
    params = jax.jit(jax.vmap(_fit_small))(seeds, weights)
  return [jax.tree.map(lambda x, i=i: x[i], params) for i in range(5)]


def _slow_mlp(variables, x):
  layers = variables['params']
  for name in ('layers_0', 'layers_2'):
    kernel, bias = (
      np.asarray(layers[name][k], float) for k in ('kernel', 'bias')
    )
    x = x @ kernel + bias
    x = np.maximum(x, 0) if name == 'layers_0' else x
  return x


def _slow_softmax(x):
  weights = np.exp(x - x.max(axis=-1, keepdims=True))
  return weights / weights.sum(axis=-1, keepdims=True)


class FitTest(parameterized.TestCase):
  @parameterized.parameters(2, 10)
  def test_decoder_recovers_every_class(self, num_classes):
    params, codes = _fit(num_classes)
    read_fn = lambda p, code: cae.answers(jnp.log(code), params=p)
    decoded = jax.jit(jax.vmap(read_fn))(params, codes)
    expected = np.tile(np.arange(num_classes), (len(_WEIGHTS), 1))
    np.testing.assert_array_equal(jnp.argmax(decoded, axis=-1), expected)

  @parameterized.parameters(2, 10)
  def test_codes_are_confusing_soft_labels(self, num_classes):
    codes = np.asarray(_fit(num_classes)[1])
    np.testing.assert_allclose(codes.sum(axis=-1), 1, rtol=1e-5)
    is_own = np.argmax(codes, axis=-1) == np.arange(num_classes)
    assert not is_own.any()
    entropies = -np.sum(codes * np.log(codes), axis=-1).mean(axis=-1)
    assert (np.diff(entropies) > 0).all()
    assert entropies[-1] > 0.8 * np.log(num_classes)

  def test_hidden_layers_are_as_wide_as_in_the_paper(self):
    params = _fit(2)[0]
    for half in params:
      assert half['params']['layers_0']['kernel'].shape[1:] == (2, 14**2)
      assert half['params']['layers_2']['kernel'].shape[1:] == (14**2, 2)

  def test_is_deterministic_and_depends_on_the_key(self):
    first, second, other = (
      np.asarray(params.encoder['params']['layers_2']['kernel'])
      for params in _small_fits()[:3]
    )
    assert (first == second).all() and (first != other).all()

  def test_vmap_over_keys_and_weights_equals_a_loop(self):
    for i, seed, weight in ((2, 1, 1.0), (3, 0, 0.0)):
      jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4),
        _small_fits()[i],
        _fit_one(seed, weight),
      )

  def test_extreme_weights_are_finite(self):
    for leaf in jax.tree.leaves(_small_fits()[3:]):
      assert np.isfinite(leaf).all()

  @parameterized.named_parameters(
    ('classes', dict(num_classes=1), 'num_classes must be at least 2, got 1'),
    ('weight', dict(entropy_weight=-1.0), 'entropy_weight must .* got -1.0'),
  )
  def test_bad_argument_is_named(self, change, message):
    with self.assertRaisesRegex(ValueError, message):
      kwargs = dict(num_classes=3, entropy_weight=1.0)
      cae.fit(jax.random.key(0), **{**kwargs, **change})


class ReadingTest(parameterized.TestCase):
  def test_encode_and_answers_match_numpy(self):
    params = _small_fits()[0]
    labels = jnp.array([2, 0, 0, 1])
    codes = jax.jit(cae.encode, static_argnames='num_classes')(
      params, labels, num_classes=3
    )
    assert codes.dtype == jnp.float32
    expected = _slow_softmax(_slow_mlp(params.encoder, np.eye(3)[labels]))
    np.testing.assert_allclose(codes, expected, rtol=1e-4)

    logits = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected = _slow_mlp(params.decoder, _slow_softmax(logits))
    answers = jax.jit(cae.answers)(logits, params=params)
    np.testing.assert_allclose(answers, expected, rtol=1e-4, atol=1e-5)
    narrow = cae.answers(jnp.asarray(logits, jnp.bfloat16), params=params)
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_allclose(
      np.asarray(narrow, float), expected, rtol=2e-2, atol=2e-2
    )

  def test_labels_must_be_integers(self):
    with self.assertRaisesRegex(ValueError, 'labels must be integers'):
      cae.encode(_small_fits()[0], jnp.eye(3), num_classes=3)
