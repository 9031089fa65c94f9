"""Drawing surfaces: made without global state, written as PNG and SVG."""

from collections.abc import Iterator
import contextlib
import pathlib
import typing
from typing import Any, NamedTuple
import warnings

from splitjax import files

if typing.TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLORS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00')


DPI = 150


class Theme(NamedTuple):
  """Colours of a plot on a light or on a dark page.

  Attributes:
    paper: the ground.
    ink: text and what matters.
    muted: text that explains, axes.
    grid: lines that guide the eye.
    accent: what is measured.
    alarm: the limit.
    band: the area that the limit allows.
  """

  paper: str
  ink: str
  muted: str
  grid: str
  accent: str
  alarm: str
  band: str


LIGHT = Theme(
  '#ffffff', '#1c1f23', '#59616b', '#e3e6ea', '#0072B2', '#B34700', '#f3f0e6'
)
DARK = Theme(
  '#1b1e23', '#e8eaed', '#a7afb9', '#343a42', '#56B4E9', '#F0A35E', '#2b2a24'
)


@contextlib.contextmanager
def themed(dark: bool = False) -> Iterator[Theme]:
  """Draw in the colours of a page, and every text as it is.

  Args:
    dark: whether the page is dark.

  Yields:
    The colours. What is drawn and saved in the body has them.
  """
  import matplotlib  # Slow to import, and needed to draw alone.

  theme = DARK if dark else LIGHT
  inks = ('text.color', 'axes.labelcolor', 'xtick.color', 'ytick.color')
  settings = dict.fromkeys(inks, theme.ink) | {
    'figure.facecolor': theme.paper,
    'axes.facecolor': theme.paper,
    'axes.edgecolor': theme.muted,
    'text.parse_math': False,  # A class may be called '$5'.
  }
  with matplotlib.rc_context(settings), warnings.catch_warnings():
    # A class may be called what the font has no letters for.
    warnings.filterwarnings('ignore', 'Glyph .* missing from')
    yield theme


def color(index: int) -> str:
  """Return a colour for the n-th of several things."""
  return COLORS[index % len(COLORS)]


def make_figure(size: tuple[float, float], dpi: int = DPI) -> 'Figure':
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
  from matplotlib import text

  for one in figure.findobj(text.Text):
    if '$' in one.get_text() and 'mathdefault' not in one.get_text():
      one.set_parse_math(False)  # A data set may be called 'Ba$$in'.
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
