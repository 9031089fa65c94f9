"""Files of separated values as people have them: columns of strings."""

import csv
import io
import os
from typing import Any
import warnings

from splitjax.data import arrow
from splitjax.data import decoding
from splitjax.data import roles
from splitjax.data.csv_fits import WHITESPACE
from splitjax.data.csv_formats import CsvFormat

_CELLS_AT_ONCE = 1 << 22


def read_columns(
  path: str | os.PathLike, csv_format: CsvFormat
) -> dict[str, Any]:
  """Read a file, compressed or not, into columns.

  The file is read in pieces: a column takes the bytes of its values and four
  more for each.

  Args:
    path: path of a text file, or of an archive that holds one.
    csv_format: how to read the file, as `csv_formats.recognise_format` says.

  Returns:
    For each column, in order, a `pyarrow.ChunkedArray` of `N` strings without
    surrounding spaces. The names are those of `roles.distinct_names`.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if a line has too many fields, or there is no line with values.
  """
  import pandas as pd  # Slow to import, and needed here alone.
  import pyarrow as pa

  names = roles.distinct_names(csv_format.names)
  pieces: list[list[Any]] = [[] for _ in names]
  try:
    with (
      decoding.open_text(path, csv_format.encoding) as text,
      warnings.catch_warnings(),
    ):
      warnings.simplefilter('error', pd.errors.ParserWarning)
      for _ in range(csv_format.skip_lines):
        text.readline()
      handle: Any = text
      if csv_format.comment:
        handle = _Uncommented(text, csv_format.comment)
      chunks = pd.read_csv(
        handle,
        **_arguments(csv_format),
      )
      for index, frame in enumerate(chunks):
        if index == 0 and csv_format.header:
          frame = frame.iloc[1:]
        for found, (_, values) in zip(pieces, frame.items(), strict=True):
          found += _trim(values)
  except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
    reason = str(error).split('C error: ')[-1].strip().rstrip('.')
    raise ValueError(
      f'{path} must have equally many fields in every line, got: {reason}; '
      f'see delimiter ({csv_format.delimiter!r}), quote '
      f'({csv_format.quote!r}), skip_lines ({csv_format.skip_lines}) and '
      f'header ({csv_format.header}).'
    ) from error
  except pd.errors.EmptyDataError:
    pieces = [[] for _ in names]
  if not any(len(piece) for piece in pieces[0]):
    raise ValueError(f'{path} must have lines below its header, got none.')
  return {
    name: pa.chunked_array(found)
    for name, found in zip(names, pieces, strict=True)
  }


class _Uncommented(io.TextIOBase):
  """A text without the lines that begin with a character."""

  def __init__(self, text: io.TextIOBase, comment: str) -> None:
    self._lines = (line for line in text if not line.startswith(comment))

  def read(self, size: int | None = -1) -> str:
    """Return lines of `size` characters or more; '' at the end."""
    if size is None or size < 0:
      return ''.join(self._lines)
    found, length = [], 0
    while length < size and (line := next(self._lines, '')):
      found.append(line)
      length += len(line)
    return ''.join(found)


def _arguments(csv_format: CsvFormat) -> dict[str, Any]:
  """Return what a format is for `pandas.read_csv`."""
  import pandas as pd
  import pyarrow as pa

  spaced = csv_format.delimiter == WHITESPACE
  return {
    'sep': r'\s+' if spaced else csv_format.delimiter,
    'quotechar': csv_format.quote or '"',
    'quoting': csv.QUOTE_MINIMAL if csv_format.quote else csv.QUOTE_NONE,
    'escapechar': csv_format.escape or None,
    'header': None,
    'names': range(len(csv_format.names)),
    'index_col': False,
    'dtype': pd.ArrowDtype(pa.string()),
    'chunksize': max(1, _CELLS_AT_ONCE // len(csv_format.names)),
    'na_filter': False,
    'skipinitialspace': True,
    'low_memory': False,  # The pieces are small already.
  }


def _trim(values: Any) -> list[Any]:
  """Return the pieces of a column of a frame, without surrounding spaces."""
  pc = arrow.compute()
  column = values.array.__arrow_array__()
  pieces = getattr(column, 'chunks', [column])
  return [pc.utf8_trim_whitespace(piece) for piece in pieces]
