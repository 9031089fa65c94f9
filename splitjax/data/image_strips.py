"""Rectangles of images: columns, rows, quarters and strips."""

from collections.abc import Sequence
import itertools
from typing import NamedTuple

import numpy as np

from splitjax.errors import ConfigError

NAMES = ('columns', 'rows', 'quarters', 'strips')
_FIELD = 'feature_split'


class Rectangle(NamedTuple):
  """Rows and columns of an image, each from the first to before the last."""

  top: int
  bottom: int
  left: int
  right: int

  @property
  def height(self) -> int:
    """The number of rows."""
    return self.bottom - self.top

  @property
  def width(self) -> int:
    """The number of columns."""
    return self.right - self.left

  def columns(self, shape: Sequence[int]) -> np.ndarray:
    """Return the indices of its numbers in a flattened image `[H, W, C]`."""
    grid = np.arange(np.prod(shape)).reshape(shape)
    return grid[self.top : self.bottom, self.left : self.right].ravel()


def take_strip(
  shape: Sequence[int], share: float, *, rows: bool
) -> tuple[Rectangle, Rectangle]:
  """Take the last columns or rows of an image, at least one.

  Args:
    shape: of the image, `[H, W, C]`.
    share: share of its columns or rows, rounded to whole ones.
    rows: whether to take rows.

  Returns:
    What is left, and what was taken.
  """
  height, width = shape[:2]
  size = height if rows else width
  edge = size - max(1, round(share * size))
  if rows:
    return Rectangle(0, edge, 0, width), Rectangle(edge, height, 0, width)
  return Rectangle(0, height, 0, edge), Rectangle(0, height, edge, width)


def cut(whole: Rectangle, how: str, num_parties: int) -> tuple[Rectangle, ...]:
  """Cut a rectangle as a split says.

  Args:
    whole: what is cut.
    how: the split, one of `NAMES`, as the user named it.
    num_parties: how many parts there must be.

  Returns:
    The parts.

  Raises:
    ConfigError: if the split has another number of parts, or one is empty.
  """
  name = how.partition(':')[0]
  if name == 'quarters':
    if num_parties != 4:
      raise ConfigError(_FIELD, how, f'4 parties, not {num_parties}')
    return tuple(
      quarter
      for half in _strips(whole, (1, 1), rows=True, how=how)
      for quarter in _strips(half, (1, 1), rows=False, how=how)
    )
  proportions = (1.0,) * num_parties
  if name == 'strips':
    proportions = _parse_proportions(how, num_parties)
  return _strips(whole, proportions, rows=name == 'rows', how=how)


def _strips(
  whole: Rectangle, proportions: Sequence[float], *, rows: bool, how: str
) -> tuple[Rectangle, ...]:
  """Cut a rectangle into strips, their edges rounded to whole pixels."""
  size = whole.height if rows else whole.width
  shares = np.cumsum([0, *proportions]) / np.sum(proportions)
  edges = np.rint(shares * size).astype(int)
  if (np.diff(edges) < 1).any():
    what = f'one of the {size} {"rows" if rows else "columns"} of pixels'
    if how in ('columns', 'rows'):
      raise ConfigError('parties', len(proportions), f'{what} for each')
    raise ConfigError(_FIELD, how, f'{what} at least for each party')
  first, last = ('top', 'bottom') if rows else ('left', 'right')
  start = whole.top if rows else whole.left
  return tuple(
    whole._replace(**{first: start + a, last: start + b})
    for a, b in itertools.pairwise(edges.tolist())
  )


def _parse_proportions(how: str, num_parties: int) -> tuple[float, ...]:
  """Return the widths in a split like 'strips:1:2:5'."""
  try:
    found = tuple(float(number) for number in how.split(':')[1:])
  except ValueError:
    found = ()
  if len(found) != num_parties or not all(0 < x < np.inf for x in found):
    expected = f'{num_parties} positive widths, one for each of the parties'
    raise ConfigError(_FIELD, how, expected)
  return found
