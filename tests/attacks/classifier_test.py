import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import classifier


@pytest.mark.parametrize('num', [0, 1, 4, 5, 8, 9])
def test_in_chunks_equals_all_at_once(num):
  x = jnp.arange(3.0 * num).reshape(num, 3)
  fn = lambda x: jnp.cumsum(x, axis=1)
  np.testing.assert_array_equal(classifier.in_chunks(fn, x, 4), fn(x))


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_features_are_standardised_with_the_numbers_of_training(dtype):
  rng = np.random.default_rng(0)
  features = rng.normal(size=(40, 3)) * [1, 0.01, 0] + [5, 0, 7]
  features = jnp.asarray(features, dtype)
  params, embed_fn, head_fn = classifier.make_network(
    jax.random.key(0),
    classifier.Extractor(lambda _, x: x, {}, 100),
    features,
    num_classes=2,
    hidden_size=None,
    normalize=True,
  )
  wide = np.asarray(features, float)
  scale = np.where(wide.std(axis=0) > 1e-6, wide.std(axis=0), 1)
  actual = embed_fn(params, 2 * features)
  expected = (2 * wide - wide.mean(axis=0)) / scale / np.sqrt(3)
  assert actual.dtype == jnp.float32
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
  np.testing.assert_array_equal(head_fn(params, actual), np.zeros((40, 2)))


def test_features_that_are_there_are_not_computed():
  x = jnp.ones((5, 2))
  assert classifier.features_of(classifier.FROZEN, x) is x
  triple = classifier.Extractor(
    lambda params, x: x[:, :, None] * params, 3.0, 2
  )
  found = classifier.features_of(triple, x)
  np.testing.assert_array_equal(found, 3 * x)
