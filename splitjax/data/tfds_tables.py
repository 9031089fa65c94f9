"""Tables of tensorflow-datasets: features as columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from splitjax.data import columns as columns_lib
from splitjax.data import roles as roles_lib
from splitjax.data import tfds_features
from splitjax.data import tfds_files


def encode(
  features: Any,
  sources: Sequence[Any],
  rows: Sequence[np.ndarray],
  choice: tfds_features.Choice,
  *,
  drop_columns: Sequence[str | int],
  categorical_columns: Sequence[str | int],
  numeric_columns: Sequence[str | int],
  num_buckets: int,
) -> dict[str, Any]:
  """Read features as the columns of a table.

  A vector becomes a column for each of its numbers, called after it; a class is
  a category by its name.

  Args:
    features: the features of the set, by key.
    sources: what `tfds_files.open_split` returned, of the training part and of
      the test part.
    rows: which rows of each are read.
    choice: which features are inputs.
    drop_columns: columns to leave out, by name or position.
    categorical_columns: columns of numbers that are codes.
    numeric_columns: columns that are numbers whatever they hold.
    num_buckets: how many ids a categorical column has.

  Returns:
    The fields of a `Dataset` that inputs need.

  Raises:
    ValueError: if an argument does not fit the set, or a file is damaged.
  """
  columns: dict[str, Any] = {}
  for key in choice.inputs:
    columns |= _read_columns(features[key], sources, rows, key)
  roles = roles_lib.assign_roles(
    [choice.label, *columns],
    label_column=choice.label,
    drop_columns=drop_columns,
    categorical_columns=categorical_columns,
    numeric_columns=numeric_columns,
  )
  encoded = columns_lib.encode_table(
    {name: columns[name] for name in roles.inputs},
    len(rows[0]),
    categorical_columns=roles.categorical,
    numeric_columns=roles.numeric,
    num_buckets=num_buckets,
  )
  return {
    'train_inputs': encoded.train,
    'test_inputs': encoded.test,
    'category_sizes': encoded.category_sizes,
    'column_names': encoded.column_names,
    'notes': encoded.notes,
  }


def _read_columns(
  feature: Any, sources: Sequence[Any], rows: Sequence[np.ndarray], key: str
) -> dict[str, Any]:
  """Return the columns that a feature makes, by name."""
  import pyarrow as pa

  size = feature.shape[0] if feature.shape else 1
  values = [
    one
    for source, some in zip(sources, rows, strict=True)
    for one in tfds_files.read_feature(source, some, key, size=size)
  ]
  if size > 1:
    table = np.array(values, np.float64)
    return {
      f'{key}_{index}': pa.chunked_array([pa.array(table[:, index])])
      for index in range(size)
    }
  if tfds_features.is_text(feature):
    texts = [text.decode(errors='replace').strip() for text in values]
    return {key: pa.chunked_array([pa.array(texts, pa.string())])}
  if tfds_features.is_class(feature):
    names = feature.names
    texts = [names[i] if 0 <= i < len(names) else '' for i in values]
    return {key: pa.chunked_array([pa.array(texts, pa.string())])}
  return {key: pa.chunked_array([pa.array(values, pa.float64())])}
