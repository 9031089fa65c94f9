"""How a file of separated values is written, as far as it is not said.

It is recognised from the first lines: the delimiter, quotes and escapes, lines
before the table, comments, and whether a line names the columns.
"""

import collections
from collections.abc import Sequence
import dataclasses
import os

from splitjax.data import csv_fits
from splitjax.data import decoding
from splitjax.data import headers

_SPELLED = {'tab': '\t', '\\t': '\t', '\\s+': csv_fits.WHITESPACE}
_SAMPLE_LINES = 5000
_SAMPLE_CHARACTERS = 1 << 21
_LEAST_LINES = 20
_MOST_PREAMBLE = 20


@dataclasses.dataclass(frozen=True)
class CsvFormat:
  """How to read a file.

  Attributes:
    delimiter: the character between two values, or 'whitespace'.
    quote: the character around a value, or '' if values are not quoted.
    header: whether the first line of the table names the columns.
    names: names of the columns, without surrounding spaces; '0', '1', ... if
      there is no header.
    encoding: name of the codec.
    escape: the character before a quote inside a value, or '' if it is doubled.
    comment: the character that begins lines that are comments, or ''.
    skip_lines: how many lines stand before the table.
  """

  delimiter: str
  quote: str
  header: bool
  names: tuple[str, ...] = ()
  encoding: str = 'utf-8-sig'
  escape: str = ''
  comment: str = ''
  skip_lines: int = 0

  def describe(self) -> str:
    """Return how the file is read, in a sentence without its end."""
    named = {
      '\t': 'tabs',
      ' ': 'spaces',
      csv_fits.WHITESPACE: csv_fits.WHITESPACE,
    }
    between = named.get(self.delimiter, repr(self.delimiter))
    parts = [
      f'read as {self.encoding.removesuffix("-sig")}',
      f'{len(self.names):,} columns with {between} between them',
      f'values in {self.quote}' if self.quote else 'no quotes',
      'the first line names the columns' if self.header else 'no header',
    ]
    counts = collections.Counter(self.names)
    if same := [name for name in counts if name and counts[name] > 1]:
      parts.append(f'several columns are called {", ".join(same)}')
    if self.escape:
      parts.append(f'{self.escape} as escape')
    if self.comment:
      parts.append(f'lines after {self.comment} are comments')
    if self.skip_lines:
      lines = 'line' if self.skip_lines == 1 else 'lines'
      parts.append(f'{self.skip_lines} {lines} before the table skipped')
    return ', '.join(parts)


def recognise_format(
  path: str | os.PathLike,
  *,
  delimiter: str | None = None,
  quote: str | None = None,
  header: bool | None = None,
  encoding: str | None = None,
  escape: str | None = None,
  comment: str = '',
  skip_lines: int | None = None,
  label_column: str | int | None = None,
) -> CsvFormat:
  """Find out how to read a file, as far as it is not given.

  The delimiter is what a first line such as `sep=;` says, or the one that
  splits the most lines into equally many fields; white space, only where none
  does. Values are taken for quoted if the file reads at least as well with
  quotes as without; if tabs or bars are the delimiter, a value must begin with
  a quote as well. Lines before the table have fewer fields than the rest.
  `headers.is_header` says whether a line names the columns.

  Args:
    path: path of the file, compressed or not.
    delimiter: the character between two values, or 'whitespace' for any number
      of spaces and tabs; None to recognise it.
    quote: the character around a value, or '' for none; None to recognise it.
    header: whether the first line names the columns; None to recognise it.
    encoding: name of a codec; None to recognise it.
    escape: the character before a quote inside a value, or '' if it is doubled;
      None to recognise a backslash.
    comment: the character that begins lines that are comments; '' for none.
    skip_lines: how many lines stand before the table; None to recognise lines
      that begin with '#' or have fewer fields.
    label_column: name of a column that a header would contain, if one is known.

  Returns:
    The format of the file.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if the file is empty, is not text, or has no recognisable
      delimiter; or if an argument is not one character.
  """
  delimiter = _SPELLED.get(delimiter or '', delimiter)
  _check_characters(delimiter, quote, escape, comment)
  if encoding is None:
    encoding = decoding.recognise_encoding(path)
  lines, is_whole = _read_sample(path, encoding)
  said = _said_delimiter(lines[0]) if skip_lines is None else None
  skipped = skip_lines or 0
  if skip_lines is None:
    skipped = 1 if said else _leading_comments(lines)
  lines = lines[skipped:]
  if comment:
    lines = [line for line in lines if not line.startswith(comment)]
  if not any(line.strip() for line in lines):
    raise ValueError(f'{path} must have lines with values, got none.')
  best = csv_fits.best_fit(
    path, lines, is_whole, delimiter or said, quote, escape
  )
  if quote is None:
    quote = best.quote if csv_fits.has_quotes(lines, best.delimiter) else ''
  rows = best.rows
  if skip_lines is None and not comment and (early := _preamble(best)):
    skipped += best.ends[early - 1]
    rows = rows[early:]
  width = max(best.width, len(rows[0]))
  if header is None:
    header = headers.is_header(rows, best.width, label_column)
  names = headers.names_of(rows, width) if header else map(str, range(width))
  return CsvFormat(
    delimiter=best.delimiter,
    quote=quote,
    header=header,
    names=tuple(names),
    encoding=encoding,
    escape=best.escape,
    comment=comment,
    skip_lines=skipped,
  )


def _check_characters(
  delimiter: str | None,
  quote: str | None,
  escape: str | None,
  comment: str,
) -> None:
  """Raise if what is given is not one character, or one that cannot serve."""
  given = {
    'delimiter': None if delimiter == csv_fits.WHITESPACE else delimiter,
    'quote': quote or None,
    'escape': escape or None,
    'comment': comment or None,
  }
  found = {name: value for name, value in given.items() if value is not None}
  for name, value in found.items():
    if len(value) != 1 or value in '\r\n\0' or ord(value) > 127:
      also = " or 'whitespace'" if name == 'delimiter' else ''
      raise ValueError(
        f'{name} must be one character of ASCII{also}, got {value!r}.'
      )
  for name, value in found.items():
    same = [x for x, other in found.items() if other == value and x != name]
    if same:
      raise ValueError(f'{name} must differ from {same[0]}, got {value!r}.')


def _read_sample(
  path: str | os.PathLike, encoding: str
) -> tuple[list[str], bool]:
  """Return the first lines of a file, and whether these are all."""
  lines, size = [], 0
  with decoding.open_text(path, encoding) as handle:
    for line in handle:
      enough = len(lines) >= _SAMPLE_LINES or (
        size > _SAMPLE_CHARACTERS and len(lines) >= _LEAST_LINES
      )
      if enough:
        return lines, False
      lines.append(line)
      size += len(line)
  if not any(line.strip() for line in lines):
    raise ValueError(f'{path} must not be empty.')
  return lines, True


def _said_delimiter(line: str) -> str | None:
  """Return what a first line such as `sep=;` says, as Excel writes it."""
  text = line.strip('\r\n"')
  is_said = len(text) == 5 and text.lower().startswith('sep=')
  return text[4] if is_said else None


def _leading_comments(lines: Sequence[str]) -> int:
  """Return how many first lines begin with '#' and are no rows of the table."""
  num = next((i for i, x in enumerate(lines) if not x.startswith('#')), 0)
  if not num:
    return 0
  for delimiter in csv_fits.DELIMITERS:
    if 0 < lines[num].count(delimiter) == lines[num - 1].count(delimiter):
      return num - 1  # A header whose first name has a number sign.
  return num


def _preamble(fit: csv_fits.Fit) -> int:
  """Return how many rows stand before the table: they have fewer fields."""
  widths = [len(row) for row in fit.rows[: _MOST_PREAMBLE + 1]]
  early = next((i for i, x in enumerate(widths) if x >= fit.width), 0)
  if early and headers.lacks_first_name(fit.rows[early - 1 :], fit.width):
    early -= 1
  return early
