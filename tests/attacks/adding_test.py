import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import adding


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_all_ways_equal_a_loop(dtype):
  rng = np.random.default_rng(0)
  points = jnp.asarray(rng.normal(size=(100, 7)), dtype)
  assignments = rng.integers(0, 4, 100)  # The last cluster stays empty.
  rows = np.asarray(points, float)
  expected = [rows[assignments == k].sum(axis=0) for k in range(5)]
  for sums in (
    adding.by_segment(points, assignments, 5, jnp.float32),
    adding.by_product(points, assignments, 5, jnp.float32),
    jax.jit(adding.sums_of_clusters, static_argnums=2)(points, assignments, 5),
  ):
    assert sums.dtype == jnp.float32
    np.testing.assert_allclose(sums, expected, rtol=1e-4, atol=1e-4)
