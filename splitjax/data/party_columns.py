"""Columns of a table that belong together, and who holds which by name."""

from collections.abc import Sequence
import difflib

import numpy as np

from splitjax.data import roles
from splitjax.errors import ConfigError

_FIELD = 'party_columns'
_ACTIVE = 'label:'


def sources_of(
  column_names: Sequence[str], num_columns: int
) -> dict[str, np.ndarray]:
  """Return the columns that were one column in the source, by its name.

  Args:
    column_names: name of each column; empty if they have none, and then they
      are called by their positions.
    num_columns: number of columns of the table.

  Returns:
    Indices of the columns of each name, in the order of their first.
  """
  names = column_names or tuple(map(str, range(num_columns)))
  found: dict[str, list[int]] = {}
  for index, name in enumerate(names):
    found.setdefault(name, []).append(index)
  return {name: np.array(indices) for name, indices in found.items()}


def assign_named(
  text: str, sources: dict[str, np.ndarray], num_parties: int
) -> tuple[list[np.ndarray], np.ndarray | None]:
  """Find the columns that a user gave to each party.

  Args:
    text: names with commas between, and semicolons between parties, as in
      'a,b;c,d'; the label party's stand after 'label:', as in 'a;b;label:c,d'.
    sources: columns of the table by name, from `sources_of`.
    num_parties: the number of parties beside the label party.

  Returns:
    The columns of each party, increasing, and those of the label party, None if
    it has none.

  Raises:
    ConfigError: if a name is unknown or there twice, a column is not named, or
      the parties named are not `num_parties`.
  """
  parts = [part.strip() for part in text.split(';')]
  own = [part for part in parts if part.startswith(_ACTIVE)]
  others = [part for part in parts if not part.startswith(_ACTIVE)]
  if len(others) != num_parties or len(own) > 1:
    expected = (
      f'columns of {num_parties} parties, as in a,b;c,d, and of the label '
      f'party once at most, after {_ACTIVE}'
    )
    raise ConfigError(_FIELD, text, expected)
  named = [_names(text, part, sources) for part in others]
  active = [_names(text, part[len(_ACTIVE) :], sources) for part in own]
  _check_once(text, [name for part in named + active for name in part], sources)
  columns = [
    np.sort(np.concatenate([sources[name] for name in part]))
    for part in named + active
  ]
  return columns[:num_parties], columns[-1] if own else None


def _names(
  text: str, part: str, sources: dict[str, np.ndarray]
) -> tuple[str, ...]:
  """Return the names of one party's columns."""
  names = tuple(name.strip() for name in part.split(','))
  for name in names:
    if name not in sources:
      close = difflib.get_close_matches(name, sources, n=1, cutoff=0.4)
      known = close + [one for one in sources if one not in close]
      expected = f'{name!r} to be one of {roles.list_names(known)}'
      raise ConfigError(_FIELD, text, expected)
  return names


def _check_once(
  text: str, names: list[str], sources: dict[str, np.ndarray]
) -> None:
  """Raise if a column is named twice or not at all."""
  twice = [name for name in sources if names.count(name) > 1]
  if twice:
    expected = f'each column once, not {roles.list_names(twice)} again'
    raise ConfigError(_FIELD, text, expected)
  missing = [name for name in sources if name not in names]
  if missing:
    expected = (
      f'every column to be with a party, also {roles.list_names(missing)}; see '
      'drop_columns'
    )
    raise ConfigError(_FIELD, text, expected)
