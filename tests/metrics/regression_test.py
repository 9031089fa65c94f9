from absl.testing import parameterized
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from splitjax import metrics


class MeasureTargetsTest(parameterized.TestCase):
  @parameterized.product(seed=[0, 1], ties=[False, True])
  def test_equals_scikit_learn_and_scipy(self, seed, ties):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(2, 1, 40))
    predictions = truth + rng.normal(size=(2, 3, 40))
    if ties:
      truth, predictions = np.round(truth), np.round(predictions)
    scored = rng.random((2, 3, 40)) < 0.7
    found = metrics.measure_targets(predictions, truth, scored)
    for i, j in np.ndindex(2, 3):
      y, x = truth[i, 0][scored[i, j]], predictions[i, j][scored[i, j]]
      expected = {
        'r2': sklearn_metrics.r2_score(y, x),
        'mean_absolute_error': sklearn_metrics.mean_absolute_error(y, x),
        'spearman': stats.spearmanr(x, y).statistic,
      }
      for name, value in expected.items():
        np.testing.assert_allclose(found[name][i, j], value, rtol=1e-10)

  def test_what_is_not_scored_changes_nothing(self):
    rng = np.random.default_rng(0)
    truth, predictions = rng.normal(size=(2, 10))
    scored = np.arange(10) < 6
    first = metrics.measure_targets(predictions, truth, scored)
    predictions[8], truth[7] = 1e6, -1e6
    second = metrics.measure_targets(predictions, truth, scored)
    assert first == second

  def test_limits(self):
    truth = np.arange(5.0)
    same = metrics.measure_targets(truth, truth)
    assert same == {'r2': 1, 'mean_absolute_error': 0, 'spearman': 1}
    mean = metrics.measure_targets(np.full(5, 2.0), truth)
    assert mean == {'r2': 0, 'mean_absolute_error': 1.2, 'spearman': 0}
    flat = metrics.measure_targets(truth, np.zeros(5))
    assert np.isnan([flat['r2'], flat['spearman']]).all()
    assert flat['mean_absolute_error'] == 2

  def test_too_few_samples_are_refused(self):
    with pytest.raises(ValueError, match='at least two scored samples'):
      metrics.measure_targets(np.ones(3), np.ones(3), np.eye(3)[0] > 0)
