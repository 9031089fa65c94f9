"""Inputs as plain vectors: what an attacker can cluster where nothing leaks."""

import numpy as np

from splitjax.data import dataset as dataset_lib

MAX_TOKEN_COLUMNS = 4096


def raw_vectors(
  dataset: dataset_lib.Dataset,
) -> tuple[np.ndarray, np.ndarray]:
  """Turn inputs of any kind into vectors that can be compared by distance.

  Images and numbers are flattened. In a table, a column of category ids becomes
  one column of zeros and ones for each value of it in the training part. Of a
  text, each token is counted, with one column for each token of the training
  part, or for the most frequent `MAX_TOKEN_COLUMNS`; padding is not counted.
  Values and tokens that occur in the test part alone have no column.

  Args:
    dataset: data set of images, numbers, a table or texts.

  Returns:
    float32 vectors of the training part `[N, D]` and the test part `[M, D]`.
  """
  train, test = dataset.train_inputs, dataset.test_inputs
  if dataset.vocabulary_size is not None:
    columns = _token_columns(train, dataset.vocabulary_size)
    return _count_tokens(train, columns), _count_tokens(test, columns)
  if dataset.category_sizes:
    num_numeric = train.shape[1] - len(dataset.category_sizes)
    values = [np.unique(column) for column in train[:, num_numeric:].T]
    return (
      _one_hot(train, num_numeric, values),
      _one_hot(test, num_numeric, values),
    )
  return (
    np.asarray(train, np.float32).reshape(len(train), -1),
    np.asarray(test, np.float32).reshape(len(test), -1),
  )


def _one_hot(
  inputs: np.ndarray, num_numeric: int, values: list[np.ndarray]
) -> np.ndarray:
  """Return numeric columns beside one column for each of `values`."""
  parts = [inputs[:, :num_numeric]]
  for column, known in zip(inputs[:, num_numeric:].T, values, strict=True):
    parts.append(column[:, None] == known[None])
  return np.concatenate(parts, axis=1, dtype=np.float32)


def _token_columns(tokens: np.ndarray, vocabulary_size: int) -> np.ndarray:
  """Return the column of each token, `[V]`, or -1 for those without one."""
  counts = np.bincount(tokens.reshape(-1), minlength=vocabulary_size)
  counts[0] = 0
  chosen = np.argsort(-counts, kind='stable')[:MAX_TOKEN_COLUMNS]
  chosen = np.sort(chosen[counts[chosen] > 0])
  columns = np.full(vocabulary_size, -1)
  columns[chosen] = np.arange(len(chosen))
  return columns


def _count_tokens(tokens: np.ndarray, columns: np.ndarray) -> np.ndarray:
  """Count how often each token with a column occurs in each text, `[N, D]`."""
  counts = np.zeros((len(tokens), columns.max() + 1), np.float32)
  found = columns[tokens]  # [N, L]
  rows = np.nonzero(found >= 0)[0]
  np.add.at(counts, (rows, found[found >= 0]), 1)
  return counts
