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


def test_rows_are_all_or_drawn():
  for size in (10, 11):
    rows = classifier.draw_rows(jax.random.key(0), 10, size)
    np.testing.assert_array_equal(rows, np.arange(10))
  rows = jax.vmap(lambda key: classifier.draw_rows(key, 10, 3))(
    jax.random.split(jax.random.key(0), 100)
  )
  assert rows.shape == (100, 3)
  np.testing.assert_array_equal(np.unique(rows), np.arange(10))


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_features_are_standardised_with_the_numbers_of_training(dtype):
  rng = np.random.default_rng(0)
  features = rng.normal(size=(40, 3)) * [1, 0.01, 0] + [5, 0, 7]
  features = jnp.asarray(features, dtype)
  params, embed_fn, head_fn = classifier.make_classifier(
    jax.random.key(0),
    lambda _, x: x,
    {},
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


def test_each_part_has_its_learning_rate():
  params = {'extractor': {'w': jnp.ones(2)}, 'head': {'w': jnp.ones(2)}}
  loss = lambda p, key, step: sum(jnp.sum(p[k]['w']) for k in p)
  moved = classifier.minimize(
    jax.random.key(0),
    loss,
    params,
    num_steps=3,
    learning_rate=0.1,
    extractor_learning_rate=0.01,
  )
  # A constant gradient moves Adam by the learning rate.
  np.testing.assert_allclose(moved['head']['w'], 0.7, rtol=1e-4)
  np.testing.assert_allclose(moved['extractor']['w'], 0.97, rtol=1e-4)


def test_rates_may_fall_to_zero():
  """The mean of half a cosine over the steps, from the first on."""
  moved = classifier.minimize(
    jax.random.key(0),
    lambda p, key, step: p['head'] + p['extractor'],
    {'extractor': jnp.float32(1), 'head': jnp.float32(1)},
    num_steps=8,
    learning_rate=0.1,
    extractor_learning_rate=0.0,
    cosine=True,
  )
  falling = 0.1 * (1 + np.cos(np.pi * np.arange(8) / 8)) / 2
  np.testing.assert_allclose(moved['head'], 1 - falling.sum(), rtol=1e-4)
  assert moved['extractor'] == 1


def test_features_that_are_there_are_not_computed():
  x = jnp.ones((5, 2))
  assert classifier.features_of(classifier.identity, {}, x, 2) is x
  found = classifier.features_of(
    lambda params, x: x[:, :, None] * params, 3.0, x, 2
  )
  np.testing.assert_array_equal(found, 3 * x)
