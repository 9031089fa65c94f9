import numpy as np

from splitjax import data
from splitjax.data import vectors


def _dataset(train, test, **kwargs):
  return data.Dataset(
    name='x',
    train_inputs=train,
    train_labels=np.arange(len(train)) % 2,
    test_inputs=test,
    test_labels=np.arange(len(test)) % 2,
    class_names=('a', 'b'),
    **kwargs,
  )


def test_images_are_flattened():
  rng = np.random.default_rng(0)
  train, test = rng.random((4, 3, 3, 2), 'f'), rng.random((2, 3, 3, 2), 'f')
  first, second = data.raw_vectors(_dataset(train, test))
  np.testing.assert_array_equal(first, train.reshape(4, 18))
  np.testing.assert_array_equal(second, test.reshape(2, 18))


def test_categories_become_one_column_for_each_value_of_the_training_part():
  train = np.array([[0.5, 3, 0], [-1, 7, 0], [2, 3, 0]], np.float32)
  test = np.array([[9, 7, 1], [8, 4, 0]], np.float32)
  first, second = data.raw_vectors(
    _dataset(train, test, category_sizes=(10, 2))
  )
  assert first.dtype == second.dtype == np.float32
  np.testing.assert_array_equal(
    first, [[0.5, 1, 0, 1], [-1, 0, 1, 1], [2, 1, 0, 1]]
  )
  np.testing.assert_array_equal(second, [[9, 0, 1, 0], [8, 0, 0, 1]])


def test_tokens_are_counted_as_by_a_slow_loop():
  rng = np.random.default_rng(0)
  train, test = rng.integers(0, 30, (20, 5)), rng.integers(0, 40, (10, 5))
  known = sorted(set(train.reshape(-1)) - {0})
  first, second = data.raw_vectors(_dataset(train, test, vocabulary_size=40))
  for actual, tokens in ((first, train), (second, test)):
    assert actual.dtype == np.float32
    expected = [[list(row).count(token) for token in known] for row in tokens]
    np.testing.assert_array_equal(actual, expected)


def test_only_the_most_frequent_tokens_are_kept(monkeypatch):
  monkeypatch.setattr(vectors, 'MAX_TOKEN_COLUMNS', 2)
  train = np.array([[5, 5, 2], [2, 9, 0], [0, 0, 0]])
  first, _ = data.raw_vectors(_dataset(train, train, vocabulary_size=10))
  np.testing.assert_array_equal(first, [[1, 2], [1, 0], [0, 0]])
