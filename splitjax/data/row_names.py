"""Columns that have no name: row names, and those without any value."""

import dataclasses
import re
from typing import Any

from splitjax.data import numerals
from splitjax.data import text_columns
from splitjax.data.roles import UNNAMED
from splitjax.data.roles import Roles

_UNNAMED = re.compile(rf'{UNNAMED} \(column \d+\)|Unnamed: \d+')


def leave_out(
  columns: dict[str, Any], roles: Roles
) -> tuple[Roles, tuple[str, ...]]:
  """Return roles without columns that have no name and hold no data.

  These are row names, which differ in every row, and what a delimiter at the
  end of each line makes. A column that the user named is kept.

  Args:
    columns: a `pyarrow.ChunkedArray` of `N` values for each name.
    roles: what each column is for.

  Returns:
    The roles, and a note if a column was left out.
  """
  if roles.text is not None:
    return roles, ()
  dropped = []
  for position, name in enumerate(columns):
    if (
      _UNNAMED.fullmatch(name)
      and name in roles.inputs
      and name not in (*roles.categorical, *roles.numeric)
    ):
      values = text_columns.to_strings(name, columns[name])
      distinct = set(values)
      names_rows = (
        len(distinct) == len(values) > 2
        and '' not in distinct
        and not any('.' in x and numerals.is_number(x) for x in values)
      )
      if distinct == {''} or (position == 0 and names_rows):
        dropped.append(name)
  inputs = tuple(name for name in roles.inputs if name not in dropped)
  if not dropped or not inputs:
    return roles, ()
  note = f'left out as row names or empty: {", ".join(dropped)}'
  return dataclasses.replace(roles, inputs=inputs), (note,)
