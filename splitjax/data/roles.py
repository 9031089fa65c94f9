"""What each column of a table is for: label, text or another input."""

import collections
from collections.abc import Sequence
import dataclasses
import difflib

Column = str | int
UNNAMED = 'unnamed'


@dataclasses.dataclass(frozen=True)
class Roles:
  """The columns of a table by what they are for.

  Attributes:
    label: name of the column of labels.
    text: name of the column of texts; None for a table.
    inputs: names of all columns that are inputs, in their order.
    categorical: names of the columns of numbers that are codes.

    numeric: names of the columns that are numbers whatever they hold.
  """

  label: str
  text: str | None
  inputs: tuple[str, ...]
  categorical: tuple[str, ...]
  numeric: tuple[str, ...]


def distinct_names(stated: Sequence[str]) -> tuple[str, ...]:
  """Return a name for each column that no other has.

  Args:
    stated: names as a file has them, '' for none.

  Returns:
    A name that stands alone as it is; one of several equal names with its
    position, as in 'age (column 2)'; and 'unnamed (column 0)' for none.
  """
  counts = collections.Counter(stated)
  alone = {name for name in stated if name and counts[name] == 1}
  names = []
  for position, name in enumerate(stated):
    made = name if name in alone else f'{name or UNNAMED} (column {position})'
    while made != name and made in alone:
      made += '*'
    names.append(made)
  return tuple(names)


def assign_roles(
  names: Sequence[str],
  *,
  label_column: Column,
  text_column: Column | None = None,
  drop_columns: Sequence[Column] = (),
  categorical_columns: Sequence[Column] = (),
  numeric_columns: Sequence[Column] = (),
) -> Roles:
  """Find the columns that a user named, and what the others are for.

  A column is given by its name or by its position, which counts from the end if
  it is negative.

  Args:
    names: names of all columns, in their order.
    label_column: the column of labels.
    text_column: the column of texts; None for a table.
    drop_columns: columns that are not to be read.
    categorical_columns: columns of numbers that are codes.
    numeric_columns: columns that are numbers whatever they hold.

  Returns:
    The names of the columns by role.

  Raises:
    ValueError: if a column is unknown, has two roles that exclude each other,
      or there is no input.
  """
  label = _find('label_column', label_column, names)
  text = None
  if text_column is not None:
    text = _find('text_column', text_column, names)
  drop = [_find('drop_columns', name, names) for name in drop_columns]
  coded = [
    _find('categorical_columns', name, names) for name in categorical_columns
  ]
  forced = [_find('numeric_columns', name, names) for name in numeric_columns]
  for argument, given in (
    ('text_column', [text]),
    ('drop_columns', drop),
    ('categorical_columns', coded),
    ('numeric_columns', forced),
  ):
    if label in given:
      raise ValueError(f'{argument} must not be the label, got {label!r}.')
  for argument, given in (
    ('categorical_columns', coded),
    ('numeric_columns', forced),
  ):
    for name in {*drop, *(coded if given is forced else ())} & {*given}:
      raise ValueError(
        f'{argument} must not be dropped or have two kinds, got {name!r}.'
      )
  if text in drop:
    raise ValueError(f'drop_columns must not be the text, got {text!r}.')
  left_out = {label, *drop}
  inputs = [name for name in names if name not in left_out]
  if not inputs:
    raise ValueError(
      f'drop_columns and label_column leave no input of {list_names(names)}; '
      'a wrong delimiter makes one column of all.'
    )
  return Roles(label, text, tuple(inputs), tuple(coded), tuple(forced))


def list_names(names: Sequence[str], most: int = 20) -> str:
  """Return names of columns as a message shows them, at most `most`."""
  more = f' and {len(names) - most} more' if len(names) > most else ''
  return ', '.join(map(repr, names[:most])) + more


def _find(argument: str, wanted: Column, names: Sequence[str]) -> str:
  """Return the name of a column that is given by its name or position."""
  if isinstance(wanted, str):
    wanted = wanted.strip()
    if wanted in names:
      return wanted
    same = [x for x in names if x.startswith(f'{wanted} (column ')]
    if same:
      raise ValueError(
        f'{argument} must be the position of one of {list_names(same)}, which '
        f'have equal names, got {wanted!r}.'
      )
  try:
    return names[int(wanted)]
  except (IndexError, ValueError):
    pass
  close = difflib.get_close_matches(str(wanted), names, n=1, cutoff=0.4)
  ordered = close + [name for name in names if name not in close]
  raise ValueError(
    f'{argument} must be a column or its position, of {list_names(ordered)}; '
    f'got {wanted!r}.'
  )
