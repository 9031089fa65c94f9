import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from splitjax.data import correlation_split


def _inputs(num_features=8, num_samples=200):
  """Returns features in pairs that correlate, and a constant one."""
  rng = np.random.default_rng(0)
  shared = rng.normal(size=(num_samples, num_features // 2))
  noise = rng.normal(size=(num_samples, num_features))
  inputs = np.repeat(shared, 2, axis=1) + 0.5 * noise
  inputs[:, -1] = 3
  return inputs


def _icor_by_loops(correlations, parts):
  def pcor(i, j):
    block = correlations[np.ix_(parts[i], parts[j])]
    if min(block.shape) < 2:
      return 0.0
    values = np.linalg.svd(block)[1]
    return np.std(values, ddof=1) / np.sqrt(min(block.shape))

  num = len(parts)
  return np.mean(
    [
      np.mean([pcor(j, i) - pcor(i, i) for j in range(num) if j != i])
      for i in range(num)
    ]
  )


def test_rank_correlations_match_scipy_and_constants_have_none():
  inputs = np.round(_inputs(), 1)  # With ties.
  found = correlation_split.spearman(inputs)
  expected = scipy.stats.spearmanr(inputs[:, :-1]).statistic
  np.testing.assert_allclose(found[:-1, :-1], expected, atol=1e-12)
  np.testing.assert_array_equal(found[-1], 0)


@pytest.mark.parametrize('sizes', [(4, 4), (3, 3, 2), (2, 1, 5)])
def test_icor_matches_a_loop_over_parties(sizes):
  correlations = correlation_split.spearman(_inputs())
  parts = np.split(np.arange(8), np.cumsum(sizes)[:-1])
  found = correlation_split.icor(jnp.asarray(correlations), sizes)
  np.testing.assert_allclose(
    found, _icor_by_loops(correlations, parts), atol=1e-6
  )


def test_bounds_and_split_match_a_search_of_all():
  inputs = _inputs()
  correlations = correlation_split.spearman(inputs)
  everything = [
    _icor_by_loops(correlations, [list(one), sorted({*range(8)} - {*one})])
    for one in itertools.combinations(range(8), 4)
  ]
  low, high = min(everything), max(everything)
  for beta in (0.0, 0.5, 1.0):
    found = correlation_split.split_by_correlation(inputs, 2, beta, seed=0)
    np.testing.assert_allclose(found.min_icor, low, atol=1e-5)
    np.testing.assert_allclose(found.max_icor, high, atol=1e-5)
    icor = _icor_by_loops(correlations, found.parts)
    np.testing.assert_allclose(found.icor, icor, atol=1e-5)
    goal = low + beta * (high - low)
    nearest = min(np.abs(np.array(everything) - goal))
    np.testing.assert_allclose(abs(icor - goal), nearest, atol=1e-5)
    np.testing.assert_array_equal(
      np.sort(np.concatenate(found.parts)), np.arange(8)
    )


@pytest.mark.parametrize('beta', [0.0, 0.3, 0.7, 1.0])
def test_beta_of_a_split_is_what_was_asked_for(beta):
  rng = np.random.default_rng(1)
  mixed = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 20))
  inputs = mixed + rng.normal(size=(300, 20))
  found = correlation_split.split_by_correlation(inputs, 4, beta, seed=0)
  assert abs(found.beta - beta) < 0.02
  icor = _icor_by_loops(correlation_split.spearman(inputs), found.parts)
  span = found.max_icor - found.min_icor
  np.testing.assert_allclose(
    found.beta, (icor - found.min_icor) / span, atol=1e-3
  )
