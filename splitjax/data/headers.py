"""Whether the first row of a table names its columns, and how."""

from collections.abc import Sequence

from splitjax.data import numerals


def is_header(
  rows: Sequence[Sequence[str]],
  width: int,
  label_column: str | int | None = None,
) -> bool:
  """Return whether the first row names the columns.

  It does if `label_column` is one of its fields. Otherwise its columns speak
  for it or against it: a text above numbers is a name; a value that comes again
  below, or a number like those below, is none; a missing value is none, but the
  first field may be empty, above row names. Without any such sign a row of
  texts is a header and one with a number is not.

  Args:
    rows: fields of the first rows, of which those of other lengths are left
      out.
    width: how many fields most rows have.
    label_column: name of a column that a header would contain, if one is known.
  """
  first = [field.strip() for field in rows[0]]
  if label_column in first and not numerals.is_number(str(label_column)):
    return True
  body = [row for row in rows[1:] if len(row) == width]
  if lacks_first_name(rows, width):
    return True
  if not body:
    return False
  if first == [str(i) for i in range(len(first))] and len(first) > 2:
    return True  # As pandas names columns that have no names.
  votes = [
    _vote(field, [x.strip() for x in column], index == 0)
    for index, (field, column) in enumerate(
      zip(first, zip(*body, strict=True))  # noqa: B905
    )
  ]
  if any(votes):
    return sum(votes) > 0
  return not any(map(numerals.is_number, first))


def lacks_first_name(rows: Sequence[Sequence[str]], width: int) -> bool:
  """Return whether a header has a name for all columns but the first or last.

  R writes row names below no name. A delimiter at the end of every row but the
  header makes an empty column.
  """
  names = [field.strip() for field in rows[0]]
  body = [row for row in rows[1:] if len(row) == width]
  return (
    len(names) == width - 1 >= 2
    and len(rows) > 1
    and len(rows[1]) == width
    and len(set(names)) == len(names)
    and not any(numerals.is_number(x) or numerals.is_missing(x) for x in names)
    and (_is_last_empty(body) or len({row[0] for row in body}) == len(body))
  )


def names_of(rows: Sequence[Sequence[str]], width: int) -> list[str]:
  """Return the names that a header gives to `width` columns, '' for none."""
  names = [field.strip() for field in rows[0]]
  if lacks_first_name(rows, width):
    body = [row for row in rows[1:] if len(row) == width]
    names = [*names, ''] if _is_last_empty(body) else ['', *names]
  return names + [''] * (width - len(names))


def _is_last_empty(body: Sequence[Sequence[str]]) -> bool:
  """Return whether each row ends with a delimiter."""
  return all(not row[-1].strip() for row in body)


def _vote(field: str, column: Sequence[str], is_first: bool) -> int:
  """Return 1 if a field looks like a name, -1 if not, 0 if it says nothing."""
  values = {value for value in column if not numerals.is_missing(value)}
  numbers = [float(x) for x in values if numerals.is_number(x)]
  are_numbers = bool(values) and len(numbers) >= 0.9 * len(values)
  if numerals.is_missing(field):
    return 0 if field == '' and (is_first or not values) else -1
  if numerals.is_number(field):
    return -1 if are_numbers and _is_like(field, values, numbers) else 0
  if field in values:
    return -1
  return 1 if are_numbers else 0


def _is_like(field: str, values: set[str], numbers: Sequence[float]) -> bool:
  """Return whether a number could be one of those below it."""
  with_point = sum('.' in value for value in values) > len(values) / 2
  inside = min(numbers) <= float(field) <= max(numbers)
  return field in values or (inside and ('.' in field) == with_point)
