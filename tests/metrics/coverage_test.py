"""The share of samples that is read with high precision."""

from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from splitjax import metrics


def _reference(confidence, right, precision):
  best = 0
  for threshold in confidence:
    taken = confidence >= threshold
    if right[taken].mean() >= precision - 1e-12:
      best = max(best, taken.sum())
  return best / len(right)


class CoverageTest(parameterized.TestCase):
  @hypothesis.given(
    st.integers(0, 1000), st.sampled_from([0.5, 0.9, 1.0]), st.booleans()
  )
  def test_equals_a_loop_over_thresholds(self, seed, precision, ties):
    rng = np.random.default_rng(seed)
    confidence = rng.normal(size=(2, 3, 30))
    right = confidence + rng.normal(size=confidence.shape) > -0.5
    confidence = np.round(confidence) if ties else confidence
    scored = rng.random(confidence.shape) < 0.8
    scored[..., 0] = True
    actual = metrics.coverage_at(confidence, right, scored, precision=precision)
    for trial in np.ndindex(2, 3):
      keep = scored[trial]
      expected = _reference(
        confidence[trial][keep], right[trial][keep], precision
      )
      np.testing.assert_allclose(actual[trial], expected)

  def test_limits(self):
    confidence = np.arange(200.0)
    assert metrics.coverage_at(confidence, np.ones(200, bool)) == 1
    assert metrics.coverage_at(confidence, np.zeros(200, bool)) == 0
    right = np.arange(200) != 150  # 1 of 100 may be wrong, not 1 of 50.
    assert metrics.coverage_at(confidence, right) == 1
    right[140] = False
    assert metrics.coverage_at(confidence, right) == 1  # 2 of 200.
    right[130] = False
    assert metrics.coverage_at(confidence, right) == 49 / 200

  def test_equal_confidence_is_taken_together(self):
    right = np.arange(100) < 50
    assert metrics.coverage_at(np.zeros(100), right) == 0
    assert metrics.coverage_at(np.zeros(100), right, precision=0.5) == 1

  def test_nan_is_least_sure(self):
    confidence = np.array([np.nan, 1.0, 2.0])
    right = np.array([False, True, True])
    np.testing.assert_allclose(metrics.coverage_at(confidence, right), 2 / 3)

  def test_precision_is_checked(self):
    with pytest.raises(ValueError, match=r'precision must lie in \(0, 1\]'):
      metrics.coverage_at(np.ones(3), np.ones(3, bool), precision=99)
