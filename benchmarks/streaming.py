r"""Cluster a file that is larger than the memory it may take.

  python -m benchmarks.streaming --folder=/somewhere/with/2GB

writes 2,000,000 x 256 float32 (2 GB) once, clusters them from disk, and prints
the time of an iteration, of one read of the file, the peak of memory above what
the interpreter and a small run take, and how far the result is from that in
memory (which takes 2 GB, in a process of its own). Some minutes on two cores.
"""

from collections.abc import Sequence
import json
import pathlib
import resource
import subprocess
import sys
import time

from absl import app
from absl import flags
import numpy as np

from splitjax import attacks

_FOLDER = flags.DEFINE_string('folder', None, 'Where the file goes.')
_NUM = flags.DEFINE_integer('num_points', 2_000_000, 'How many points.')
_WIDTH = flags.DEFINE_integer('width', 256, 'Width of a point.')
_CLUSTERS = flags.DEFINE_integer('num_clusters', 10, 'How many clusters.')
_ITERS = flags.DEFINE_integer('num_iters', 5, 'Lloyd iterations.')
_JSON = flags.DEFINE_boolean('json', False, 'Whether to print JSON.')
_PART = flags.DEFINE_enum(
  'part', None, ['disk', 'memory'], 'What a process of its own measures.'
)


def _write(path: pathlib.Path) -> None:
  """Write points of clusters that overlap, a part at a time."""
  shape = (_NUM.value, _WIDTH.value)
  points = np.lib.format.open_memmap(
    path, mode='w+', dtype=np.float32, shape=shape
  )
  rng = np.random.default_rng(0)
  means = rng.standard_normal((_CLUSTERS.value, _WIDTH.value), np.float32)
  for start in range(0, len(points), 50_000):
    part = points[start : start + 50_000]
    part[:] = rng.standard_normal(part.shape, np.float32)
    part += means[rng.integers(0, len(means), len(part))]
  points.flush()


def _measure(path: pathlib.Path, part: str) -> None:
  """Cluster from disk or in memory, print the costs, and keep the result."""
  points = np.load(path, mmap_mode='r')
  init = np.array(points[: _CLUSTERS.value])
  fn = {'disk': attacks.stream_kmeans, 'memory': attacks.kmeans}[part]
  kwargs = dict(max_iters=_ITERS.value, tol=0.0)
  small = points[: min(len(points), 100_000)]
  fn(small if part == 'disk' else np.array(small), init, **kwargs)
  peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  before, start = peak(), time.perf_counter()
  found = fn(points if part == 'disk' else np.array(points), init, **kwargs)
  inertia = float(found.inertia)
  seconds = time.perf_counter() - start
  np.savez(path.with_name(f'{part}.npz'), *map(np.asarray, found[:2]))
  print(json.dumps({'s': seconds, 'MiB': peak() - before, 'inertia': inertia}))


def _time_read(path: pathlib.Path) -> float:
  """Return the seconds that one read of the file takes."""
  start = time.perf_counter()
  with open(path, 'rb', buffering=0) as file:
    buffer = bytearray(64 << 20)
    while file.readinto(buffer):
      pass
  return time.perf_counter() - start


def _measure_apart(part: str) -> dict[str, float]:
  """Measure in a process of its own, whose memory holds nothing else."""
  finished = subprocess.run(
    [
      *(sys.executable, '-m', 'benchmarks.streaming'),
      *sys.argv[1:],
      f'--part={part}',
    ],
    capture_output=True,
    text=True,
    check=True,
  )
  return json.loads(finished.stdout)


def _compare(path: pathlib.Path) -> dict[str, float]:
  """Cluster both ways, and return the costs and how the results differ."""
  read = _time_read(path)
  disk, memory = map(_measure_apart, ('disk', 'memory'))
  (disk_centroids, disk_found), (memory_centroids, memory_found) = (
    np.load(path.with_name(f'{part}.npz')).values()
    for part in ('disk', 'memory')
  )
  return {
    'GB': path.stat().st_size / 1e9,
    'one_read_s': read,
    'disk_s': disk['s'],
    'memory_s': memory['s'],
    'reads_of_the_file': _ITERS.value + 2,
    'disk_peak_MiB': disk['MiB'],
    'memory_peak_MiB': memory['MiB'],
    'centroids_differ_by': float(
      np.abs(disk_centroids - memory_centroids).max()
    ),
    'assignments_differ': int(np.sum(disk_found != memory_found)),
    'inertia_ratio': disk['inertia'] / memory['inertia'],
  }


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  if _FOLDER.value is None:
    raise app.UsageError('--folder=None: expected a folder with 2 GB of room.')
  path = pathlib.Path(_FOLDER.value) / 'points.npy'
  if _PART.value:
    _measure(path, _PART.value)
    return
  _write(path)
  result = _compare(path)
  if _JSON.value:
    print(json.dumps(result))
  else:
    for name, value in result.items():
      print(f'{name:22} {value:.6g}')
  for name in ('points.npy', 'disk.npz', 'memory.npz'):
    path.with_name(name).unlink()


if __name__ == '__main__':
  app.run(main)
