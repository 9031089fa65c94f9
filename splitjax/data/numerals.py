"""Numbers as people write them in tables.

A column is read as a whole: whether a comma is a decimal comma or stands
between thousands is seen from all its values, not from one.
"""

import re
from typing import Any, NamedTuple

import numpy as np

from splitjax.data import arrow

# A value that is missing, in any case; `_UNKNOWN` where numbers are expected.
MISSING = frozenset(
  {'', '?', 'na', 'n/a', '#n/a', '#na', '<na>', 'nan', '-nan', 'null', '#null!'}
  | {'#n/a n/a', '1.#qnan', '-1.#qnan', '1.#ind', '-1.#ind', 'nat'}
)
_UNKNOWN = frozenset(
  {'none', 'nil', '-', '--', '---', '.', '..', '*', 'n.a.', 'n.a', 'na.', 'n/d'}
  | {'n.d.', 'nd', 'missing', 'unknown', '(null)', '#div/0!', '#value!'}
  | {'#ref!', '#num!', '#name?', '\\n', '\u2013', '\u2014', '\u2212', 'tbd'}
)
_SHARE = 0.9

_PLAIN = r'(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?'
_NUMBER = re.compile(rf'[+-]?{_PLAIN}', re.ASCII)
# What a text may be with a point or a comma before the decimals.
_GRAMMARS = {
  '.': rf'^[+-]?(?:{_PLAIN}|[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d*)?)$',
  ',': r'^[+-]?(?:(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?'
  r'|[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?)$',
}
_SIGNS = '[\u2212\u2013\ufe63\uff0d]'  # Minus, dash, small and wide hyphen.
_BLANK = "[ '\u2019\u00a0\u202f\u2009]"
_SPACED = rf'^[+-]?[1-9]\d{{0,2}}(?:{_BLANK}\d{{3}})+(?:[.,]\d*)?$'
_CURRENCY = (
  '(?:US\\$|[$\u20ac\u00a3\u00a5\u20b9\u20bd\u20a9]'
  '|USD|EUR|GBP|JPY|CHF|CNY|INR)'
)
_FIGURES = r"\d[\d.,' ]*"


class Numerals(NamedTuple):
  """A column of numbers.

  Attributes:
    values: float64 `[N]`, NaN where a value is missing or no number.
    remarks: what was recognised: 'decimal comma', 'thousands separators', ...
    strange: distinct values that are neither numbers nor missing.
    num_strange: how many rows have such a value.
  """

  values: np.ndarray
  remarks: tuple[str, ...]
  strange: tuple[str, ...]
  num_strange: int


def is_number(text: str) -> bool:
  """Return whether a text is a number as programs write it; `1_2` is none."""
  return _NUMBER.fullmatch(text) is not None


def is_missing(text: str) -> bool:
  """Return whether a text stands for a value that is not known."""
  return text.lower() in MISSING or text.lower() in _UNKNOWN


def read_numerals(
  column: Any,
  *,
  decimal: str | None = None,
  thousands: str | None = None,
  default: str = '.',
  force: bool = False,
) -> Numerals | None:
  """Read a column of texts as numbers.

  Args:
    column: `pyarrow.ChunkedArray` of `N` strings without surrounding spaces.
    decimal: the mark before decimals, '.' or ','; None to recognise it.
    thousands: the mark between thousands; None to recognise it.
    default: the mark before decimals, if the column could be read either way.
    force: whether to read the column as numbers whatever its values are.

  Returns:
    The numbers; None if less than nine in ten of the values that are not
    missing are numbers.
  """
  import pyarrow as pa

  pc = arrow.compute()
  if decimal is None and thousands is None and default == '.':
    values = read_plain(column)
    if values is not None:  # Most columns, and in a tenth of the time.
      return Numerals(values, (), (), 0)
  encoded = pc.dictionary_encode(column).combine_chunks()
  distinct, codes = encoded.dictionary, encoded.indices.to_numpy()
  counts = np.bincount(codes, minlength=len(distinct))
  lower = pc.utf8_lower(distinct)
  blank = pc.is_in(lower, pa.array(sorted(MISSING | _UNKNOWN)))
  missing = blank.to_numpy(zero_copy_only=False)
  bare, remarks = _strip(distinct, counts * ~missing)
  if thousands:
    bare = pc.replace_substring(bare, thousands, '')
  if thousands and decimal is None:
    decimal = ',' if thousands == '.' else '.'
  mark = decimal or _decimal_of(bare, counts) or default
  numbers, more = _convert(bare, mark)
  strange = np.isnan(numbers) & ~missing
  known = counts[~missing].sum()
  if not force and counts[strange].sum() > (1 - _SHARE) * known:
    return None
  numbers = np.where(missing, np.nan, numbers)
  order = np.flatnonzero(strange)
  return Numerals(
    numbers[codes],
    tuple(sorted({*remarks, *more})),
    tuple(distinct.take(pa.array(order[:3])).to_pylist()),
    int(counts[strange].sum()),
  )


def read_plain(column: Any) -> np.ndarray | None:
  """Return texts as numbers if all are as programs write them, float64 `[N]`.

  Args:
    column: `pyarrow.ChunkedArray` of `N` strings without surrounding spaces.
  """
  import pyarrow as pa

  pc = arrow.compute()
  try:
    return pc.cast(column, pa.float64()).to_numpy()
  except pa.ArrowInvalid:
    return None


def decimal_of(column: Any) -> str | None:
  """Return the mark before decimals that a column shows; None if it is open.

  Args:
    column: `pyarrow.ChunkedArray` of strings.
  """
  pc = arrow.compute()
  encoded = pc.dictionary_encode(column).combine_chunks()
  counts = np.bincount(encoded.indices.to_numpy())
  bare, _ = _strip(encoded.dictionary, counts)
  return _decimal_of(bare, counts)


def _matches(texts: Any, pattern: str) -> np.ndarray:
  """Return which texts match a regular expression, `[K]`."""
  pc = arrow.compute()
  found = pc.match_substring_regex(texts, pattern)
  return found.to_numpy(zero_copy_only=False)


def _strip(texts: Any, counts: np.ndarray) -> tuple[Any, set[str]]:
  """Return texts without what stands around numbers, and what that was.

  Args:
    texts: distinct strings, `[K]`.
    counts: how many rows have each, 0 where it is missing, `[K]`.
  """
  pc = arrow.compute()
  replace = pc.replace_substring_regex
  remarks = set()
  texts = replace(texts, f'{_SIGNS}(.*\\d)', r'-\1')
  inside = rf'^\(\s*((?:{_CURRENCY}\s*)?{_FIGURES}%?)\)$'
  if _matches(texts, inside).any():
    texts = replace(texts, inside, r'-\1')
    remarks.add('parentheses as minus')
  before = rf'^([+-]?)\s*{_CURRENCY}\s*([+-]?{_FIGURES})$'
  after = rf'^([+-]?{_FIGURES}?)\s*{_CURRENCY}$'
  priced = _matches(texts, before) | _matches(texts, after)
  if priced.any() and _is_one_currency(texts, priced):
    texts = replace(replace(texts, before, r'\1\2'), after, r'\1')
    texts = pc.utf8_trim_whitespace(texts)
    remarks.add('currency signs')
  percent = _matches(texts, rf'^[+-]?{_FIGURES}%$')
  if percent.any() and counts[percent].sum() >= _SHARE * counts.sum():
    texts = pc.utf8_trim_whitespace(replace(texts, '%$', ''))
    remarks.add('percent signs')
  spaced = _matches(texts, _SPACED)
  if spaced.any():
    texts = pc.if_else(spaced, replace(texts, _BLANK, ''), texts)
    remarks.add('thousands separators')
  return texts, remarks


def _is_one_currency(texts: Any, priced: np.ndarray) -> bool:
  """Return whether all prices are in one currency."""
  import pyarrow as pa

  found = texts.filter(pa.array(priced)).to_pylist()
  return len({re.sub(r"[\d.,'+\- ]", '', text) for text in found}) == 1


def _decimal_of(texts: Any, counts: np.ndarray) -> str | None:
  """Return the mark before decimals of stripped texts; None if it is open."""
  point, comma = (_matches(texts, _GRAMMARS[mark]) for mark in '.,')
  num_point = counts[point & ~comma].sum()
  num_comma = counts[comma & ~point].sum()
  if num_comma > num_point:
    return ','
  return '.' if num_point else None


def _convert(texts: Any, mark: str) -> tuple[np.ndarray, set[str]]:
  """Return stripped texts as numbers, NaN for none, and what was recognised."""
  import pyarrow as pa

  pc = arrow.compute()
  other = {'.': ',', ',': '.'}[mark]
  is_number = _matches(texts, _GRAMMARS[mark])
  remarks = set()
  if (is_number & _matches(texts, re.escape(other))).any():
    remarks.add('thousands separators')
  if mark == ',' and (is_number & _matches(texts, ',')).any():
    remarks.add('decimal comma')
  plain = pc.replace_substring(texts, other, '')
  plain = pc.replace_substring(plain, ',', '.')
  plain = pc.replace_substring_regex(plain, r'^\+', '')
  plain = pc.if_else(is_number, plain, pa.scalar(None, plain.type))
  numbers = pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False)
  lower = pc.utf8_lower(texts)
  for sign, value in (('[+]?', np.inf), ('-', -np.inf)):
    numbers = np.where(
      _matches(lower, f'^{sign}inf(?:inity)?$'), value, numbers
    )
  return numbers, remarks
