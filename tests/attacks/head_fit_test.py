import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import classifier
from splitjax.attacks import head_fit


def test_fit_trains_a_head_and_reads_in_chunks():
  """Its loss sees the network; what it returns labels any number of inputs."""
  x = jnp.array([[3.0, 0.0], [0.0, 3.0], [4.0, 1.0]])
  labels = jnp.array([1, 0, 1])

  def loss_fn(network, params, key, step):
    del key, step
    logits = network.head_fn(params, network.embed_fn(params, x))
    return jnp.mean((logits - jax.nn.one_hot(labels, 2)) ** 2)

  logits_fn = head_fit.fit(
    jax.random.key(0),
    classifier.Extractor(lambda params, x: x * params, jnp.ones(()), 2),
    x,
    loss_fn,
    num_classes=2,
    hidden_size=None,
    normalize=True,
    num_steps=50,
    learning_rate=0.1,
    extractor_learning_rate=0.0,
  )
  np.testing.assert_array_equal(jnp.argmax(logits_fn(x), axis=1), labels)
  np.testing.assert_allclose(logits_fn(x[:1]), logits_fn(x)[:1], rtol=1e-5)


@pytest.mark.parametrize('name', ['features', 'aux_features', 'new_features'])
def test_features_that_are_no_matrix_are_named(name):
  names = ['features', 'aux_features', 'aux_labels', 'new_features']
  arrays = {x: jnp.ones((3, 2)) for x in names} | {name: jnp.ones(3)}
  with pytest.raises(ValueError, match=f'^{name} must have shape'):
    head_fit.prepare_features(head_fit.Samples(*arrays.values()))


def test_rows_are_all_or_drawn():
  for size in (10, 11):
    rows = head_fit.draw_rows(jax.random.key(0), 10, size)
    np.testing.assert_array_equal(rows, np.arange(10))
  rows = jax.vmap(lambda key: head_fit.draw_rows(key, 10, 3))(
    jax.random.split(jax.random.key(0), 100)
  )
  assert rows.shape == (100, 3)
  np.testing.assert_array_equal(np.unique(rows), np.arange(10))


def test_each_part_has_its_learning_rate():
  params = {'extractor': {'w': jnp.ones(2)}, 'head': {'w': jnp.ones(2)}}
  loss = lambda p, key, step: sum(jnp.sum(p[k]['w']) for k in p)
  moved = head_fit.minimize(
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
  moved = head_fit.minimize(
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
