import jax
import numpy as np
import pytest
from sklearn import metrics

from splitjax.defenses import marvell_bounds


def _best_scores(rng, sizes, gaps):
  """Labels, and their log odds given batch and gradient: the best scores.

  Each batch has normals of variance 1 whose means are a gap apart.
  """
  labels, scores = [], []
  for (positives, negatives), gap in zip(sizes, gaps, strict=True):
    of_batch = np.repeat([1, 0], [positives, negatives])
    gradients = gap * of_batch + rng.normal(size=len(of_batch))
    with np.errstate(divide='ignore'):
      prior = np.log(positives) - np.log(negatives)
    odds = gap * gradients - gap**2 / 2 if np.isfinite(prior) else 0
    labels.append(of_batch)
    scores.append(np.clip(prior + odds, -1e9, 1e9) * np.ones(len(of_batch)))
  return np.concatenate(labels), np.concatenate(scores)


@pytest.mark.parametrize(
  ('size', 'share', 'gap'),
  [
    (8, 0.02, 0.3),
    (32, 0.02, 0.3),
    (128, 0.02, 1.0),
    (8, 0.3, 0.1),
    (8, 0.3, 2),
  ],
)
def test_no_score_of_a_pass_is_better_than_the_bound(size, share, gap):
  rng = np.random.default_rng(0)
  positives = rng.binomial(size, share, 6000)
  sizes = np.stack([positives, size - positives], axis=1)
  gaps = gap * rng.uniform(0.5, 1.5, len(sizes))
  labels, scores = _best_scores(rng, sizes, gaps)
  distance = jax.jit(marvell_bounds.distance_of_pass)(
    gaps**2, sizes[:, 1], sizes[:, 0]
  )
  # The standard errors are below .01.
  assert (
    metrics.roc_auc_score(labels, scores)
    < 0.5 + distance - distance**2 / 2 + 0.01
  )
  false, true, _ = metrics.roc_curve(labels, scores)
  error = np.min(false + 1 - true) / 2
  assert error > (1 - distance) / 2 - 0.01
