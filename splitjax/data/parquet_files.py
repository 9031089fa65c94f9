"""Parquet files: columns that know their types."""

import os
import pathlib
import re

from splitjax.data import arrow
from splitjax.data import roles
from splitjax.data.table_sets import File

# What pandas calls the index of a frame, which is no column of it.
_INDEX = re.compile(r'__index_level_\d+__')


def read_parquet(path: str | os.PathLike) -> File:
  """Read all columns of a Parquet file.

  Args:
    path: path of the file.

  Returns:
    The columns by name, those of strings without surrounding spaces.

  Raises:
    OSError: if the file cannot be opened.
    ValueError: if it is damaged, is no Parquet file, or has no rows.
  """
  import pyarrow as pa
  from pyarrow import parquet

  pc = arrow.compute()

  if not pathlib.Path(path).is_file():
    os.stat(path)  # Raises an error with the file's name, if it is not there.
    raise ValueError(f'{path} must be a file, got a folder or a device.')
  try:
    table = parquet.ParquetFile(path).read()
  except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
    if getattr(error, 'errno', None) is not None:
      raise
    reason = ' '.join(str(error).split()).rstrip('.')
    raise ValueError(
      f'{path} must be a whole Parquet file, got: {reason}.'
    ) from error
  if not table.num_rows:
    raise ValueError(f'{path} must have rows, got none.')
  stated = [str(name).strip() for name in table.column_names]
  columns = {}
  for name, column in zip(
    roles.distinct_names(stated), table.columns, strict=True
  ):
    if _INDEX.fullmatch(name):
      continue
    if pa.types.is_large_string(column.type) or pa.types.is_dictionary(
      column.type
    ):
      column = column.cast(pa.string())
    if pa.types.is_string(column.type):
      column = pc.utf8_trim_whitespace(pc.fill_null(column, ''))
    columns[name] = column
  name = pathlib.Path(path).name
  note = f'{name}: {len(columns):,} columns of a Parquet file'
  return File(path, columns, (note,))
