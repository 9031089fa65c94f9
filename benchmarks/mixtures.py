r"""Times the strongest directions and the mixture against scikit-learn's.

  python -m benchmarks.mixtures

prints, for each case, the median time of ours and of the peer, timed in turns
in the same run, and their ratio (above 1: ours is faster). A minute on two
cores.
"""

from collections.abc import Sequence
import warnings

from absl import app
import jax
import numpy as np
import sklearn
from sklearn import decomposition
from sklearn import exceptions
from sklearn import mixture

from benchmarks import attacks
from benchmarks import timing
from splitjax.attacks import passes
from splitjax.attacks import spectral

_DIRECTIONS = ((2048, 256, 9), (10240, 4096, 9))
_GAUSSIANS = ((2048, 64, 10), (10240, 256, 10), (10240, 9, 10))


def directions(
  num_vectors: int, width: int, num_directions: int, repeats: int
) -> list[timing.Timing]:
  """Time the strongest directions, and randomised PCA of as many iterations."""
  vectors, _ = attacks.make_case(num_vectors, width, num_directions + 1)
  on_device, key = jax.device_put(vectors), jax.random.key(0)
  ours_fn = lambda: spectral.top_directions(
    key, on_device, num_directions=num_directions
  )
  pca = decomposition.PCA(
    num_directions, svd_solver='randomized', iterated_power=16, random_state=0
  )
  explained = lambda found: np.sum((vectors @ np.asarray(found).T).var(axis=0))
  best = explained(pca.fit(vectors).components_)
  np.testing.assert_allclose(explained(ours_fn()), best, rtol=1e-3)
  return timing.compare(
    f'directions, {num_vectors} x {width} x {num_directions}',
    ours_fn,
    {'scikit-learn PCA': lambda: pca.fit(vectors)},
    repeats,
  )


def gaussians(
  num_vectors: int, width: int, num_classes: int, repeats: int
) -> list[timing.Timing]:
  """Time the mixture of several passes on one, an iteration of EM."""
  vectors, truth = attacks.make_case(num_vectors, width, num_classes)
  start = np.eye(num_classes, dtype=np.float32)[truth]
  points, members = jax.device_put((vectors[None], start[None]))
  fit_fn = jax.jit(passes.fit)
  peer = mixture.GaussianMixture(
    num_classes,
    covariance_type='spherical',
    max_iter=passes.NUM_ITERS,
    tol=0.0,
    means_init=(start / start.sum(axis=0)).T @ vectors,
  )
  found = fit_fn(points, members).log_likelihoods.argmax(axis=1)
  agreed = np.mean(np.asarray(found) == peer.fit_predict(vectors))
  np.testing.assert_array_less(0.9, agreed)  # Ours leaves each out.
  return timing.compare(
    f'EM iteration, {num_vectors} x {width} x {num_classes}',
    lambda: fit_fn(points, members),
    {'scikit-learn GaussianMixture': lambda: peer.fit(vectors)},
    repeats,
    {
      'ours': passes.NUM_ITERS,
      'scikit-learn GaussianMixture': peer.n_iter_,
    },
  )


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  rows = []
  with warnings.catch_warnings():
    # So many iterations are not meant to converge.
    warnings.simplefilter('ignore', exceptions.ConvergenceWarning)
    for size in _DIRECTIONS:
      rows += directions(*size, timing.REPEATS.value)
    for size in _GAUSSIANS:
      rows += gaussians(*size, timing.REPEATS.value)
  timing.show(rows, **{'scikit-learn': sklearn.__version__})


if __name__ == '__main__':
  app.run(main)
