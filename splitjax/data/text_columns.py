"""Columns of a table as strings, whatever type they were stored in."""

from typing import Any

import numpy as np

from splitjax.data import arrow
from splitjax.data import numerals


def to_text(name: str, column: Any) -> Any:
  """Return a column as strings, '' where a value is missing.

  Args:
    name: name of the column, for the message.
    column: `pyarrow.ChunkedArray` of `N` values.

  Returns:
    `pyarrow.ChunkedArray` of `N` strings without surrounding spaces.

  Raises:
    ValueError: if the values are lists or the like.
  """
  import pyarrow as pa

  pc = arrow.compute()
  if not is_text(column):
    try:
      column = pc.cast(column, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
      raise ValueError(
        f'column {name!r} must have single values, got {column.type}; see '
        'drop_columns.'
      ) from error
    column = pc.utf8_trim_whitespace(pc.fill_null(column, ''))
  blank = pc.is_in(
    pc.utf8_lower(column), pa.array(sorted(numerals.MISSING), pa.string())
  )
  return pc.if_else(blank, '', column)


def to_strings(name: str, column: Any) -> np.ndarray:
  """Return a column as Python strings, object `[N]`, '' where missing."""
  return np.array(to_text(name, column).to_pylist(), object)


def is_text(column: Any) -> bool:
  """Return whether a column holds strings."""
  import pyarrow as pa

  return pa.types.is_string(column.type)


def is_numeric(column: Any) -> bool:
  """Return whether a column was stored as numbers."""
  import pyarrow as pa

  types = pa.types
  return (
    types.is_integer(column.type)
    or types.is_floating(column.type)
    or types.is_decimal(column.type)
  )
