import functools
from unittest import mock

from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import attacks
from splitjax.attacks.kmeans import multi_start


def _problem(num_runs, num_clusters=3, num_points=150, width=4, seed=0):
  """Points without clusters: runs from them take unequal times."""
  rng = np.random.default_rng(seed)
  points = rng.normal(size=(num_points, width)).astype(np.float32)
  rows = rng.integers(0, num_points, (num_runs, num_clusters))
  return jnp.asarray(points), jnp.asarray(points[rows])


def _assert_equal_to_single_runs(actual, points, starts, **kwargs):
  for index, start in enumerate(starts):
    expected = attacks.kmeans(points, start, **kwargs)
    for name in ('assignments', 'num_iters', 'converged'):
      np.testing.assert_array_equal(
        getattr(actual, name)[index], getattr(expected, name), name
      )
    for name in ('centroids', 'inertia'):
      np.testing.assert_allclose(
        getattr(actual, name)[index], getattr(expected, name), rtol=1e-5
      )


@pytest.fixture(scope='module', autouse=True)
def small_problems_go_in_lanes():
  with mock.patch.object(multi_start, '_LEAST_WORK', 0):
    jax.clear_caches()
    yield
  jax.clear_caches()


class LanesTest(parameterized.TestCase):
  # Fewer runs than lanes, as many, more.
  @parameterized.parameters(2, 5, 70)
  def test_runs_are_those_of_single_calls(self, num_runs):
    points, starts = _problem(num_runs)
    assert multi_start.choose_num_lanes(64, 3, 150, 4) == 32
    with mock.patch.object(
      multi_start, 'iterate', wraps=multi_start.iterate
    ) as iterate:
      actual = jax.vmap(attacks.kmeans, (None, 0))(points, starts)
    iterate.assert_called()
    assert num_runs == 2 or len(set(np.asarray(actual.num_iters))) > 2
    _assert_equal_to_single_runs(actual, points, starts)

  @parameterized.parameters(1, 2, 7)
  def test_all_stop_at_the_last_iteration(self, max_iters):
    points, starts = _problem(40)
    run = functools.partial(attacks.kmeans, max_iters=max_iters, tol=0.0)
    actual = jax.vmap(run, (None, 0))(points, starts)
    assert max(actual.num_iters) == max_iters
    _assert_equal_to_single_runs(
      actual, points, starts, max_iters=max_iters, tol=0.0
    )

  @hypothesis.given(st.integers(0, 1000))
  def test_no_run_is_lost_or_moved(self, seed):
    points, starts = _problem(20, 10, 60, 2, seed)
    assert multi_start.choose_num_lanes(20, 10, 60, 2) == 9
    actual = jax.vmap(attacks.kmeans, (None, 0))(points, starts)
    _assert_equal_to_single_runs(actual, points, starts)

  def test_points_that_differ_are_clustered_one_by_one(self):
    points, starts = _problem(6)
    several = jnp.stack([points, points[::-1] * 2])
    starts = starts.reshape(2, 3, 3, 4)
    run = jax.vmap(jax.vmap(attacks.kmeans, (None, 0)))
    actual = run(several, starts)
    for index in range(2):
      _assert_equal_to_single_runs(
        jax.tree.map(lambda x, i=index: x[i], actual),
        several[index],
        starts[index],
      )

  def test_tolerances_that_differ_are_kept(self):
    points, starts = _problem(4)
    tols = jnp.array([0.0, 1e-2, 1.0, 10.0])
    run = lambda start, tol: attacks.kmeans(points, start, tol=tol)
    with mock.patch.object(multi_start, 'iterate') as iterate:
      actual = jax.vmap(run)(starts, tols)
    iterate.assert_not_called()
    for index, tol in enumerate(tols):
      expected = run(starts[index], tol)
      assert actual.num_iters[index] == expected.num_iters

  @parameterized.parameters(
    (64, 100, 2048, 64, 1),  # A product is wide enough.
    (3, 2, 51200, 256, 3),
    (64, 10, 51200, 64, 9),
    (64, 2, 10**8, 2, 1),  # Memory.
    (10, 10, 1000, 64, 1),  # Not worth the compilation.
  )
  def test_number(self, num_runs, num_clusters, num_points, width, expected):
    with mock.patch.object(multi_start, '_LEAST_WORK', 2**25):
      found = multi_start.choose_num_lanes(
        num_runs, num_clusters, num_points, width
      )
    assert found == expected

  @parameterized.parameters('float32', 'float64')
  def test_64_bits(self, dtype):
    with jax.enable_x64(True):
      points, starts = (x.astype(dtype) for x in _problem(12, num_clusters=4))
      actual = jax.vmap(attacks.kmeans, (None, 0))(points, starts)
      assert actual.centroids.dtype == dtype
      _assert_equal_to_single_runs(actual, points, starts)

  def test_bfloat16(self):
    points, starts = _problem(12)
    points = points.astype(jnp.bfloat16)
    starts = starts.astype(jnp.bfloat16)
    actual = jax.vmap(attacks.kmeans, (None, 0))(points, starts)
    assert actual.centroids.dtype == jnp.float32
    _assert_equal_to_single_runs(actual, points, starts)

  def test_duplicates_and_empty_clusters(self):
    points = jnp.ones((30, 2))
    starts = jnp.concatenate([jnp.ones((5, 2, 2)), jnp.full((5, 1, 2), 9.0)], 1)
    with jax.debug_nans(True):
      actual = jax.vmap(attacks.kmeans, (None, 0))(points, starts)
    np.testing.assert_array_equal(actual.assignments, np.zeros((5, 30)))
    np.testing.assert_array_equal(actual.centroids, starts)
    np.testing.assert_array_equal(actual.inertia, np.zeros(5))
