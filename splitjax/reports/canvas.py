"""Drawing surfaces: made without global state, written as PNG and SVG."""

import pathlib
import typing
from typing import Any

from splitjax import files

if typing.TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLORS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00')


def color(index: int) -> str:
  """Return a colour for the n-th of several things."""
  return COLORS[index % len(COLORS)]


def make_figure(size: tuple[float, float], dpi: int = 150) -> 'Figure':
  """Make a figure that belongs to no window.

  Args:
    size: width and height in inches.
    dpi: dots per inch of the PNG file.

  Returns:
    The figure.
  """
  from matplotlib import figure  # Slow to import, and needed to draw alone.

  return figure.Figure(figsize=size, dpi=dpi, layout='constrained')


def save(figure: 'Figure', path: pathlib.Path) -> None:
  """Write a figure as PNG, and as SVG beside it.

  Args:
    figure: what was drawn.
    path: the PNG file; the other has the suffix `.svg`.
  """
  import matplotlib  # Slow to import, and needed to draw alone.

  # Without date and random ids: the same figure makes the same file.
  metadata: dict[str, dict[str, Any]] = {
    '.png': {'Software': None},
    '.svg': {'Date': None, 'Creator': None},
  }
  with matplotlib.rc_context({'svg.hashsalt': 'splitjax'}):
    for suffix, about in metadata.items():
      with files.replacing(path.with_suffix(suffix)) as scratch:
        figure.savefig(scratch, format=suffix[1:], metadata=about)


def strip(axes: 'Axes') -> None:
  """Take off the frame's upper and right line."""
  axes.spines[['top', 'right']].set_visible(False)
