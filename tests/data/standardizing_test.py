import numpy as np
import pytest

from splitjax import data


def test_diabetes_is_split_and_standardised():
  found = data.load_diabetes(seed=0)
  assert found.train_inputs.shape == (353, 10)
  assert found.test_inputs.shape == (89, 10)
  assert found.train_inputs.dtype == found.train_labels.dtype == np.float32
  for values in (found.train_inputs, found.train_labels):
    np.testing.assert_allclose(values.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(values.std(0), 1, atol=1e-4)


def test_truth_by_id_is_that_of_scikit_learn():
  from sklearn import datasets

  found = data.load_diabetes(seed=3)
  ids = np.concatenate([found.train_ids, found.test_ids])
  np.testing.assert_array_equal(ids, np.arange(442))
  truth = found.labels_by_id
  expected = datasets.load_diabetes().target
  np.testing.assert_allclose(np.sort(truth), np.sort(expected), rtol=1e-5)
  np.testing.assert_allclose(
    truth[found.train_ids].mean(), found.target_mean, rtol=1e-6
  )
  np.testing.assert_allclose(
    truth[found.test_ids], found.in_units(found.test_labels)
  )


def test_inputs_stay_with_their_targets():
  inputs = np.arange(50.0)[:, None] * [[1, -2]]
  found = data.split_and_standardize_targets('x', inputs, inputs[:, 0], seed=1)
  for values, targets in (
    (found.train_inputs, found.train_labels),
    (found.test_inputs, found.test_labels),
  ):
    np.testing.assert_allclose(values[:, 0], targets, atol=1e-5)
    np.testing.assert_allclose(values[:, 1], -targets, atol=1e-5)
  assert len(found.test_labels) == 10


def test_split_is_seeded():
  first, again, other = (data.load_diabetes(seed=seed) for seed in (0, 0, 1))
  np.testing.assert_array_equal(first.test_inputs, again.test_inputs)
  assert not np.array_equal(first.test_inputs, other.test_inputs)


def test_statistics_come_from_the_training_part_alone():
  rng = np.random.default_rng(0)
  inputs, targets = rng.normal(size=(50, 3)), rng.normal(size=50)
  from sklearn import model_selection

  _, test = model_selection.train_test_split(
    np.arange(50), test_size=0.2, random_state=3
  )
  plain = data.split_and_standardize_targets('x', inputs, targets, seed=3)
  inputs[test] += 1000
  targets[test] += 1000
  moved = data.split_and_standardize_targets('x', inputs, targets, seed=3)
  np.testing.assert_array_equal(plain.train_inputs, moved.train_inputs)
  np.testing.assert_array_equal(plain.train_labels, moved.train_labels)
  assert moved.test_labels.min() > 100 and moved.test_inputs.min() > 100


@pytest.mark.parametrize('value', [1.0, np.nan])
def test_labels_that_say_nothing_are_refused(value):
  with pytest.raises(ValueError, match='targets must'):
    data.split_and_standardize_targets(
      'x', np.ones((9, 1)), np.full(9, value), seed=0
    )
