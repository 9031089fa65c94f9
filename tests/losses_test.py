import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import losses


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_squared_error_is_summed_over_outputs_in_float32(dtype):
  rng = np.random.default_rng(0)
  outputs, targets = jnp.asarray(rng.normal(size=(2, 6, 3)), dtype)
  found = jax.jit(losses.squared_error)(outputs, targets)
  wide = [np.asarray(x, np.float64) for x in (outputs, targets)]
  np.testing.assert_allclose(
    found, ((wide[0] - wide[1]) ** 2).sum(1), rtol=1e-5
  )
  assert found.dtype == jnp.float32


def test_squared_error_of_one_output_takes_flat_targets():
  outputs, targets = jnp.array([[1.0], [4.0]]), jnp.array([3.0, 4.0])
  found = losses.squared_error(outputs, targets)
  np.testing.assert_array_equal(found, [4, 0])
  grads = jax.grad(lambda x: losses.squared_error(x, targets).sum())(outputs)
  np.testing.assert_array_equal(grads, [[-4], [0]])


def test_targets_that_do_not_fit_are_refused():
  with pytest.raises(ValueError, match='one for each output'):
    losses.squared_error(jnp.ones((4, 2)), jnp.ones(4))
  with pytest.raises(ValueError, match='one for each output'):
    losses.squared_error(jnp.ones((4, 1)), jnp.ones(3))
