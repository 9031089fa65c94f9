from absl.testing import parameterized
import numpy as np

from splitjax import data

LOADERS = [
  (data.load_digits, (8, 8, 1), 10, 1797),
  (data.load_breast_cancer, (30,), 2, 569),
]


class EmbeddedTest(parameterized.TestCase):
  @parameterized.parameters(*LOADERS)
  def test_shapes_and_types(self, load_fn, shape, num_classes, num_samples):
    dataset = load_fn(seed=0)
    assert dataset.num_classes == num_classes
    assert dataset.train_inputs.shape[1:] == shape
    assert dataset.train_inputs.dtype == np.float32
    sizes = [len(dataset.train_labels), len(dataset.test_labels)]
    assert sum(sizes) == num_samples
    assert abs(sizes[1] / num_samples - 0.2) < 0.01
    assert set(dataset.train_labels) == set(range(num_classes))

  @parameterized.parameters(*LOADERS)
  def test_ids_are_distinct_and_lead_to_the_truth(self, load_fn, *unused):
    dataset = load_fn(seed=0)
    ids = np.concatenate([dataset.train_ids, dataset.test_ids])
    assert len(set(ids)) == len(ids)
    np.testing.assert_array_equal(
      dataset.labels_by_id[dataset.test_ids], dataset.test_labels
    )

  @parameterized.parameters(*LOADERS)
  def test_split_is_seeded_and_keeps_class_shares(self, load_fn, *unused):
    first, again, other = load_fn(seed=0), load_fn(seed=0), load_fn(seed=1)
    np.testing.assert_array_equal(first.test_inputs, again.test_inputs)
    assert not np.array_equal(first.test_inputs, other.test_inputs)
    shares = [
      np.bincount(labels) / len(labels)
      for labels in (first.train_labels, first.test_labels)
    ]
    np.testing.assert_allclose(*shares, atol=0.01)

  @parameterized.parameters(*LOADERS)
  def test_standardised_by_the_training_part(self, load_fn, *unused):
    dataset = load_fn(seed=0)
    axes = tuple(range(dataset.train_inputs.ndim - 1))
    mean = dataset.train_inputs.mean(axes)
    std = dataset.train_inputs.std(axes)
    np.testing.assert_allclose(mean, 0, atol=1e-5)
    np.testing.assert_allclose(std, 1, atol=1e-4)


def test_statistics_come_from_the_training_part_alone():
  rng = np.random.default_rng(0)
  inputs, labels = rng.normal(size=(50, 3)), np.arange(50) % 2
  kwargs = dict(class_names=('a', 'b'), seed=3)
  plain = data.split_and_standardize('x', inputs, labels, **kwargs)
  train_rows = {row.tobytes() for row in plain.train_inputs}
  # Moving the test rows moves nothing in the training part.
  from sklearn import model_selection

  train, test = model_selection.train_test_split(
    np.arange(50), test_size=0.2, stratify=labels, random_state=3
  )
  inputs[test] += 1000
  moved = data.split_and_standardize('x', inputs, labels, **kwargs)
  assert {row.tobytes() for row in moved.train_inputs} == train_rows
  assert moved.test_inputs.min() > 100


def test_constant_column_is_only_centred():
  inputs = np.column_stack([np.full(20, 7.0), np.arange(20.0)])
  dataset = data.split_and_standardize(
    'x', inputs, np.arange(20) % 2, ('a', 'b'), seed=0
  )
  np.testing.assert_array_equal(dataset.train_inputs[:, 0], 0)
  assert np.isfinite(dataset.test_inputs).all()
