import numpy as np

from splitjax import data


def _dataset(train_labels, test_labels, **kwargs):
  return data.Dataset(
    name='x',
    train_inputs=np.zeros((len(train_labels), 1)),
    train_labels=np.asarray(train_labels),
    test_inputs=np.zeros((len(test_labels), 1)),
    test_labels=np.asarray(test_labels),
    **kwargs,
  )


def test_ids_lead_to_the_true_classes():
  dataset = _dataset([2, 0, 1], [1, 2], class_names=('a', 'b', 'c'))
  assert not dataset.is_real
  assert dataset.num_classes == 3
  truth = dataset.labels_by_id
  assert truth.dtype == dataset.train_labels.dtype
  np.testing.assert_array_equal(truth[dataset.train_ids], [2, 0, 1])
  np.testing.assert_array_equal(truth[dataset.test_ids], [1, 2])


def test_ids_lead_to_the_true_targets_in_their_own_units():
  train, test = np.float32([-1, 1]), np.float32([2])
  dataset = _dataset(train, test, target_mean=10.0, target_std=3.0)
  assert dataset.is_real
  assert dataset.num_classes == 0
  assert dataset.labels_by_id.dtype == np.float64
  np.testing.assert_array_equal(dataset.labels_by_id, [7, 13, 16])
  np.testing.assert_array_equal(dataset.in_units([[0], [1]]), [[10], [13]])


def test_old_names_of_real_targets_still_work():
  assert data.RegressionDataset is data.Dataset
  dataset = _dataset([-1.0, 1.0], [2.0], target_mean=10.0, target_std=3.0)
  assert dataset.train_targets is dataset.train_labels
  assert dataset.test_targets is dataset.test_labels
  np.testing.assert_array_equal(dataset.targets_by_id, dataset.labels_by_id)
