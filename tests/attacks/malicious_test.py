import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from splitjax.attacks import malicious


def _reference(gradients, learning_rate, gamma=1.0, low=1.0, high=5.0):
  """Number by number, in float64; returns the path of the parameters."""
  param, last, path = np.zeros(gradients.shape[1]), None, []
  for grads in np.asarray(gradients, float):
    factors = np.ones(len(grads))
    if last is not None:
      for i, (new, old) in enumerate(zip(grads, last, strict=True)):
        factors[i] = min(max(1 + gamma * new / (old + 1e-7), low), high)
    param = param - learning_rate * factors * grads
    last = grads
    path.append(param)
  return np.stack(path)


def _path(optimizer, gradients):
  def step(state, grads):
    params, opt_state = state
    updates, opt_state = optimizer.update({'w': grads}, opt_state, params)
    params = optax.apply_updates(params, updates)
    return (params, opt_state), params['w']

  params = {'w': jnp.zeros(gradients.shape[1], gradients.dtype)}
  run = jax.jit(
    lambda g: jax.lax.scan(step, (params, optimizer.init(params)), g)
  )
  return run(gradients)[1]


@pytest.mark.parametrize(
  'options', [{}, {'gamma': 0.3}, {'low': 0.5, 'high': 2.0}]
)
def test_matches_a_loop(options):
  gradients = np.random.default_rng(0).normal(size=(12, 7)).astype(np.float32)
  optimizer = malicious.malicious_optimizer(optax.sgd(0.1), **options)
  np.testing.assert_allclose(
    _path(optimizer, gradients),
    _reference(gradients, 0.1, **options),
    rtol=1e-4,
    atol=1e-5,
  )


def test_first_step_and_turned_signs_are_left_alone():
  gradients = jnp.array([[1.0, 2.0], [-1.0, -2.0], [1.0, 2.0]])
  honest = _path(optax.sgd(0.1), gradients)
  np.testing.assert_allclose(
    _path(malicious.malicious_optimizer(optax.sgd(0.1)), gradients), honest
  )


def test_steady_gradients_are_doubled_and_growing_ones_at_most_fivefold():
  gradients = jnp.array([[1.0, 1e-3], [1.0, 1.0]])
  path = _path(malicious.malicious_optimizer(optax.sgd(1.0)), gradients)
  np.testing.assert_allclose(path[1] - path[0], [-2, -5], rtol=1e-4)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_zeros_stay_finite(dtype):
  gradients = jnp.array([[0, -1e-7, 1], [0, 0, 0], [1, 0, 0]], dtype)
  optimizer = malicious.malicious_optimizer(optax.sgd(1.0))
  with jax.debug_nans(True):
    path = _path(optimizer, gradients)
  assert path.dtype == dtype
  np.testing.assert_allclose(path[-1].astype(float), [-5, 0, -1], atol=1e-6)


def test_gamma_zero_and_inner_optimizer_with_momentum():
  gradients = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
  inner = optax.sgd(0.1, momentum=0.9)
  np.testing.assert_allclose(
    _path(malicious.malicious_optimizer(inner, gamma=0.0), gradients),
    _path(inner, gradients),
    rtol=1e-5,
  )
