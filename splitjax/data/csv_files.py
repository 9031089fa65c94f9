"""Files of comma-separated values as people have them: columns of strings.

What a file does not say is recognised from its first lines: the delimiter,
whether values are quoted, whether the first line names the columns.
"""

import bz2
from collections.abc import Iterable, Sequence
import csv
import dataclasses
import gzip
import io
import itertools
import lzma
import os
import pathlib
from typing import Any, NamedTuple
import warnings
import zipfile
import zlib

import numpy as np

# If two fit equally well, the first: the last is the likeliest inside a value.
_DELIMITERS = ('\t', ';', '|', ',')
_SAMPLE_LINES = 5000
_OPENERS = {'.gz': gzip.open, '.xz': lzma.open, '.bz2': bz2.open}
_NOT_TEXT = (
  UnicodeDecodeError,
  EOFError,
  zlib.error,
  lzma.LZMAError,
  zipfile.BadZipFile,
)
_MISSING = frozenset({'', '?', 'na', 'n/a', 'nan', 'null'})


@dataclasses.dataclass(frozen=True)
class CsvFormat:
  """How to read a file.

  Attributes:
    delimiter: the character between two values.
    quote: the character around a value, or '' if values are not quoted.
    header: whether the first line names the columns.
  """

  delimiter: str
  quote: str
  header: bool


class _Fit(NamedTuple):
  """How well a delimiter and a quote read the lines, and what they read.

  Attributes:
    quality: share of the rows with as many fields as most have, and how many
      rows there are: quotes that swallow lines give fewer.
    delimiter: the character between two values.
    quote: the character around a value, or ''.
    rows: the fields of each row.
  """

  quality: tuple[float, int]
  delimiter: str
  quote: str
  rows: list[list[str]]


def recognise_format(
  path: str | os.PathLike,
  *,
  delimiter: str | None = None,
  quote: str | None = None,
  header: bool | None = None,
  label_column: str | int | None = None,
) -> CsvFormat:
  """Find out how to read a file, as far as it is not given.

  The delimiter is the one that splits the most lines into equally many fields.
  Values are taken for quoted if the file reads at least as well with quotes as
  without; if tabs or bars are the delimiter, a value must begin with a quote as
  well. The first line is a header if `label_column` is one of its fields. It is
  no header if a field is empty, is a number or occurs twice, or if the line
  looks like those below it.

  Args:
    path: path of the file, compressed or not.
    delimiter: the character between two values; None to recognise it.
    quote: the character around a value, or '' for none; None to recognise it.
    header: whether the first line names the columns; None to recognise it.
    label_column: name of a column that a header would contain, if one is known.

  Returns:
    The format of the file.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if the file is empty, is not text, or has no recognisable
      delimiter; or if `delimiter` or `quote` is not one character.
  """
  for name, value in (('delimiter', delimiter), ('quote', quote)):
    if value is not None and len(value) != 1 and (name, value) != ('quote', ''):
      raise ValueError(f'{name} must be one character, got {value!r}.')
  lines = _read_sample(path)
  fits = [
    _fit(lines, d, q)
    for d in (_DELIMITERS if delimiter is None else (delimiter,))
    for q in (('"', '') if quote is None else (quote,))
  ]
  best = max(fits, key=lambda fit: fit.quality)  # The first of equals.
  if best.quality[0] == 0 and delimiter is None:
    raise ValueError(
      f'delimiter must be given: {path} has no comma, semicolon, tab or bar '
      'that splits its lines in equally many fields.'
    )
  if quote is None:
    quote = best.quote if _has_quotes(lines, best.delimiter) else ''
  if header is None:
    header = _is_header(best.rows, label_column)
  return CsvFormat(best.delimiter, quote, header)


def read_columns(
  path: str | os.PathLike, csv_format: CsvFormat
) -> dict[str, np.ndarray]:
  """Read a file, compressed or not, into columns.

  Args:
    path: path of a text file, or of one in `.gz`, `.xz`, `.bz2` or `.zip`.
    csv_format: how to read the file.

  Returns:
    For each column, in order, an array `[N]` of strings without surrounding
    spaces, '' where a value is missing. Without a header the names are '0',
    '1', ...

  Raises:
    OSError: if the file cannot be read.
    ValueError: if a line has too many fields, or there is no line with values.
  """
  import pandas as pd  # Slow to import, and needed here alone.

  options: dict[str, Any] = {
    'sep': csv_format.delimiter,
    'quotechar': csv_format.quote or '"',
    'quoting': csv.QUOTE_MINIMAL if csv_format.quote else csv.QUOTE_NONE,
    'header': 0 if csv_format.header else None,
  }
  try:
    with _open_text(path) as handle, warnings.catch_warnings():
      warnings.simplefilter('error', pd.errors.ParserWarning)
      frame = pd.read_csv(
        handle,
        index_col=False,
        dtype=str,
        keep_default_na=False,
        skipinitialspace=True,
        **options,
      )
  except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
    reason = str(error).split('C error: ')[-1].strip().rstrip('.')
    raise ValueError(
      f'{path} must have equally many fields in every line, got: {reason}; '
      f'see delimiter ({csv_format.delimiter!r}), quote '
      f'({csv_format.quote!r}) and header ({csv_format.header}).'
    ) from error
  except _NOT_TEXT as error:
    raise ValueError(f'{path} must be UTF-8 text, got {error}.') from error
  if frame.empty:
    raise ValueError(f'{path} must have lines below its header, got none.')
  return {
    str(name).strip(): _clean(frame[name].fillna('')) for name in frame.columns
  }


def _clean(values: Iterable[str]) -> np.ndarray:
  """Return values without surrounding spaces, and '' for those missing."""
  stripped = (value.strip() for value in values)
  return np.array(
    ['' if value.lower() in _MISSING else value for value in stripped],
    dtype=object,
  )


def _read_sample(path: str | os.PathLike) -> list[str]:
  """Return the first lines of a file."""
  try:
    with _open_text(path) as handle:
      lines = list(itertools.islice(handle, _SAMPLE_LINES))
  except _NOT_TEXT as error:
    raise ValueError(f'{path} must be UTF-8 text, got {error}.') from error
  if not any(line.strip() for line in lines):
    raise ValueError(f'{path} must not be empty.')
  return lines


def _open_text(path: str | os.PathLike) -> io.TextIOWrapper:
  """Open a file as text, decompressing it if its suffix says so."""
  path = pathlib.Path(path)
  suffix = path.suffix.lower()
  if suffix == '.zip':
    archive = zipfile.ZipFile(path)
    if len(archive.namelist()) != 1:
      raise ValueError(
        f'{path} must contain one file, got {len(archive.namelist())}.'
      )
    binary = archive.open(archive.namelist()[0])
  else:
    binary = _OPENERS.get(suffix, open)(path, 'rb')
  return io.TextIOWrapper(binary, encoding='utf-8-sig', newline='')


def _fit(lines: Sequence[str], delimiter: str, quote: str) -> _Fit:
  """Read lines with a delimiter and a quote, and say how well that went."""
  quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
  reader = csv.reader(
    lines,
    delimiter=delimiter,
    quotechar=quote or '"',
    quoting=quoting,
    skipinitialspace=True,
  )
  try:
    rows = [row for row in reader if row]
  except csv.Error:  # A value of megabytes: a quote that nothing closes.
    return _Fit((0, 0), delimiter, quote, [])
  if len(lines) == _SAMPLE_LINES:
    rows = rows[:-1]  # It may go on beyond the sample.
  widths, counts = np.unique([len(row) for row in rows], return_counts=True)
  share = counts.max() / len(rows) if widths[counts.argmax()] > 1 else 0
  return _Fit((share, len(rows)), delimiter, quote, rows)


def _has_quotes(lines: Sequence[str], delimiter: str) -> bool:
  """Return whether quotes are to be expected beyond the lines of the sample.

  With tabs or bars values need no quotes, and a text may begin with a quote
  that is part of it.
  """
  return delimiter in ',;' or any(
    line.startswith('"') or f'{delimiter}"' in line for line in lines
  )


def _is_header(
  rows: Sequence[Sequence[str]], label_column: str | int | None
) -> bool:
  """Return whether the first row names the columns."""
  first = [field.strip() for field in rows[0]]
  body = [row for row in rows[1:] if len(row) == len(first)]
  if label_column in first and not _is_number(label_column):
    return True
  if '' in first or len(set(first)) < len(first):
    return False
  if any(map(_is_number, first)):
    return False
  columns = [
    {field.strip() for field in column} - {'', '?', 'NA'}
    for column in zip(*body, strict=True)
  ]
  if any(column and all(map(_is_number, column)) for column in columns):
    return True
  # All texts: a value of the first line that comes again is no name.
  return not any(map(lambda name, column: name in column, first, columns))


def _is_number(text: str) -> bool:
  """Return whether a string is a number."""
  try:
    float(text)
  except ValueError:
    return False
  return True
