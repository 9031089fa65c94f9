r"""Times the attack kernels against scikit-learn and the bare matrix product.

  python -m benchmarks.attacks

prints, for each case, the median time of ours and of the peer in the same run,
and their ratio (above 1: ours is faster). About two minutes on two cores. With
--json it prints one JSON object instead.
"""

from collections.abc import Callable
import json
import time
from typing import NamedTuple

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize
from sklearn import cluster
from sklearn import neighbors
from sklearn import preprocessing
import tabulate

from splitjax import attacks

_JSON = flags.DEFINE_boolean('json', False, 'Whether to print JSON.')
_REPEATS = flags.DEFINE_integer(
  'repeats', 5, 'Timed runs of each; the median counts.', lower_bound=1
)

# Vectors, width, classes.
_SIZES = ((2048, 64, 10), (2048, 2048, 10), (51200, 256, 10))
_MOST_VMAPPED = 2048  # Vectors; above, 64 draws one by one take minutes.
_NUM_AUX_DRAWS = 64
_LLOYD_ITERS = 10


class Timing(NamedTuple):
  """Medians in milliseconds, and how many times faster ours is."""

  case: str
  ours_ms: float
  peer: str
  peer_ms: float
  ratio: float


def median_ms(fn: Callable[[], object], repeats: int) -> float:
  """The median time of a call, after one that is not counted."""
  jax.block_until_ready(fn())
  times = []
  for _ in range(repeats):
    start = time.perf_counter()
    jax.block_until_ready(fn())
    times.append(time.perf_counter() - start)
  return 1000 * float(np.median(times))


def make_case(num_vectors: int, width: int, num_classes: int):
  """Directions of classes with noise, as cut gradients have: few, unequal."""
  rng = np.random.default_rng(0)
  means = rng.normal(size=(num_classes, width))
  truth = rng.integers(0, num_classes, num_vectors)
  truth[:num_classes] = np.arange(num_classes)
  noise = rng.normal(size=(num_vectors, width))
  return (means[truth] + 2 * noise).astype(np.float32), truth


def authors_pipeline(vectors, aux_rows, aux_labels, num_classes):
  """Normalise, k-means++ with ten restarts, Hungarian: as the paper's code."""
  vectors = preprocessing.normalize(vectors)
  kmeans = cluster.KMeans(num_classes, init='k-means++', n_init=10)
  assignments = kmeans.fit_predict(vectors)
  votes = np.zeros((num_classes, num_classes))
  np.add.at(votes, (assignments[aux_rows], aux_labels), 1)
  _, names = optimize.linear_sum_assignment(votes, maximize=True)
  return names[assignments]


def time_case(
  num_vectors: int, width: int, num_classes: int, repeats: int
) -> list[Timing]:
  """All comparisons at one size."""
  vectors, truth = make_case(num_vectors, width, num_classes)
  on_device = jax.device_put(vectors)
  aux_rows = np.arange(num_classes)
  aux_labels = truth[aux_rows]
  aux = jax.device_put(vectors[aux_rows])
  size = f'{num_vectors} x {width} x {num_classes}'
  timings = []

  def compare(case, ours_fn, peer, peer_fn, ours_per=1, peer_per=1):
    ours = median_ms(ours_fn, repeats) / ours_per
    theirs = median_ms(peer_fn, repeats) / peer_per
    timings.append(Timing(f'{case}, {size}', ours, peer, theirs, theirs / ours))

  # A fixed number of iterations, from points that are no class means.
  init = vectors[-num_classes:]
  lloyd_fn = lambda: attacks.kmeans(
    on_device, init, max_iters=_LLOYD_ITERS, tol=0.0
  )
  sklearn_kmeans = cluster.KMeans(
    num_classes, init=init, n_init=1, max_iter=_LLOYD_ITERS, tol=0.0
  )
  ours_iters = int(lloyd_fn().num_iters)
  compare(
    'Lloyd iteration',
    lloyd_fn,
    'scikit-learn',
    lambda: sklearn_kmeans.fit(vectors),
    ours_iters,
    sklearn_kmeans.fit(vectors).n_iter_,
  )
  product_fn = jax.jit(lambda x, c: x @ c.T)
  compare(
    'Lloyd iteration',
    lloyd_fn,
    'bare product',
    lambda: product_fn(on_device, init),
    ours_iters,
  )
  knn = neighbors.KNeighborsClassifier(1, algorithm='brute', metric='cosine')
  knn.fit(vectors[aux_rows], aux_labels)
  nearest_fn = lambda: attacks.nearest_labels(on_device, aux, aux_labels)
  compare(
    'distance attack',
    nearest_fn,
    'scikit-learn',
    lambda: knn.predict(vectors),
  )
  compare(
    'distance attack',
    nearest_fn,
    'bare product',
    lambda: product_fn(on_device, aux),
  )
  key = jax.random.key(0)
  attack = lambda aux, **kwargs: (
    attacks.cluster_labels(
      key, on_device, aux, aux_labels, num_classes=num_classes, **kwargs
    ).labels
  )
  authors_fn = lambda: authors_pipeline(
    vectors, aux_rows, aux_labels, num_classes
  )
  compare('clustering', lambda: attack(aux), "authors' pipeline", authors_fn)
  compare(
    'clustering, paper mode',
    lambda: attack(aux, init='kmeans++', matching='hungarian', num_restarts=10),
    "authors' pipeline",
    authors_fn,
  )
  if num_vectors > _MOST_VMAPPED:
    return timings
  draws = np.random.default_rng(1).integers(
    0, num_vectors, (_NUM_AUX_DRAWS, num_classes)
  )
  aux_draws = jnp.asarray(vectors[draws])
  vmapped_fn = jax.jit(jax.vmap(attack))
  compare(
    f'clustering, {_NUM_AUX_DRAWS} draws vmapped',
    lambda: vmapped_fn(aux_draws),
    'one by one',
    lambda: [attack(one) for one in aux_draws],
  )
  return timings


def main(argv):
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  timings = [
    timing for size in _SIZES for timing in time_case(*size, _REPEATS.value)
  ]
  if _JSON.value:
    print(
      json.dumps(
        {
          'jax': jax.__version__,
          'device': jax.devices()[0].device_kind,
          'timings': [timing._asdict() for timing in timings],
        }
      )
    )
    return
  print(
    tabulate.tabulate(
      [timing._asdict() for timing in timings], headers='keys', floatfmt='.3g'
    )
  )


if __name__ == '__main__':
  app.run(main)
