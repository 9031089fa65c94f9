"""Labels as an audit takes them: what is true, for scoring alone."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from splitjax.auditing import files
from splitjax.errors import ConfigError

CLASS, REAL, AUTO = 'class', 'real', 'auto'
# Whole numbers of a floating type are classes if there are no more than these.
_MOST_FLOAT_CLASSES = 100
_MOST_WHOLE = 2.0**53  # Larger ones are not told apart.


class Truth(NamedTuple):
  """Labels of samples.

  Attributes:
    values: classes from 0 as int32, or real targets as float32, `[N]`.
    class_names: names of the classes; None for real targets.
  """

  values: np.ndarray
  class_names: tuple[str, ...] | None

  @property
  def num_classes(self) -> int | None:
    """Number of classes; None for real targets."""
    return None if self.class_names is None else len(self.class_names)


def read(field: str, source: Any) -> tuple[np.ndarray, list[str]]:
  """Read labels `[N]`, from `[N]`, `[N, 1]` or one-hot `[N, C]`.

  Args:
    field: the argument, for the message.
    source: as for `files.read`; shards follow one another.

  Returns:
    Labels `[N]` of any type, and the files.

  Raises:
    ConfigError: if they are no labels.
  """
  arrays, paths = files.read(field, source)
  columns = [_column(field, one) for one in arrays]
  whole = columns[0] if len(columns) == 1 else np.concatenate(columns)
  if not len(whole):
    raise ConfigError(field, whole.shape, 'at least one label')
  return whole, paths


def _column(field: str, array: np.ndarray) -> np.ndarray:
  """Return labels as one column, `[N]`."""
  array = np.asarray(array)
  if array.ndim == 2 and array.shape[1] == 1:
    array = array[:, 0]
  if array.ndim == 2 and array.dtype.kind in 'fiub':
    ones = (array == 1).sum(axis=1)
    zeros = (array == 0).sum(axis=1)
    if (ones == 1).all() and (zeros == array.shape[1] - 1).all():
      return array.argmax(axis=1)
    raise ConfigError(
      field, array.shape, 'one label a row, or one-hot rows with a single 1'
    )
  if array.ndim != 1:
    raise ConfigError(field, array.shape, 'labels [N], [N, 1] or one-hot')
  if array.dtype.kind not in 'fiubUS':
    raise ConfigError(field, array.dtype, 'numbers or text')
  if array.dtype.kind == 'f' and not np.isfinite(array).all():
    row = int(np.argmin(np.isfinite(array)))
    raise ConfigError(field, array[row], f'finite labels, but row {row} is not')
  if array.dtype.kind == 'S':
    try:
      return np.char.decode(array, 'utf-8')
    except UnicodeDecodeError as error:
      expected = f'text in UTF-8: {error}'
      raise ConfigError(field, array.dtype, expected) from error
  return array.astype(array.dtype.newbyteorder('='))


def kind_of(values: np.ndarray, target: str) -> str:
  """Return whether labels are classes or real targets.

  Args:
    values: labels, `[N]`.
    target: 'class', 'real' or 'auto'. Numbers of a floating type are classes if
      they are whole and at most 100 different ones.

  Returns:
    'class' or 'real'.
  """
  if target != AUTO:
    return target
  if values.dtype.kind != 'f':
    return CLASS
  whole = bool((values == np.round(values)).all())
  few = len(np.unique(values)) <= _MOST_FLOAT_CLASSES
  return CLASS if whole and few else REAL


def to_classes(
  field: str, values: np.ndarray, names: Sequence[str] | None
) -> Truth:
  """Return classes, numbered in sorted order of the labels.

  Args:
    field: the argument, for the message.
    values: labels, `[N]`.
    names: names of the classes in sorted order of the labels, or of the numbers
      0, 1, ...; None to take the labels themselves.

  Returns:
    The classes.

  Raises:
    ConfigError: if there are fewer than two classes, or hardly any label twice.
  """
  if values.dtype.kind == 'f':
    values = values.astype(np.float64)
    whole = (values == np.round(values)) & (np.abs(values) < _MOST_WHOLE)
    values = values.astype(np.int64) if whole.all() else values
  known, classes = np.unique(values, return_inverse=True)
  if len(known) < 2:
    raise ConfigError(field, known[0], 'at least two classes, got only this')
  if len(known) > max(len(values) // 2, 2):
    raise ConfigError(
      field,
      f'{len(known)} different labels of {len(values)} samples',
      'classes that come several times each; numbers to predict need '
      '--target=real',
    )
  shown = tuple(str(one) for one in known)
  if names is not None:
    shown = _named(known, names)
  return Truth(classes.astype(np.int32), shown)


def _named(known: np.ndarray, names: Sequence[str]) -> tuple[str, ...]:
  """Return the names of the classes that occur."""
  names = tuple(names)
  whole = known.dtype.kind in 'iub'
  if whole and known.min() >= 0 and known.max() < len(names):
    return tuple(names[int(one)] for one in known)
  if len(names) == len(known):
    return names
  raise ConfigError(
    'class_names', names, f'a name for each of {len(known)} classes'
  )


def to_targets(field: str, values: np.ndarray) -> Truth:
  """Take labels as real targets."""
  if values.dtype.kind not in 'fiub':
    raise ConfigError(field, values.dtype, 'numbers for real targets')
  targets = values.astype(np.float64)
  if len(targets) < 3 or targets.std() == 0:
    raise ConfigError(field, targets[0], 'targets that are not all equal')
  return Truth(targets.astype(np.float32), None)
