import functools
import warnings

from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
from sklearn import cluster
from sklearn import datasets
from sklearn import exceptions

from splitjax import attacks
from splitjax.attacks.kmeans import cluster_sums
from splitjax.attacks.kmeans import iterations


def _blobs(num_points=300, width=5, num_clusters=4, seed=0, spread=2.0):
  points, _ = datasets.make_blobs(
    num_points, width, centers=num_clusters, cluster_std=spread,
    random_state=seed,
  )  # fmt: skip
  return points.astype(np.float32)


def _sklearn(points, init, **kwargs):
  kmeans = cluster.KMeans(
    len(init), init=init, n_init=1, algorithm='lloyd', **kwargs
  )
  return kmeans.fit(points)


def _loop_kmeans(points, centroids, num_iters):
  """Lloyd in float64, one point and one cluster at a time."""
  points, centroids = np.asarray(points, float), np.array(centroids, float)
  nearest = lambda x: np.argmin([np.sum((x - c) ** 2) for c in centroids])
  for _ in range(num_iters):
    assignments = np.array([nearest(x) for x in points])
    for k in range(len(centroids)):
      if (assignments == k).any():
        centroids[k] = points[assignments == k].mean(axis=0)
  assignments = np.array([nearest(x) for x in points])
  inertia = ((points - centroids[assignments]) ** 2).sum()
  return centroids, assignments, inertia


class KMeansTest(parameterized.TestCase):
  @parameterized.product(
    num_points=[50, 1000],
    width=[1, 5, 300],
    num_clusters=[1, 2, 10],
    offset=[0.0, 100.0],
  )
  def test_equals_scikit_learn(self, num_points, width, num_clusters, offset):
    points = _blobs(num_points, width, 5) + np.float32(offset)
    init = points[:num_clusters]
    expected = _sklearn(points, init, max_iter=100, tol=1e-4)
    actual = attacks.kmeans(points, init)
    np.testing.assert_array_equal(actual.assignments, expected.labels_)
    np.testing.assert_allclose(actual.inertia, expected.inertia_, rtol=1e-5)
    np.testing.assert_allclose(
      actual.centroids, expected.cluster_centers_, rtol=1e-4, atol=1e-3
    )
    assert actual.num_iters == expected.n_iter_
    assert actual.converged

  @parameterized.parameters(1, 3, 10)
  def test_each_iteration_equals_a_loop(self, num_iters):
    points = _blobs(60, 3, 4)
    centroids, assignments, inertia = _loop_kmeans(
      points, points[:4], num_iters
    )
    actual = attacks.kmeans(points, points[:4], max_iters=num_iters, tol=0.0)
    np.testing.assert_array_equal(actual.assignments, assignments)
    np.testing.assert_allclose(actual.centroids, centroids, rtol=1e-4)
    np.testing.assert_allclose(actual.inertia, inertia, rtol=1e-5)

  def test_says_when_it_did_not_converge(self):
    points = _blobs()
    result = attacks.kmeans(points, points[:4], max_iters=1, tol=0.0)
    assert not result.converged
    assert result.num_iters == 1

  def test_bfloat16_is_accumulated_in_float32(self):
    points = jnp.asarray(_blobs(5000, 8, 3, spread=0.3), jnp.bfloat16)
    init = points[:3]
    narrow = attacks.kmeans(points, init)
    wide = attacks.kmeans(points.astype(jnp.float32), init.astype(jnp.float32))
    assert narrow.centroids.dtype == jnp.float32
    np.testing.assert_array_equal(narrow.assignments, wide.assignments)
    np.testing.assert_allclose(narrow.centroids, wide.centroids, rtol=1e-5)
    np.testing.assert_allclose(narrow.inertia, wide.inertia, rtol=1e-5)

  def test_vmap_over_starts_equals_a_loop(self):
    points = _blobs()
    starts = np.stack([points[:4], points[4:8], points[8:12]])
    actual = jax.vmap(attacks.kmeans, (None, 0))(points, starts)
    for index, start in enumerate(starts):
      expected = attacks.kmeans(points, start)
      np.testing.assert_array_equal(
        actual.assignments[index], expected.assignments
      )
      np.testing.assert_allclose(
        actual.inertia[index], expected.inertia, rtol=1e-6
      )

  def test_all_devices_iterate_alike(self):
    points = jnp.asarray(_blobs())
    starts = jnp.stack([points[:4], points[4:8]])
    counts = jnp.ones(len(points), bool)
    scale = iterations.Scale(points.mean(0), points.var(0).sum(), 0.0, counts)
    iterate = functools.partial(
      iterations.iterate,
      points,
      scale=scale,
      max_iters=100,
      precision='highest',
    )
    found = [
      jax.vmap(functools.partial(iterate, sums_fn=sums_fn))(starts)
      for sums_fn in (cluster_sums.by_segment, cluster_sums.by_product)
    ]
    np.testing.assert_array_equal(found[0].assignments, found[1].assignments)
    np.testing.assert_array_equal(found[0].num_iters, found[1].num_iters)
    np.testing.assert_allclose(found[0].inertia, found[1].inertia, rtol=1e-6)

  @parameterized.product(spread=[1e-3, 0.1, 1.0, 10.0], offset=[0.0, 1e3])
  def test_inertia_keeps_its_digits(self, spread, offset):
    points = _blobs(400, 20, 4, spread=spread) + np.float32(offset)
    result = attacks.kmeans(points, points[:4])
    # Of the means as they are: far from 0, float32 rounds the centroids.
    found = np.asarray(result.assignments)
    wide = points.astype(float)
    means = np.stack([wide[found == k].mean(axis=0) for k in range(4)])
    expected = ((wide - means[found]) ** 2).sum()
    np.testing.assert_allclose(result.inertia, expected, rtol=1e-5)

  @parameterized.parameters('high', 'default')
  def test_lower_precision_clusters_narrow_points_alike(self, precision):
    points = jnp.asarray(_blobs(spread=0.3), jnp.bfloat16)
    actual = attacks.kmeans(points, points[:4], precision=precision)
    expected = attacks.kmeans(points, points[:4])
    np.testing.assert_array_equal(actual.assignments, expected.assignments)
    np.testing.assert_allclose(actual.centroids, expected.centroids, rtol=1e-6)
    with self.assertRaisesRegex(ValueError, 'precision must be one of'):
      attacks.kmeans(points, points[:4], precision='low')

  @parameterized.parameters(*range(1, 12))
  def test_counts_iterations_as_scikit_learn_does(self, max_iters):
    points = _blobs(80, 3, 4)
    with warnings.catch_warnings():
      warnings.simplefilter('ignore', exceptions.ConvergenceWarning)
      expected = _sklearn(points, points[:4], max_iter=max_iters, tol=0.0)
    actual = attacks.kmeans(points, points[:4], max_iters=max_iters, tol=0.0)
    assert actual.num_iters == expected.n_iter_
    needed = _sklearn(points, points[:4], tol=0.0).n_iter_
    assert actual.converged == (max_iters >= needed)
    np.testing.assert_array_equal(actual.assignments, expected.labels_)

  def test_float64_is_kept_where_it_is_enabled(self):
    points = _blobs().astype(np.float64)
    with jax.enable_x64(True):
      actual = attacks.kmeans(points, points[:4].astype(np.float32))
      attacks.kmeans(jnp.float32(points), jnp.float32(points[:4]))
    expected = _sklearn(points, points[:4].astype(np.float32), tol=1e-4)
    assert actual.centroids.dtype == np.float64
    np.testing.assert_array_equal(actual.assignments, expected.labels_)
    np.testing.assert_allclose(actual.inertia, expected.inertia_, rtol=1e-9)

  def test_empty_cluster_keeps_its_centroid(self):
    points = jnp.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0]])
    init = jnp.array([[0.5, 0.0], [10.0, 0.0], [500.0, 500.0]])
    with jax.debug_nans(True):
      result = attacks.kmeans(points, init)
    np.testing.assert_array_equal(result.assignments, [0, 0, 1])
    np.testing.assert_array_equal(result.centroids[2], [500.0, 500.0])

  def test_duplicates_and_equal_centroids_go_to_the_first(self):
    points = jnp.ones((6, 2))
    with jax.debug_nans(True):
      result = attacks.kmeans(points, jnp.ones((3, 2)))
    np.testing.assert_array_equal(result.assignments, np.zeros(6))
    assert result.inertia == 0
    assert result.converged

  def test_one_sample_one_cluster(self):
    result = attacks.kmeans(jnp.array([[3.0, 4.0]]), jnp.array([[0.0, 0.0]]))
    np.testing.assert_array_equal(result.centroids, [[3.0, 4.0]])
    np.testing.assert_array_equal(result.assignments, [0])

  @hypothesis.given(st.integers(0, 1000), st.permutations(range(4)))
  def test_permuting_centroids_permutes_assignments(self, seed, order):
    points, order = _blobs(80, 3, seed=seed), np.array(order)
    plain = attacks.kmeans(points, points[:4])
    permuted = attacks.kmeans(points, points[:4][order])
    np.testing.assert_array_equal(
      order[permuted.assignments], plain.assignments
    )

  @hypothesis.given(st.integers(0, 1000))
  def test_never_worse_than_the_start(self, seed):
    points = _blobs(80, 3, seed=seed)
    start = attacks.kmeans(points, points[:4], max_iters=1).inertia
    assert attacks.kmeans(points, points[:4]).inertia <= start * (1 + 1e-6)

  def test_no_recompilation_for_another_tolerance(self):
    points = _blobs(64, 3)
    attacks.kmeans(points, points[:2], tol=1e-4)
    compiled = attacks.kmeans._cache_size()
    attacks.kmeans(points, points[:2], tol=1e-3)
    assert attacks.kmeans._cache_size() == compiled

  @parameterized.named_parameters(
    ('rank', jnp.ones(3), jnp.ones((2, 3)), 'points must have shape'),
    ('width', jnp.ones((5, 3)), jnp.ones((2, 4)), 'init_centroids must be as'),
    ('too_many', jnp.ones((2, 3)), jnp.ones((3, 3)), 'init_centroids must be'),
    ('none', jnp.ones((2, 3)), jnp.ones((0, 3)), 'init_centroids must be at'),
  )
  def test_bad_argument_is_named(self, points, init, message):
    with self.assertRaisesRegex(ValueError, message):
      attacks.kmeans(points, init)

  def test_max_iters_is_checked(self):
    with self.assertRaisesRegex(ValueError, 'max_iters must be at least 1'):
      attacks.kmeans(jnp.ones((2, 3)), jnp.ones((1, 3)), max_iters=0)
