"""Inputs as plain vectors: what an attacker can cluster where nothing leaks."""

import numpy as np

from splitjax.data import dataset as dataset_lib

MAX_TOKEN_COLUMNS = 4096


def raw_vectors(
  dataset: dataset_lib.Dataset,
) -> tuple[np.ndarray, np.ndarray]:
  """Turns inputs of any kind into vectors whose distances mean something.

  Images and numbers are flattened. In a table, category ids become one column
  for each value that occurs in the training part. Of a text, each token is
  counted, in one column for each that occurs in the training part, or for the
  most frequent `MAX_TOKEN_COLUMNS`; padding is not counted. What occurs in the
  test part alone has no column.

  Args:
    dataset: of images, numbers, a table or texts.

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
    return tuple(_one_hot(x, num_numeric, values) for x in (train, test))
  return tuple(
    np.asarray(x, np.float32).reshape(len(x), -1) for x in (train, test)
  )


def _one_hot(inputs, num_numeric, values):
  """Numeric columns beside one column for each of `values`."""
  parts = [inputs[:, :num_numeric]]
  for column, known in zip(inputs[:, num_numeric:].T, values, strict=True):
    parts.append(column[:, None] == known[None])
  return np.concatenate(parts, axis=1, dtype=np.float32)


def _token_columns(tokens, vocabulary_size):
  """The column of each token, -1 for those that have none, `[V]`."""
  counts = np.bincount(tokens.reshape(-1), minlength=vocabulary_size)
  counts[0] = 0
  chosen = np.argsort(-counts, kind='stable')[:MAX_TOKEN_COLUMNS]
  chosen = np.sort(chosen[counts[chosen] > 0])
  columns = np.full(vocabulary_size, -1)
  columns[chosen] = np.arange(len(chosen))
  return columns


def _count_tokens(tokens, columns):
  """How often each token with a column occurs in each text, `[N, D]`."""
  counts = np.zeros((len(tokens), columns.max() + 1), np.float32)
  found = columns[tokens]  # [N, L]
  rows = np.nonzero(found >= 0)[0]
  np.add.at(counts, (rows, found[found >= 0]), 1)
  return counts
