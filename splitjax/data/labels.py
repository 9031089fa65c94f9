"""Labels as read from files: classes under their own names, or real numbers."""

from collections.abc import Sequence
import os
import re

import numpy as np

from splitjax.data import numerals

_MAX_CLASSES = 1000
_WHOLE = re.compile(r'[+-]?\d+', re.ASCII)
_POINT_ZERO = re.compile(r'([+-]?\d+)\.0', re.ASCII)


def join_integers(
  parts: Sequence[np.ndarray],
) -> tuple[list[np.ndarray], tuple[str, ...]]:
  """Give integers one spelling: programs write 1 as 1.0 where one is missing.

  '1.0' becomes '1' if '1' is there too, or if all values are integers. All
  other spellings stay apart: '01', '1e0' and '1.10' are no other value's name.

  Args:
    parts: strings, `[N]` each; '' is left out of account.

  Returns:
    The strings of each part, and a note if any was changed.
  """
  distinct = set().union(*map(set, parts)) - {''}
  found = {x: m[1] for x in distinct if (m := _POINT_ZERO.fullmatch(x))}
  if not all(x in found or _WHOLE.fullmatch(x) for x in distinct):
    found = {x: whole for x, whole in found.items() if whole in distinct}
  if not found:
    return list(parts), ()
  joined = [np.array([found.get(x, x) for x in part], object) for part in parts]
  first = min(found)
  return joined, (f'{first} and {found[first]} are one value',)


def name_classes(values: np.ndarray) -> tuple[str, ...]:
  """Return the distinct labels, sorted by number if all are numbers.

  Args:
    values: labels, `[N]` strings.
  """
  names = set(values)
  numeric = all(map(numerals.is_number, names))
  return tuple(sorted(names, key=_by_number if numeric else None))


def check_classes(
  name: str, values: np.ndarray, class_names: Sequence[str]
) -> None:
  """Check that labels are classes.

  Args:
    name: name of the column, for the message.
    values: labels of these classes, `[N]` strings.
    class_names: names of the `C` classes.

  Raises:
    ValueError: if there is one class only, or if there are more than a thousand
      classes or as many as rows, so that the column rather holds numbers or
      texts.
  """
  if len(class_names) < 2:
    raise ValueError(
      f'label_column {name!r} must have 2 classes at least, got '
      f'{list(class_names)}.'
    )
  if len(class_names) > _MAX_CLASSES or len(class_names) == len(values):
    raise ValueError(
      f'label_column {name!r} looks like numbers or texts, not classes: '
      f'{len(class_names):,} distinct values in {len(values):,} rows; real '
      'numbers need target=real.'
    )


def match_spelling(
  values: np.ndarray, class_names: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Drop the full stops behind the labels of a test file, as Adult has them.

  Args:
    values: labels of the test file, `[N]` strings.
    class_names: names of the classes of the training file.

  Returns:
    The labels, changed only if all end with a full stop and are class names
    without it; and a note if they were.
  """
  known = set(class_names)
  distinct = set(values)
  if distinct & known or not all(
    x.endswith('.') and x[:-1] in known for x in distinct
  ):
    return values, ()
  shown = min(distinct)
  note = f'labels of the test file such as {shown} are taken for {shown[:-1]}'
  return np.array([x[:-1] for x in values], object), (note,)


def to_classes(
  argument: str, values: np.ndarray, class_names: Sequence[str]
) -> np.ndarray:
  """Return the positions of labels among the names of the classes.

  Args:
    argument: where the labels come from, for the message.
    values: labels, `[N]` strings.
    class_names: names of the `C` classes, as `name_classes` gives them.

  Returns:
    Classes in `[0, C)`, int32 `[N]`.

  Raises:
    ValueError: if a label is not the name of a class.
  """
  position = {name: i for i, name in enumerate(class_names)}
  if unknown := sorted(set(values) - set(class_names)):
    raise ValueError(
      f'{argument} must have labels of the training part, got {unknown[0]!r}.'
    )
  return np.array([position[label] for label in values], np.int32)


def to_targets(
  argument: str,
  targets: np.ndarray,
  values: np.ndarray,
  rows: np.ndarray,
  path: str | os.PathLike,
) -> np.ndarray:
  """Check that labels are finite real numbers.

  Args:
    argument: where the labels come from, for the message.
    targets: labels as numbers, NaN for none, `[N]`.
    values: labels as they were read, `[N]` strings.
    rows: number of each label's row in the file, from 1, `[N]`.
    path: the file, for the message.

  Returns:
    Real targets in their own units, float64 `[N]`.

  Raises:
    ValueError: if a label is no number, or not finite in float32.
  """
  finite = np.abs(targets) <= np.finfo(np.float32).max  # False for NaN.
  if not finite.all():
    first = int(np.argmin(finite))
    raise ValueError(
      f"{argument} must be finite numbers with target='real', got "
      f'{values[first]!r} in row {rows[first]} of {path}.'
    )
  return targets


def _by_number(text: str) -> tuple[float, int, str]:
  """Return what sorts numbers, those beyond 2**53 by their digits."""
  return float(text), len(text), text
