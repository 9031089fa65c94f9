import functools
import warnings

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from splitjax import attacks
from splitjax.attacks import similarity
from splitjax.attacks.kmeans import pallas_kernel

_interpreted = jax.jit(
  functools.partial(pallas_kernel.nearest_and_sums, interpret=True),
  static_argnames='precision',
)


def _problem(num_points, width, num_targets, dtype='float32', seed=0):
  rng = np.random.default_rng(seed)
  points = jnp.asarray(rng.normal(size=(num_points, width)), dtype)
  targets = jnp.asarray(rng.normal(size=(num_targets, width)), jnp.float32)
  origin = jnp.asarray(rng.normal(size=width), jnp.float32)
  return points, *similarity.shift(targets, origin)


def _sums(points, indices, num_targets):
  rows = np.asarray(points, float)
  return np.stack([rows[indices == k].sum(axis=0) for k in range(num_targets)])


class NearestAndSumsTest(parameterized.TestCase):
  @parameterized.parameters(
    (1, 3, 1, 'float32'),  # One of everything.
    (300, 5, 4, 'float32'),  # Narrower than a product of the tensor cores.
    (129, 70, 100, 'float32'),  # A rest of rows, of columns, of targets.
    (64, 64, 16, 'float32'),  # No rest.
    (40, 5000, 3, 'float32'),  # Blocks of fewer rows.
    (200, 130, 20, 'bfloat16'),
    (50, 7, 128, 'float16'),
  )
  def test_equals_two_passes(self, num_points, width, num_targets, dtype):
    points, targets, offsets = _problem(num_points, width, num_targets, dtype)
    actual = _interpreted(points, targets, offsets)
    indices, closeness = similarity.largest_product(
      points, targets, offsets, 'highest'
    )
    np.testing.assert_array_equal(actual.indices, indices)
    np.testing.assert_allclose(
      actual.closeness, closeness, rtol=1e-5, atol=1e-4
    )
    np.testing.assert_allclose(
      actual.sums, _sums(points, indices, num_targets), rtol=1e-5, atol=1e-4
    )
    sizes = np.bincount(indices, minlength=num_targets)
    np.testing.assert_array_equal(actual.sizes, sizes)

  def test_first_of_equally_near_targets(self):
    points, targets, offsets = _problem(50, 4, 1)
    twice = jnp.concatenate([targets, targets])
    actual = _interpreted(points, twice, jnp.tile(offsets, 2))
    np.testing.assert_array_equal(actual.indices, np.zeros(50))
    np.testing.assert_array_equal(actual.sizes, [50, 0])
    np.testing.assert_array_equal(actual.sums[1], np.zeros(4))

  def test_vmap_equals_a_loop(self):
    points, targets, offsets = _problem(90, 20, 12)
    starts = targets.reshape(3, 4, 20), offsets.reshape(3, 4)
    actual = jax.vmap(_interpreted, (None, 0, 0))(points, *starts)
    for index in range(3):
      expected = _interpreted(points, *(x[index] for x in starts))
      for name in pallas_kernel.Clusters._fields:
        np.testing.assert_array_equal(
          getattr(actual, name)[index], getattr(expected, name)
        )

  @parameterized.product(
    dtype=['float32', 'bfloat16'], precision=similarity.PRECISIONS
  )
  def test_can_be_lowered_for_a_gpu(self, dtype, precision):
    problem = _problem(300, 130, 10, dtype)
    compiled = jax.jit(
      functools.partial(pallas_kernel.nearest_and_sums, precision=precision)
    )
    gpu = jax.sharding.AbstractDevice('NVIDIA H200', None, 'cuda')
    mesh = jax.sharding.AbstractMesh((1,), ('x',), abstract_device=gpu)
    with jax.sharding.use_abstract_mesh(mesh), warnings.catch_warnings():
      # Deprecated, and its successor cannot be tried without a GPU.
      warnings.simplefilter('ignore', DeprecationWarning)
      lowered = compiled.trace(*problem).lower(lowering_platforms=('cuda',))
    assert 'xla.gpu.triton' in lowered.as_text()


class KMeansTest(parameterized.TestCase):
  @parameterized.product(num_clusters=[1, 2, 10], dtype=['float32', 'bfloat16'])
  def test_finds_what_the_other_kernel_finds(self, num_clusters, dtype):
    points, _, _ = _problem(200, 9, 1, dtype)
    points += 3 * (jnp.arange(200) % 3)[:, None].astype(dtype)
    found = [
      attacks.kmeans(points, points[:num_clusters], kernel=kernel)
      for kernel in ('xla', 'pallas')
    ]
    np.testing.assert_array_equal(found[0].assignments, found[1].assignments)
    assert found[0].num_iters == found[1].num_iters
    for name in ('centroids', 'inertia'):
      np.testing.assert_allclose(
        getattr(found[0], name), getattr(found[1], name), rtol=1e-5, atol=1e-5
      )

  def test_empty_cluster_keeps_its_centroid(self):
    points, _, _ = _problem(30, 2, 1)
    init = jnp.concatenate([points[:2], jnp.full((1, 2), 500.0)])
    with jax.debug_nans(True):
      result = attacks.kmeans(points, init, kernel='pallas')
    np.testing.assert_array_equal(result.centroids[2], [500.0, 500.0])

  def test_vmapped_starts_equal_single_ones(self):
    points, _, _ = _problem(120, 6, 1)
    starts = points[:12].reshape(3, 4, 6)
    run = functools.partial(attacks.kmeans, kernel='pallas')
    actual = jax.vmap(run, (None, 0))(points, starts)
    for index, start in enumerate(starts):
      np.testing.assert_array_equal(
        actual.assignments[index], run(points, start).assignments
      )

  def test_the_attack_takes_it(self):
    points, _, _ = _problem(120, 6, 1)
    labels = [
      attacks.cluster_labels(
        jax.random.key(0),
        points,
        points[:4],
        jnp.arange(4),
        num_classes=4,
        kernel=kernel,
      ).labels
      for kernel in ('xla', 'pallas')
    ]
    np.testing.assert_array_equal(*labels)

  def test_many_clusters_and_wide_numbers_fall_back(self):
    points, _, _ = _problem(pallas_kernel.MOST_TARGETS + 10, 2, 1)
    many = points[: pallas_kernel.MOST_TARGETS + 1]
    text = lambda *args, **kwargs: attacks.kmeans.lower(
      *args, **kwargs
    ).as_text()
    assert text(points, many, kernel='pallas') == text(points, many)
    with jax.enable_x64(True):
      for some in (points, points.astype(jnp.float64)):
        assert text(some, some[:2], kernel='pallas') == text(some, some[:2])

  def test_unknown_kernel_is_named(self):
    with self.assertRaisesRegex(ValueError, 'kernel must be one of'):
      attacks.kmeans(jnp.ones((3, 2)), jnp.ones((1, 2)), kernel='triton')
