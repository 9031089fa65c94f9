"""Vectors read from disk in chunks, against the same in memory."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from splitjax import attacks
from splitjax.attacks.kmeans import chunks
from splitjax.attacks.kmeans import cluster_sums
from splitjax.records import recording


def _points(num=503, width=6, seed=0, offset=0.0):
  rng = np.random.default_rng(seed)
  means = 4 * rng.normal(size=(5, width))
  points = means[rng.integers(0, 5, num)] + rng.normal(size=(num, width))
  return (points + offset).astype(np.float32)


def _on_disk(path, points):
  np.save(path, points)
  return np.load(path, mmap_mode='r')


@pytest.mark.parametrize('offset', [0.0, 300.0])
@pytest.mark.parametrize('metric', ['euclidean', 'cosine'])
@pytest.mark.parametrize('max_iters', [1, 2, 100])
def test_kmeans_is_that_in_memory(tmp_path, metric, max_iters, offset):
  points = _points(offset=offset)
  mapped = _on_disk(tmp_path / 'points.npy', points)
  kwargs = dict(max_iters=max_iters, tol=1e-4)
  whole = jnp.asarray(points)
  if metric == 'cosine':
    whole = attacks.unit_normalize(whole)
  expected = attacks.kmeans(whole, whole[:5], **kwargs)
  for chunk_size in (100, 503, 1000):
    found = attacks.stream_kmeans(
      mapped,
      np.asarray(whole[:5]),
      metric=metric,
      chunk_size=chunk_size,
      **kwargs,
    )
    np.testing.assert_allclose(
      found.centroids, expected.centroids, rtol=1e-5, atol=1e-4
    )
    np.testing.assert_array_equal(found.assignments, expected.assignments)
    np.testing.assert_allclose(found.inertia, expected.inertia, rtol=1e-4)
    assert found.num_iters == expected.num_iters
    assert found.converged == expected.converged


def test_whole_blocks_make_the_same_bits(tmp_path):
  # Clusters that overlap: near a border, the last bits of a centroid decide.
  rng = np.random.default_rng(0)
  points = (
    rng.normal(size=(5 * cluster_sums.BLOCK + 77, 16)).astype(np.float32) + 1
  )
  mapped = _on_disk(tmp_path / 'points.npy', points)
  expected = attacks.kmeans(points, points[:10], max_iters=8, tol=0.0)
  for chunk_size in (cluster_sums.BLOCK, 3 * cluster_sums.BLOCK):
    found = attacks.stream_kmeans(
      mapped, points[:10], max_iters=8, tol=0.0, chunk_size=chunk_size
    )
    np.testing.assert_array_equal(found.centroids, expected.centroids)
    np.testing.assert_array_equal(found.assignments, expected.assignments)


@pytest.mark.parametrize('wide_points', [False, True])
@pytest.mark.parametrize('wide_centroids', [False, True])
@pytest.mark.parametrize('x64', [False, True])
def test_types_are_those_in_memory(x64, wide_points, wide_centroids):
  points = _points().astype(np.float64 if wide_points else np.float32)
  init = points[:5].astype(np.float64 if wide_centroids else np.float32)
  with jax.enable_x64(x64):
    expected = attacks.kmeans(points, init)
    found = attacks.stream_kmeans(points, init, chunk_size=100)
  assert found.centroids.dtype == expected.centroids.dtype
  np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-5)
  np.testing.assert_array_equal(found.assignments, expected.assignments)


def test_stops_when_nothing_changes_without_tolerance(tmp_path):
  points = _points()
  mapped = _on_disk(tmp_path / 'points.npy', points)
  expected = attacks.kmeans(points, points[:5], tol=0.0)
  found = attacks.stream_kmeans(mapped, points[:5], tol=0.0, chunk_size=64)
  assert found.converged
  assert found.num_iters == expected.num_iters
  np.testing.assert_array_equal(found.assignments, expected.assignments)


def test_cluster_without_points_keeps_its_centroid(tmp_path):
  points = _points()
  far = np.full((1, 6), 1e3, np.float32)
  found = attacks.stream_kmeans(
    points, np.concatenate([points[:3], far]), chunk_size=100
  )
  np.testing.assert_array_equal(found.centroids[3], far[0])
  assert 3 not in found.assignments


@pytest.mark.parametrize('metric', ['euclidean', 'cosine'])
def test_nearest_labels_are_those_in_memory(tmp_path, metric):
  points = _points()
  mapped = _on_disk(tmp_path / 'points.npy', points)
  aux, labels = points[::50], np.arange(11) % 4
  expected = attacks.nearest_labels(points, aux, labels, metric=metric)
  found = attacks.stream_nearest_labels(
    mapped, aux, labels, metric=metric, chunk_size=99
  )
  np.testing.assert_array_equal(found, expected)


def test_saved_records_are_read_also_in_bfloat16(tmp_path):
  """On disk these are another type, and the map is seen through a view."""
  points = _points().astype(ml_dtypes.bfloat16)
  record = recording.Record(
    'smashed', points, np.arange(503), np.zeros(503, int), {}
  )
  recording.save_record(tmp_path / 'record', record)
  loaded = recording.load_record(tmp_path / 'record').vectors
  assert loaded.dtype == ml_dtypes.bfloat16
  some = chunks._read(loaded, 100, 450)
  np.testing.assert_array_equal(
    some.astype(np.float32), points[450:].astype(np.float32)
  )
  expected = attacks.kmeans(jnp.asarray(points), points[:5].astype('f4'))
  found = attacks.stream_kmeans(loaded, points[:5].astype('f4'), chunk_size=200)
  np.testing.assert_array_equal(found.assignments, expected.assignments)


@pytest.mark.parametrize(
  'part',
  [
    lambda x: x[7:],
    lambda x: x[7:][3:90],
    lambda x: x[::2],
    lambda x: x[:, 2:],
    lambda x: np.asarray(x)[5:],
    lambda x: np.array(x),
    lambda x: x[:0],
  ],
)
def test_parts_of_a_map_are_read_where_they_are(tmp_path, part):
  points = _points()
  some = part(_on_disk(tmp_path / 'points.npy', points))
  found = list(chunks.chunks_of(some, 40)) if len(some) else []
  assert [start for start, _ in found] == list(range(0, len(some), 40))
  read = [chunk for _, chunk in found]
  np.testing.assert_array_equal(
    np.concatenate(read) if read else points[:0], part(points)
  )


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'chunk_size': 0}, 'chunk_size'),
    ({'max_iters': 0}, 'max_iters'),
    ({'metric': 'manhattan'}, 'metric must be one of'),
    ({'init_centroids': np.zeros((600, 6), np.float32)}, 'init_centroids'),
  ],
)
def test_bad_arguments_are_named(kwargs, message):
  points = _points()
  kwargs = {'init_centroids': points[:2], **kwargs}
  with pytest.raises(ValueError, match=message):
    attacks.stream_kmeans(points, **kwargs)


_MEASURED = """
import resource, sys
import jax, numpy as np
from splitjax import attacks
points = np.load(sys.argv[1], mmap_mode='r')
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run = lambda some: attacks.stream_kmeans(some, init, max_iters=2, tol=0.0)
init = np.array(points[:4])
run(points[:20000])  # What compiling takes.
before = peak()
run(points)
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_stays_bounded(tmp_path):
  """A file of 600 MB; chunks of 64 MiB, of which a few are alive at once."""
  path = tmp_path / 'points.npy'
  points = np.lib.format.open_memmap(
    path, mode='w+', dtype=np.float32, shape=(600_000, 256)
  )
  rng = np.random.default_rng(0)
  for start in range(0, len(points), 50_000):
    points[start : start + 50_000] = rng.normal(size=(50_000, 256))
  points.flush()
  del points
  found = subprocess.run(
    [sys.executable, '-c', _MEASURED, str(path)],
    capture_output=True,
    text=True,
    check=True,
  )
  kilobytes = int(found.stdout) * (1 if sys.platform != 'darwin' else 1 / 1024)
  assert kilobytes < 400 * 1024
