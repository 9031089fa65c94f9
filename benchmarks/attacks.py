r"""Times the attack kernels against their peers and the bare matrix product.

  python -m benchmarks.attacks

prints, for each case, the median time of ours and of the peer, timed in turns
in the same run, and their ratio (above 1: ours is faster). About ten minutes on
two cores; `--only='lloyd 2048'` runs a part (lloyd, distance, clustering or
many_draws, then the sizes). With --json it prints one JSON object instead.
Peers: scikit-learn, faiss-cpu and PyTorch where they are installed (the `bench`
extra), the paper's pipeline, a loop over pairs.
"""

from collections.abc import Callable, Iterator, Sequence
import importlib.util
import itertools
from typing import Any
import warnings

from absl import app
from absl import flags
from absl import logging
import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize
import sklearn
from sklearn import cluster
from sklearn import exceptions
from sklearn import neighbors
from sklearn import preprocessing

from benchmarks import timing
from splitjax import attacks

_ONLY = flags.DEFINE_string(
  'only', '', 'Part of the names of the cases to run.'
)

_LLOYD_ITERS = 10
_LLOYD_SIZES = tuple(
  itertools.product((2048, 51200), (64, 256, 2048), (2, 10, 100))
)
_LOOPED_VECTORS = 20  # The loop over pairs is timed on so many, and scaled.
_NUM_AUX_DRAWS = 64


def make_case(
  num_vectors: int, width: int, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
  """Return noisy directions of classes, as cut gradients have, and labels."""
  rng = np.random.default_rng(0)
  means = rng.standard_normal((num_classes, width), np.float32)
  truth = rng.integers(0, num_classes, num_vectors)
  truth[:num_classes] = np.arange(num_classes)
  vectors = rng.standard_normal((num_vectors, width), np.float32)
  vectors *= 2
  vectors += means[truth]
  return vectors, truth


def lloyd(
  num_vectors: int, width: int, num_classes: int, repeats: int
) -> list[timing.Timing]:
  """Time an iteration of K-means, from points that are no class means."""
  vectors, _ = make_case(num_vectors, width, num_classes)
  on_device, init = jax.device_put(vectors), vectors[-num_classes:]
  lloyd_fn = lambda: attacks.kmeans(
    on_device, init, max_iters=_LLOYD_ITERS, tol=0.0
  )
  kmeans = cluster.KMeans(
    num_classes, init=init, n_init=1, max_iter=_LLOYD_ITERS, tol=0.0
  )
  found, expected = lloyd_fn(), kmeans.fit(vectors)
  # A benchmark of two different results would say nothing.
  np.testing.assert_allclose(found.inertia, expected.inertia_, rtol=1e-4)
  product_fn = jax.jit(_product)
  peer_fns = {
    'scikit-learn': lambda: kmeans.fit(vectors),
    'bare product': lambda: product_fn(on_device, init),
  }
  calls = {'ours': int(found.num_iters), 'scikit-learn': expected.n_iter_}
  if importlib.util.find_spec('faiss'):
    peer_fns['faiss'] = _make_faiss_fn(vectors, init)
    calls['faiss'] = _LLOYD_ITERS
  if importlib.util.find_spec('torch'):
    peer_fns['PyTorch'] = _make_torch_fn(vectors, init)
    calls['PyTorch'] = _LLOYD_ITERS
  case = f'Lloyd iteration, {num_vectors} x {width} x {num_classes}'
  return timing.compare(case, lloyd_fn, peer_fns, repeats, calls)


def _product(points: jax.Array, targets: jax.Array) -> jax.Array:
  return jnp.dot(points, targets.T, precision='highest')


def _make_faiss_fn(
  vectors: np.ndarray, init: np.ndarray
) -> Callable[[], object]:
  import faiss

  def run() -> object:
    kmeans = faiss.Kmeans(
      vectors.shape[1],
      len(init),
      niter=_LLOYD_ITERS,
      min_points_per_centroid=1,
      max_points_per_centroid=len(vectors),
    )
    return kmeans.train(vectors, init_centroids=init)

  return run


def _make_torch_fn(
  vectors: np.ndarray, init: np.ndarray
) -> Callable[[], object]:
  """Return plain Lloyd iterations on the device that PyTorch has."""
  import torch

  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  points, start = (torch.tensor(x, device=device) for x in (vectors, init))

  def run() -> object:
    centroids = start
    for _ in range(_LLOYD_ITERS):
      far = (centroids**2).sum(1) - 2 * points @ centroids.T
      nearest = far.argmin(1)
      sums = torch.zeros_like(start).index_add_(0, nearest, points)
      sizes = torch.bincount(nearest, minlength=len(start)).clamp(min=1)
      centroids = sums / sizes[:, None]
    return centroids.cpu()

  return run


def distance(
  num_vectors: int, width: int, num_aux: int, repeats: int
) -> list[timing.Timing]:
  """Time the distance attack, nearest neighbours and a loop over pairs."""
  vectors, truth = make_case(num_vectors, width, 10)
  on_device = jax.device_put(vectors)
  aux, aux_labels = vectors[:num_aux], truth[:num_aux]
  knn = neighbors.KNeighborsClassifier(1, algorithm='brute', metric='cosine')
  knn.fit(aux, aux_labels)
  product_fn = jax.jit(_product)

  def pairs_fn() -> list[tuple[float, int]]:
    cosine = lambda u, v: u @ v / (np.linalg.norm(u) * np.linalg.norm(v))
    return [
      max((cosine(vector, one), label) for one, label in zip(aux, aux_labels))  # noqa: B905
      for vector in vectors[:_LOOPED_VECTORS]
    ]

  return timing.compare(
    f'distance attack, {num_vectors} x {width} x {num_aux}',
    lambda: attacks.nearest_labels(on_device, aux, aux_labels),
    {
      'scikit-learn': lambda: knn.predict(vectors),
      'bare product': lambda: product_fn(on_device, aux),
      'loop over pairs (scaled)': pairs_fn,
    },
    repeats,
    {'loop over pairs (scaled)': _LOOPED_VECTORS / num_vectors},
  )


def authors_pipeline(
  vectors: np.ndarray,
  aux_rows: np.ndarray,
  aux_labels: np.ndarray,
  num_classes: int,
) -> np.ndarray:
  """Cluster as the paper's code: scaled, ten restarts, the Hungarian method."""
  vectors = preprocessing.normalize(vectors)
  kmeans = cluster.KMeans(num_classes, init='k-means++', n_init=10)
  assignments = kmeans.fit_predict(vectors)
  votes = np.zeros((num_classes, num_classes))
  np.add.at(votes, (assignments[aux_rows], aux_labels), 1)
  _, names = optimize.linear_sum_assignment(votes, maximize=True)
  return names[assignments]


def clustering(
  num_vectors: int, width: int, num_classes: int, repeats: int
) -> list[timing.Timing]:
  """Time the clustering attack in two modes, and the paper's pipeline."""
  vectors, truth = make_case(num_vectors, width, num_classes)
  on_device = jax.device_put(vectors)
  aux_rows = np.arange(num_classes)
  aux, aux_labels = vectors[aux_rows], truth[aux_rows]
  seeds = itertools.count()

  def attack(**kwargs: Any) -> jax.Array:
    key = jax.random.key(next(seeds))  # The peer draws anew as well.
    return attacks.cluster_labels(
      key, on_device, aux, aux_labels, num_classes=num_classes, **kwargs
    ).labels

  paper_fn = lambda: attack(
    init='kmeans++', matching='hungarian', num_restarts=10
  )
  default, paper = (
    timing.compare(
      f'clustering, {mode}, {num_vectors} x {width} x {num_classes}',
      attack if mode == 'default' else paper_fn,
      {
        "authors' pipeline": lambda: authors_pipeline(
          vectors, aux_rows, aux_labels, num_classes
        )
      },
      repeats,
    )
    for mode in ('default', 'paper mode')
  )
  return default + paper


def many_draws(
  num_vectors: int, width: int, num_classes: int, repeats: int
) -> list[timing.Timing]:
  """Time auxiliary draws as one vmapped program and as single calls."""
  vectors, truth = make_case(num_vectors, width, num_classes)
  draws = np.random.default_rng(1).integers(
    0, num_vectors, (_NUM_AUX_DRAWS, num_classes)
  )
  on_device, aux = jax.device_put(vectors), jnp.asarray(vectors[draws])
  aux_labels = jnp.asarray(truth[draws])
  key = jax.random.key(0)
  fns = {
    'clustering': lambda vectors, aux, labels: (
      attacks.cluster_labels(
        key, vectors, aux, labels, num_classes=num_classes
      ).labels
    ),
    'distance': attacks.nearest_labels,
  }
  timings = []
  singles = list(zip(list(aux), list(aux_labels), strict=True))
  for name, fn in fns.items():
    vmapped_fn = jax.jit(jax.vmap(fn, (None, 0, 0)))
    timings += timing.compare(
      f'{name}, {_NUM_AUX_DRAWS} draws vmapped, '
      f'{num_vectors} x {width} x {num_classes}',
      lambda vmapped_fn=vmapped_fn: vmapped_fn(on_device, aux, aux_labels),
      {'one by one': lambda fn=fn: [fn(on_device, *one) for one in singles]},
      repeats,
    )
  return timings


def run(repeats: int, only: str) -> Iterator[timing.Timing]:
  """Yield the timings of all cases whose names contain `only`."""
  sizes = {
    lloyd: _LLOYD_SIZES,
    distance: ((2048, 64, 10), (51200, 512, 100)),
    clustering: ((2048, 64, 10), (51200, 256, 10)),
    many_draws: ((2048, 64, 10), (2048, 2048, 10)),
  }
  for time_fn, sizes_of in sizes.items():
    for size in sizes_of:
      name = f'{time_fn.__name__} {" x ".join(map(str, size))}'
      if only not in name:
        continue
      with warnings.catch_warnings():
        # Ten iterations are not meant to converge.
        warnings.simplefilter('ignore', exceptions.ConvergenceWarning)
        for one in time_fn(*size, repeats):
          logging.info('%s', one)
          yield one


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  timings = list(run(timing.REPEATS.value, _ONLY.value))
  timing.show(timings, **{'scikit-learn': sklearn.__version__})


if __name__ == '__main__':
  app.run(main)
