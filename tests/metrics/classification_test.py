from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
from scipy import optimize
from sklearn import metrics as reference

from splitjax import metrics


def _draw(seed, trials=(2, 3), num_samples=40, num_classes=4):
  rng = np.random.default_rng(seed)
  truth = rng.integers(0, num_classes, num_samples)
  noise = rng.integers(0, num_classes, (*trials, num_samples))
  keep = rng.random((*trials, num_samples)) < rng.random()
  scored = rng.random((*trials, num_samples)) < 0.8
  scored[..., 0] = True
  return np.where(keep, truth, noise), truth, scored


class MeasuresTest(parameterized.TestCase):
  @hypothesis.given(st.integers(0, 1000), st.integers(1, 5))
  def test_equal_scikit_learn_and_scipy(self, seed, num_classes):
    predictions, truth, scored = _draw(seed, num_classes=num_classes)
    confusion = metrics.confusion_matrices(
      predictions, truth, scored, num_classes=num_classes
    )
    measures = metrics.measure_all(confusion)
    for trial in np.ndindex(2, 3):
      t, p = truth[scored[trial]], predictions[trial][scored[trial]]
      matrix = np.zeros((num_classes, num_classes), int)
      np.add.at(matrix, (t, p), 1)
      np.testing.assert_array_equal(confusion[trial], matrix)
      best = optimize.linear_sum_assignment(matrix, maximize=True)
      expected = {
        'accuracy': reference.accuracy_score(t, p),
        'balanced_accuracy': np.mean([np.mean(p[t == c] == c) for c in set(t)]),
        'macro_f1': reference.f1_score(t, p, average='macro', zero_division=0),
        'ari': reference.adjusted_rand_score(t, p),
        'oracle_accuracy': matrix[best].sum() / len(t),
      }
      if num_classes == 2:
        expected['f1'] = reference.f1_score(t, p, zero_division=0)
      assert set(expected) == set(measures)
      for name, value in expected.items():
        np.testing.assert_allclose(
          measures[name][trial], value, atol=1e-12, err_msg=name
        )

  @parameterized.parameters(1, 2, 3)
  def test_perfect_predictions(self, num_classes):
    truth = np.arange(num_classes).repeat(5)
    confusion = metrics.confusion_matrices(
      truth, truth, num_classes=num_classes
    )
    for name, value in metrics.measure_all(confusion).items():
      assert value == 1, name

  def test_one_scored_sample(self):
    confusion = metrics.confusion_matrices(
      np.array([1, 0]), np.array([0, 0]), np.array([True, False]), num_classes=2
    )
    measures = metrics.measure_all(confusion)
    assert measures['accuracy'] == 0
    assert measures['oracle_accuracy'] == 1
    assert all(np.isfinite(value) for value in measures.values())

  def test_oracle_ignores_names(self):
    _, truth, _ = _draw(0)
    renamed = np.array([2, 0, 3, 1])[truth]
    confusion = metrics.confusion_matrices(renamed, truth, num_classes=4)
    assert metrics.oracle_accuracy(confusion) == 1
    assert metrics.accuracy(confusion) < 0.5

  @parameterized.named_parameters(
    (
      'predictions',
      [0, 4],
      [0, 1],
      None,
      'predictions must lie between 0 and 3',
    ),
    ('truth', [0, 1], [-1, 1], None, 'truth must lie .* got -1 to 1'),
    ('nothing', [0, 1], [0, 1], [False, False], 'at least one scored'),
  )
  def test_bad_argument_is_named(self, predictions, truth, scored, message):
    with self.assertRaisesRegex(ValueError, message):
      metrics.confusion_matrices(
        np.array(predictions), np.array(truth), scored, num_classes=4
      )


class ReferenceLevelsTest(parameterized.TestCase):
  def test_chance_is_what_guessing_gives_on_average(self):
    truth = np.repeat([0, 1, 2], [700, 200, 100])
    guesses = np.random.default_rng(0).integers(0, 3, (200, 1000))
    confusion = metrics.confusion_matrices(guesses, truth, num_classes=3)
    guessed = metrics.measure_all(confusion)
    for name, value in metrics.measure_chance(confusion[0]).items():
      np.testing.assert_allclose(
        value, guessed[name].mean(), atol=5e-3, err_msg=name
      )

  def test_majority_always_answers_the_largest_class(self):
    _, truth, scored = _draw(0)
    confusion = metrics.confusion_matrices(
      np.broadcast_to(truth, scored.shape), truth, scored, num_classes=4
    )
    majority = metrics.majority_confusion(confusion)
    for trial in np.ndindex(2, 3):
      sizes = np.bincount(truth[scored[trial]], minlength=4)
      expected = sizes.max() / sizes.sum()
      np.testing.assert_allclose(metrics.accuracy(majority)[trial], expected)


class AucTest(parameterized.TestCase):
  @hypothesis.given(st.integers(0, 1000), st.booleans())
  def test_equals_scikit_learn(self, seed, ties):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 40)
    truth[:2] = 0, 1
    scores = rng.normal(size=(2, 3, 40)) + truth * rng.random()
    scores = np.round(scores) if ties else scores
    scored = rng.random((2, 3, 40)) < 0.8
    scored[..., :2] = True
    actual = metrics.auc(scores, truth, scored)
    for trial in np.ndindex(2, 3):
      keep = scored[trial]
      expected = reference.roc_auc_score(truth[keep], scores[trial][keep])
      np.testing.assert_allclose(actual[trial], expected)

  def test_one_class_has_none(self):
    scores = np.array([[0.1, 0.2], [0.3, 0.1]])
    assert np.isnan(metrics.auc(scores, np.array([1, 1]))).all()

  def test_equal_scores_are_a_coin(self):
    assert metrics.auc(np.zeros(5), np.array([0, 1, 1, 0, 0])) == 0.5
