"""Columns of a table as standardised numbers and category ids."""

from collections.abc import Collection
from typing import Any, NamedTuple
import zlib

import numpy as np

from splitjax.data import arrow
from splitjax.data import labels as labels_lib
from splitjax.data import numerals
from splitjax.data import standardizing
from splitjax.data import text_columns
from splitjax.data.numerals import Numerals

# The first rows show whether a file has decimal commas.
_ROWS_LOOKED_AT = 10_000
# Ids are float32, which holds whole numbers up to here.
MOST_BUCKETS = 1 << 24


class Encoded(NamedTuple):
  """A table as a network takes it.

  Attributes:
    train: standardised numbers, then category ids, float32 `[N, F]`.
    test: those of the test part, float32 `[M, F]`.
    category_sizes: how many ids each categorical column has.
    column_names: name of each column, `F`.
    notes: what was missing, what was recognised and what was hashed.
  """

  train: np.ndarray
  test: np.ndarray
  category_sizes: tuple[int, ...]
  column_names: tuple[str, ...]
  notes: tuple[str, ...]


class _Hashed(NamedTuple):
  """Category ids `[N + M]`, how many values there are, and how many miss."""

  ids: np.ndarray
  num_values: int
  num_missing: int
  notes: tuple[str, ...]


def encode_table(
  columns: dict[str, Any],
  num_train: int,
  *,
  categorical_columns: Collection[str] = (),
  numeric_columns: Collection[str] = (),
  num_buckets: int,
  decimal: str | None = None,
  thousands: str | None = None,
) -> Encoded:
  """Turn columns into standardised numbers and category ids.

  A column is numbers if nine in ten of its values are; what is no number is
  missing. The columns of numbers come first, and each is standardised with the
  mean and the standard deviation of the training part, a missing value being
  the median. All other columns are hashed.

  Args:
    columns: `pyarrow.ChunkedArray` of `N + M` values each, of which the first
      `N` are the training part. They are taken out one by one, which frees
      their memory.
    num_train: size of the training part, `N`.
    categorical_columns: names of columns that are hashed though their values
      are numbers.
    numeric_columns: names of columns that are numbers whatever they hold.
    num_buckets: how many ids a categorical column has.
    decimal: the mark before decimals, '.' or ','; None to recognise it.
    thousands: the mark between thousands; None to recognise it.

  Returns:
    Inputs of both parts, and notes on them.

  Raises:
    ValueError: if a number is too large for float32, or infinite, or an
      argument is out of range.
  """
  if not 2 <= num_buckets <= MOST_BUCKETS:
    raise ValueError(
      f'num_buckets must be at least 2 and at most {MOST_BUCKETS}, got '
      f'{num_buckets}.'
    )
  default = _default_decimal(columns, categorical_columns)
  numeric: dict[str, Numerals] = {}
  hashed: dict[str, _Hashed] = {}
  scaled = []
  for name in list(columns):
    column = columns.pop(name)
    found = None
    if name not in categorical_columns:
      found = _to_numbers(
        name,
        column,
        decimal=decimal,
        thousands=thousands,
        default=default,
        force=name in numeric_columns,
      )
    if found is None:
      hashed[name] = _hash_column(name, column, num_buckets)
    else:
      scaled.append(_standardize(name, found.values, num_train))
      missing = np.isnan(found.values).sum() - found.num_strange
      numeric[name] = found._replace(values=missing)
  inputs = np.stack([*scaled, *(one.ids for one in hashed.values())], axis=1)
  return Encoded(
    inputs[:num_train],
    inputs[num_train:],
    (num_buckets,) * len(hashed),
    (*numeric, *hashed),
    _notes_of(numeric, hashed, num_buckets),
  )


def check_marks(decimal: str | None, thousands: str | None) -> None:
  """Check the marks inside numbers.

  Args:
    decimal: the mark before decimals; None to recognise it.
    thousands: the mark between thousands; None to recognise it.

  Raises:
    ValueError: if they are no such marks, or equal.
  """
  if decimal not in (None, '.', ','):
    raise ValueError(f"decimal must be '.' or ',', got {decimal!r}.")
  if thousands is not None and (
    len(thousands) != 1 or thousands.isalnum() or thousands in '+-'
  ):
    raise ValueError(
      f'thousands must be one mark, as a comma, got {thousands!r}.'
    )
  if decimal is not None and decimal == thousands:
    raise ValueError(f'thousands must differ from decimal, got {thousands!r}.')


def _default_decimal(
  columns: dict[str, Any], categorical: Collection[str]
) -> str:
  """Return a comma if columns have decimal commas, and none decimal points."""
  odd, plain = [], []
  for name, column in columns.items():
    if name not in categorical and text_columns.is_text(column):
      column = column.slice(0, _ROWS_LOOKED_AT)
      (odd if numerals.read_plain(column) is None else plain).append(column)
  marks = set(map(numerals.decimal_of, odd))
  if ',' in marks and '.' not in marks:
    marks.update(map(numerals.decimal_of, plain))
  return ',' if ',' in marks and '.' not in marks else '.'


def _to_numbers(name: str, column: Any, **kwargs: Any) -> Numerals | None:
  """Return a column as numbers; None if it rather holds categories."""
  import pyarrow as pa

  pc = arrow.compute()
  if text_columns.is_numeric(column):
    values = pc.cast(column, pa.float64(), safe=False)
    return Numerals(values.to_numpy(), (), (), 0)
  if not text_columns.is_text(column):
    column = text_columns.to_text(name, column)
  return numerals.read_numerals(column, **kwargs)


def _hash_column(name: str, column: Any, num_buckets: int) -> _Hashed:
  """Return ids: 0 if a value is missing, else its lasting hash."""
  pc = arrow.compute()
  text = text_columns.to_text(name, column)
  encoded = pc.dictionary_encode(text).combine_chunks()
  distinct = np.array(encoded.dictionary.to_pylist(), object)
  (joined,), notes = labels_lib.join_integers([distinct])
  ids = [
    1 + zlib.crc32(f'{name}\0{value}'.encode()) % (num_buckets - 1)
    if value
    else 0
    for value in joined
  ]
  codes = encoded.indices.to_numpy()
  return _Hashed(
    np.array(ids, np.float32)[codes],
    len(set(joined) - {''}),
    int((distinct == '')[codes].sum()),
    tuple(f'{name}: {note}' for note in notes),
  )


def _standardize(name: str, numbers: np.ndarray, num_train: int) -> np.ndarray:
  """Fill and scale numbers by the first `num_train`, float32 `[N + M]`."""
  missing = np.isnan(numbers)
  if not (np.abs(numbers) <= np.finfo(np.float32).max)[~missing].all():
    wrong = numbers[~missing]
    wrong = wrong[np.argmax(np.abs(wrong))]
    raise ValueError(
      f'column {name!r} must be finite in float32, got {wrong}; see '
      'drop_columns.'
    )
  if missing.any():
    known = numbers[:num_train][~missing[:num_train]]
    median = np.median(known) if len(known) else 0.0
    numbers = np.where(missing, median, numbers)
  train, test = standardizing.standardize_inputs(
    numbers[:num_train, None],
    numbers[num_train:, None],
    f'column {name!r}',
  )
  return np.concatenate([train, test])[:, 0]


def _notes_of(
  numeric: dict[str, Numerals], hashed: dict[str, _Hashed], num_buckets: int
) -> tuple[str, ...]:
  """Return what was lost first, then what was recognised."""
  notes = []
  counts = {name: int(one.values) for name, one in numeric.items()}
  counts |= {name: one.num_missing for name, one in hashed.items()}
  if names := [name for name, count in counts.items() if count]:
    notes.append(
      f'{sum(counts.values()):,} missing values in {_listed(names)}: numbers '
      'are the median of the training part, categories have one of their own'
    )
  strange = [
    f'{one.num_strange:,} in {name} (such as {one.strange[0]!r})'
    for name, one in numeric.items()
    if one.num_strange
  ]
  if strange:
    notes.append(
      f'values that are no numbers, taken for missing: {_listed(strange)}; see '
      'categorical_columns'
    )
  remarks = sorted(
    {remark for one in numeric.values() for remark in one.remarks}
  )
  for remark in remarks:
    names = [name for name, one in numeric.items() if remark in one.remarks]
    notes.append(f'{remark} recognised in {_listed(names)}')
  if hashed:
    shown = [f'{name} ({one.num_values:,})' for name, one in hashed.items()]
    notes.append(
      f'hashed to {num_buckets} ids, by column (distinct values): '
      + _listed(shown)
    )
  return (*notes, *(note for one in hashed.values() for note in one.notes))


def _listed(names: list[str], most: int = 20) -> str:
  """Return names with commas between, at most `most`."""
  more = f' and {len(names) - most:,} more' if len(names) > most else ''
  return ', '.join(names[:most]) + more
