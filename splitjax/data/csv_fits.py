"""Which delimiter and which quotes read the lines of a file best."""

from collections.abc import Iterator, Sequence
import contextlib
import csv
import os
import sys
from typing import NamedTuple

import numpy as np

WHITESPACE = 'whitespace'
# If two fit equally well, the first: the last is the likeliest inside a value.
DELIMITERS = ('\t', ';', '|', ',')


class Fit(NamedTuple):
  """How well a delimiter and quotes read the lines, and what they read.

  Attributes:
    quality: share of the rows with as many fields as most have, and how many
      rows there are: quotes that swallow lines give fewer.
    delimiter: the character between two values, or 'whitespace'.
    quote: the character around a value, or ''.
    escape: the character before a quote inside a value, or ''.
    rows: the fields of each row.
    ends: how many lines were read when each row was.
  """

  quality: tuple[float, int]
  delimiter: str
  quote: str
  escape: str
  rows: list[list[str]]
  ends: list[int]

  @property
  def width(self) -> int:
    """How many fields most rows have."""
    widths, counts = np.unique([len(x) for x in self.rows], return_counts=True)
    return int(widths[counts.argmax()])


def best_fit(
  path: str | os.PathLike,
  lines: Sequence[str],
  is_whole: bool,
  delimiter: str | None,
  quote: str | None,
  escape: str | None,
) -> Fit:
  """Return the fit that makes equally many fields of the most lines."""
  fits = [
    _fit(lines, d, q, e, is_whole)
    for d in (DELIMITERS if delimiter is None else (delimiter,))
    for q in (('"', '') if quote is None else (quote,))
    for e in (('', '\\') if escape is None and q else (escape or '',))
  ]
  best = max(fits, key=lambda fit: fit.quality)  # The first of equals.
  if best.quality[0] < 0.5 and delimiter is None:
    spaced = _fit(lines, WHITESPACE, quote or '"', escape or '', is_whole)
    best = max(best, spaced, key=lambda fit: fit.quality)
  if best.quality[0] == 0 and delimiter is None:
    raise ValueError(
      f'delimiter must be given: {path} has no comma, semicolon, tab or bar '
      'that splits its lines in equally many fields.'
    )
  if not best.rows:
    raise ValueError(f'{path} must have lines that are no comments, got none.')
  return best


def _fit(
  lines: Sequence[str], delimiter: str, quote: str, escape: str, is_whole: bool
) -> Fit:
  """Read lines with a delimiter and a quote, and say how well that went."""
  spaced = delimiter == WHITESPACE
  if spaced:
    lines = [' '.join(line.split()) + '\n' for line in lines]
  reader = csv.reader(
    lines,
    delimiter=' ' if spaced else delimiter,
    quotechar=quote or '"',
    quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    escapechar=escape or None,
    skipinitialspace=True,
  )
  rows, ends = [], []
  with _fields_of_any_size():
    try:
      for row in reader:
        if row:
          rows.append(row)
          ends.append(reader.line_num)
    except csv.Error:  # An escape at the very end, for one.
      return Fit((0, 0), delimiter, quote, escape, [], [])
  if not is_whole and len(rows) > 1:
    rows, ends = rows[:-1], ends[:-1]  # It may go on beyond the sample.
  fit = Fit((0, len(rows)), delimiter, quote, escape, rows, ends)
  if not rows or (width := fit.width) == 1:
    return fit
  share = np.mean([len(row) == width for row in rows])
  return fit._replace(quality=(float(share), len(rows)))


@contextlib.contextmanager
def _fields_of_any_size() -> Iterator[None]:
  """Lift the bound of the standard library on the size of a field."""
  bound = csv.field_size_limit(sys.maxsize)
  try:
    yield
  finally:
    csv.field_size_limit(bound)


def has_quotes(lines: Sequence[str], delimiter: str) -> bool:
  """Return whether quotes are to be expected beyond the lines of the sample.

  With tabs or bars values need no quotes, and a text may begin with a quote
  that is part of it.
  """
  return delimiter in ',;' or any(
    line.startswith('"') or f'{delimiter}"' in line for line in lines
  )
