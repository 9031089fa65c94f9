"""Columns of strings as classes, standardised numbers and category ids."""

from collections.abc import Collection, Mapping, Sequence
import os
import zlib

import numpy as np

_MAX_CLASSES = 1000

Columns = Mapping[str, np.ndarray]


def find_classes(name: str, values: np.ndarray) -> tuple[str, ...]:
  """Return the distinct labels, sorted by number if all are numbers.

  Args:
    name: name of the column, for the message.
    values: labels, `[N]` strings.

  Returns:
    The names of the classes; numbers are written without needless zeros.

  Raises:
    ValueError: if there is one class only, or if there are more than a thousand
      classes or as many as rows, so that the column rather holds numbers or
      texts.
  """
  numbers = to_numbers(values)
  numeric = numbers is not None and bool(np.isfinite(numbers).all())
  classes = set(map(_number_name, values) if numeric else values)
  if len(classes) < 2:
    raise ValueError(
      f'label_column {name!r} must have 2 classes at least, got '
      f'{sorted(classes)}.'
    )
  if len(classes) > _MAX_CLASSES or len(classes) == len(values):
    raise ValueError(
      f'label_column {name!r} looks like numbers or texts, not classes: '
      f'{len(classes):,} distinct values in {len(values):,} rows.'
    )
  return tuple(sorted(classes, key=float if numeric else None))


def to_classes(
  argument: str, values: np.ndarray, class_names: Sequence[str]
) -> np.ndarray:
  """Return the positions of labels among the names of the classes.

  Args:
    argument: where the labels come from, for the message.
    values: labels, `[N]` strings.
    class_names: names of the `C` classes, as `find_classes` gives them.

  Returns:
    Classes in `[0, C)`, int32 `[N]`.

  Raises:
    ValueError: if a label is not the name of a class.
  """
  position = {name: i for i, name in enumerate(class_names)}
  labels = [
    value if value in position else _number_name(value) for value in values
  ]
  if unknown := sorted(set(labels) - set(class_names)):
    raise ValueError(
      f'{argument} must have labels of the training part, got {unknown[0]!r}.'
    )
  return np.array([position[label] for label in labels], np.int32)


def to_targets(
  argument: str,
  values: np.ndarray,
  rows: np.ndarray,
  path: str | os.PathLike,
) -> np.ndarray:
  """Return labels as real numbers.

  Args:
    argument: where the labels come from, for the message.
    values: labels, `[N]` strings.
    rows: number of each label's row in the file, from 1, `[N]`.
    path: the file, for the message.

  Returns:
    Real targets in their own units, float64 `[N]`.

  Raises:
    ValueError: if a label is no number, or not finite in float32.
  """
  targets = np.array([_number(value) for value in values])
  finite = np.abs(targets) <= np.finfo(np.float32).max  # False for NaN.
  if not finite.all():
    first = int(np.argmin(finite))
    raise ValueError(
      f"{argument} must be finite numbers with target='real', got "
      f'{values[first]!r} in row {rows[first]} of {path}.'
    )
  return targets


def _number(text: str) -> float:
  """Return a string's number; NaN if it is none."""
  try:
    return float(text)
  except ValueError:
    return float('nan')


def to_numbers(values: Collection[str]) -> np.ndarray | None:
  """Return strings as numbers.

  Args:
    values: `N` strings.

  Returns:
    float64 `[N]` with NaN where a string is empty; None if one is no number.
  """
  try:
    return np.array([float(value or 'nan') for value in values])
  except ValueError:
    return None


def encode_table(
  train: Columns,
  test: Columns,
  *,
  categorical_columns: Collection[str] = (),
  num_buckets: int,
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...], tuple[str, ...]]:
  """Turn columns of strings into standardised numbers and category ids.

  The columns of numbers come first, and each is standardised with the mean and
  the standard deviation of the training part. All other columns are hashed.

  Args:
    train: columns of the training part, `[N]` strings each, '' if missing.
    test: columns of these names in the test part, `[M]` strings each.
    categorical_columns: names of columns that are hashed though their values
      are numbers.
    num_buckets: how many ids a categorical column has.

  Returns:
    Inputs of both parts, float32 `[N, F]` and `[M, F]`; how many ids each
    categorical column has; and a note on what was missing.

  Raises:
    ValueError: if a number is too large for float32, or infinite, or
      `num_buckets` is below 2.
  """
  if num_buckets < 2:
    raise ValueError(f'num_buckets must be at least 2, got {num_buckets}.')
  numeric, categorical = [], []
  for name, values in train.items():
    both = [*values, *test[name]]
    numbers = None if name in categorical_columns else to_numbers(both)
    if numbers is None:
      categorical.append(_hash_column(name, both, num_buckets))
    else:
      numeric.append(_standardize(name, numbers, len(values)))
  inputs = np.stack([*numeric, *categorical], axis=1)
  num_train = len(next(iter(train.values())))
  sizes = (num_buckets,) * len(categorical)
  return inputs[:num_train], inputs[num_train:], sizes, _missing(train, test)


def _number_name(value: str) -> str:
  """Return a number without needless zeros, so that '1.0' and '1' are equal."""
  try:
    number = float(value)
  except ValueError:
    return value
  return str(int(number)) if number.is_integer() else str(number)


def _hash_column(
  name: str, values: Collection[str], num_buckets: int
) -> np.ndarray:
  """Return ids `[N + M]`: 0 if a value is missing, else its lasting hash."""
  codes = {
    value: 1 + zlib.crc32(f'{name}\0{value}'.encode()) % (num_buckets - 1)
    for value in set(values)
  }
  codes[''] = 0
  return np.array([codes[value] for value in values], np.float32)


def _standardize(name: str, numbers: np.ndarray, num_train: int) -> np.ndarray:
  """Fill and scale numbers by the first `num_train`, float32 `[N + M]`."""
  with np.errstate(over='ignore'):
    infinite = np.isinf(numbers.astype(np.float32))
  if infinite.any():
    raise ValueError(
      f'column {name!r} must be finite in float32, got {numbers[infinite][0]}.'
    )
  known = numbers[:num_train][~np.isnan(numbers[:num_train])]
  numbers = np.where(
    np.isnan(numbers), np.median(known) if len(known) else 0.0, numbers
  )
  mean, std = numbers[:num_train].mean(), numbers[:num_train].std()
  # Constant if only rounding makes it differ: then it is only centred.
  constant = np.ptp(numbers[:num_train]) == 0
  scaled = (numbers - mean) / (1.0 if constant else std)
  return scaled.astype(np.float32)


def _missing(train: Columns, test: Columns) -> tuple[str, ...]:
  """Return a note on how many values were missing, and in which columns."""
  counts = {
    name: int((train[name] == '').sum() + (test[name] == '').sum())
    for name in train
  }
  names = [name for name, count in counts.items() if count]
  if not names:
    return ()
  return (
    f'{sum(counts.values()):,} missing values in {", ".join(names)}: numbers '
    'are the median of the training part, categories have one of their own',
  )
