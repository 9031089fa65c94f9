from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
from sklearn import cluster
from sklearn import datasets

from splitjax import attacks


def _blobs(num_points, width, num_clusters=4, spread=2.0):
  points, _ = datasets.make_blobs(
    num_points, width, centers=num_clusters, cluster_std=spread, random_state=0
  )
  return points.astype(np.float32)


class KMeansPlusPlusTest(parameterized.TestCase):
  @parameterized.product(num_clusters=[1, 2, 7], dtype=['float32', 'bfloat16'])
  def test_centroids_are_points(self, num_clusters, dtype):
    points = jnp.asarray(_blobs(40, 3), dtype)
    centroids = attacks.kmeans_plus_plus(
      jax.random.key(0), points, num_clusters=num_clusters
    )
    assert centroids.shape == (num_clusters, 3)
    assert centroids.dtype == jnp.float32
    rows = {tuple(row) for row in np.asarray(points, np.float32)}
    assert all(tuple(row) in rows for row in np.asarray(centroids))

  @parameterized.parameters(0, 1, 2)
  def test_separated_clusters_get_one_centroid_each(self, seed):
    points, truth = datasets.make_blobs(
      200, 8, centers=6, cluster_std=0.1, random_state=seed
    )
    keys = jax.random.split(jax.random.key(seed), 20)
    centroids = jax.vmap(
      lambda key: attacks.kmeans_plus_plus(
        key, points.astype(np.float32), num_clusters=6
      )
    )(keys)
    distances = np.abs(points[None, :, None] - centroids[:, None]).sum(-1)
    found = truth[distances.argmin(axis=1)]  # [20, 6]
    share = np.mean([len(set(row)) == 6 for row in found])
    assert share >= 0.9

  def test_is_as_good_as_scikit_learn_on_average(self):
    points = _blobs(400, 4, 12, spread=1.5)
    cost = lambda c: ((points[:, None] - c[None]) ** 2).sum(-1).min(1).sum()
    keys = jax.random.split(jax.random.key(0), 60)
    ours = jax.vmap(
      lambda key: attacks.kmeans_plus_plus(key, points, num_clusters=12)
    )(keys)
    theirs = [
      cluster.kmeans_plusplus(points, 12, random_state=seed)[0]
      for seed in range(60)
    ]
    ratio = np.mean([cost(c) for c in np.asarray(ours)]) / np.mean(
      [cost(c) for c in theirs]
    )
    assert 0.9 < ratio < 1.1

  def test_draws_by_squared_distance(self):
    # A crowd at -1 and 1, and one point so far that it is the better of the
    # two candidates whenever it is drawn.
    crowd, far = 900, 60.0
    points = np.zeros((crowd + 1, 1), np.float32)
    points[:crowd, 0] = np.random.default_rng(0).choice([-1, 1], crowd)
    points[crowd, 0] = far
    keys = jax.random.split(jax.random.key(0), 2000)
    centroids = jax.vmap(
      lambda key: attacks.kmeans_plus_plus(key, points, num_clusters=2)
    )(keys)
    found = np.mean((np.asarray(centroids) == far).any(axis=(1, 2)))
    # From the first, at -1 or 1, half of the crowd is 2 away.
    share = far**2 / (far**2 + crowd / 2 * 4)
    np.testing.assert_allclose(found, 1 - (1 - share) ** 2, atol=0.04)

  def test_first_centroid_is_uniform(self):
    points = jnp.arange(4.0)[:, None]
    keys = jax.random.split(jax.random.key(0), 4000)
    first = jax.vmap(
      lambda key: attacks.kmeans_plus_plus(key, points, num_clusters=1)
    )(keys)
    counts = np.bincount(np.asarray(first).astype(int).ravel(), minlength=4)
    np.testing.assert_allclose(counts / 4000, 0.25, atol=0.03)

  def test_duplicates_are_drawn_without_nan(self):
    with jax.debug_nans(True):
      centroids = attacks.kmeans_plus_plus(
        jax.random.key(0), jnp.ones((5, 2)), num_clusters=3
      )
    np.testing.assert_array_equal(centroids, np.ones((3, 2)))

  def test_never_draws_a_point_twice_while_others_remain(self):
    points = jnp.asarray(_blobs(8, 3))
    keys = jax.random.split(jax.random.key(0), 50)
    centroids = jax.vmap(
      lambda key: attacks.kmeans_plus_plus(key, points, num_clusters=8)
    )(keys)
    for rows in np.asarray(centroids):
      assert len(np.unique(rows, axis=0)) == 8

  @parameterized.parameters(0, 6)
  def test_bad_number_is_named(self, num_clusters):
    with self.assertRaisesRegex(ValueError, 'num_clusters must be at least 1'):
      attacks.kmeans_plus_plus(
        jax.random.key(0), jnp.ones((5, 2)), num_clusters=num_clusters
      )
