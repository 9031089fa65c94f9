import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks.kmeans import cluster_sums


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_all_ways_equal_a_loop(dtype):
  rng = np.random.default_rng(0)
  points = jnp.asarray(rng.normal(size=(100, 7)), dtype)
  assignments = rng.integers(0, 4, 100)  # The last cluster stays empty.
  rows = np.asarray(points, float)
  expected = [rows[assignments == k].sum(axis=0) for k in range(5)]
  for sums_fn in (
    cluster_sums.by_segment,
    cluster_sums.by_product,
    jax.jit(cluster_sums.sums_of_clusters),
  ):
    sums = sums_fn(points, assignments, jnp.full((5, 7), 3.0)) - 3
    assert sums.dtype == jnp.float32
    np.testing.assert_allclose(sums, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
  'num', [cluster_sums.BLOCK + 1, 2 * cluster_sums.BLOCK + 5]
)
def test_adding_to_earlier_sums_gives_the_same_bits(num):
  rng = np.random.default_rng(1)
  points = rng.normal(size=(num, 3)).astype(np.float32)
  assignments = rng.integers(0, 2, num)
  sums_fn = jax.jit(cluster_sums.sums_of_clusters)
  expected = np.stack(
    [points[assignments == k].sum(axis=0, dtype=float) for k in range(2)]
  )
  whole = sums_fn(points, assignments, jnp.zeros((2, 3)))
  np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-4)
  sums = jnp.zeros((2, 3))
  for start in range(0, num, cluster_sums.BLOCK):
    part = slice(start, start + cluster_sums.BLOCK)
    sums = sums_fn(points[part], assignments[part], sums)
  np.testing.assert_array_equal(sums, whole)


def test_a_million_sums_up_as_exactly_as_a_thousand():
  points = np.full((1_000_000, 1), 0.1, np.float32)
  assignments = jnp.zeros(len(points), jnp.int32)
  sums = cluster_sums.by_segment(points, assignments, jnp.zeros((1, 1)))
  # One after the other it would be wrong by a percent.
  np.testing.assert_allclose(sums, 1e5, rtol=1e-4)


def test_empty_cluster_keeps_its_centroid():
  sums, sizes = jnp.array([[6.0], [0.0]]), jnp.array([4, 0])
  means = cluster_sums.means_of_clusters(sums, sizes, jnp.array([[9.0], [7.0]]))
  np.testing.assert_array_equal(means, [[1.5], [7.0]])


def test_more_clusters_than_a_block_has_points():
  num = cluster_sums.BLOCK + 50
  points = jnp.arange(2.0 * num)[:, None]
  assignments = jnp.arange(2 * num) % num
  sums = jax.jit(cluster_sums.sums_of_clusters)(
    points, assignments, jnp.zeros((num, 1))
  )
  expected = points[:num] + points[num:]
  np.testing.assert_array_equal(sums, expected)
