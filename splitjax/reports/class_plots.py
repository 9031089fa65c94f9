"""Plots of what an audit read, class by class and sample by sample."""

from collections.abc import Mapping, Sequence
import pathlib
import typing
from typing import Any

import numpy as np

from splitjax.reports import canvas

if typing.TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.image import AxesImage

_MOST_NUMBERS = 20  # Classes of a confusion matrix that shows numbers.
_MOST_NAMES = 20  # Classes that a picture names.
_LONGEST = 14  # Letters of a class's name in a plot.
_MOST_RINGS = 0.2  # Share of wrong samples up to which each is ringed.
_MARKERS = 'osv^DPX*'


def confusion(
  audit: Mapping[str, Any], path: pathlib.Path, *, dark: bool = False
) -> None:
  """Draw which class the strongest attack takes for which.

  Args:
    audit: the content of an `audit.json` with `confusion`.
    path: the PNG file to write; an SVG file is written beside it.
    dark: whether for a dark page.
  """
  shares = np.array(audit['confusion'], float)
  names = _names(audit, len(shares))
  numbered = len(shares) <= _MOST_NUMBERS
  side = min(8.0, max(3.4, 1.2 + 0.36 * len(shares))) if numbered else 5.6
  with canvas.themed(dark) as theme:
    figure = canvas.make_figure((side, side if numbered else side - 0.6))
    axes = figure.subplots()
    image = _fields(axes, shares, theme)
    if numbered:
      edges = np.arange(len(shares) + 1) - 0.5
      axes.hlines(edges, edges[0], edges[-1], color=theme.grid, linewidth=0.8)
      axes.vlines(edges, edges[0], edges[-1], color=theme.grid, linewidth=0.8)
      _write_shares(axes, shares, theme)
      turned = max(map(len, names)) > 3
      axes.set_xticks(range(len(names)), names, rotation=90 * turned)
      axes.set_yticks(range(len(names)), names)
    else:
      figure.colorbar(image, label='share of the true class, %', shrink=0.8)
    axes.tick_params(labelsize=9, length=0 if numbered else 3)
    axes.set_xlabel('read as')
    axes.set_ylabel('true class')
    axes.spines[:].set_visible(False)
    canvas.save(figure, path)


def picture(
  audit: Mapping[str, Any],
  path: pathlib.Path,
  *,
  width: float = 8.6,
  dark: bool = False,
) -> None:
  """Draw samples in two dimensions, by their true and by their read labels.

  Each class has its own colour or mark, and its name at its middle; samples
  that were read wrongly are ringed, unless they are many.

  Args:
    audit: the content of an `audit.json` with `picture`.
    path: the PNG file to write; an SVG file is written beside it.
    width: in inches; below 6 the panels stand one over the other.
    dark: whether for a dark page.
  """
  points = audit['picture']
  places = np.array([points['x'], points['y']], float)
  labels = {name: np.array(points[name], int) for name in ('true', 'read')}
  most = max((int(x.max(initial=-1)) for x in labels.values()), default=-1)
  names = _names(audit, most + 1)
  wrong = labels['true'] != labels['read']
  ringed = wrong.any() and wrong.mean() <= _MOST_RINGS
  shape = (1, 2) if width >= 6 else (2, 1)
  height = 0.47 * width if width >= 6 else 1.9 * width
  titles = {
    'true': 'by their true labels',
    'read': f'by the labels read, {wrong.sum():,} wrong'
    + (' (ringed)' if ringed else ''),
  }
  with canvas.themed(dark) as theme:
    figure = canvas.make_figure((width, height))
    grid = figure.subplots(*shape, sharex=True, sharey=True)
    for axes, (kind, title) in zip(grid, titles.items(), strict=True):
      _scatter(axes, places, labels[kind], theme)
      if kind == 'read' and ringed:
        axes.scatter(
          *places[:, wrong], s=46, facecolors='none', edgecolors=theme.ink
        )
      _name_classes(axes, places, labels[kind], names, theme)
      axes.set_title(title, fontsize=9)
    canvas.save(figure, path)


def _scatter(
  axes: 'Axes', places: np.ndarray, labels: np.ndarray, theme: canvas.Theme
) -> None:
  """Draw the samples, each class in its own colour and mark."""
  colors = len(canvas.COLORS)
  for label in np.unique(labels):
    axes.scatter(
      *places[:, labels == label],
      s=13,
      color=canvas.color(int(label)),
      marker=_MARKERS[label // colors % len(_MARKERS)],
      linewidths=0,
      alpha=0.85,
      rasterized=True,
    )
  axes.set_xticks([])
  axes.set_yticks([])
  axes.spines[:].set_color(theme.grid)


def _name_classes(
  axes: 'Axes',
  places: np.ndarray,
  labels: np.ndarray,
  names: Sequence[str],
  theme: canvas.Theme,
) -> None:
  """Write the names of the classes in their middle, if they are not many."""
  from matplotlib import patheffects  # Slow to import.

  found = np.unique(labels)
  if len(found) > _MOST_NAMES:
    return
  halo = [patheffects.withStroke(linewidth=3, foreground=theme.paper)]
  for label in found:
    x, y = np.median(places[:, labels == label], axis=1)
    axes.text(
      x,
      y,
      names[label],
      ha='center',
      va='center',
      fontsize=10,
      fontweight='bold',
      path_effects=halo,
    )


def _write_shares(
  axes: 'Axes', shares: np.ndarray, theme: canvas.Theme
) -> None:
  """Write each share that is not zero into its field."""
  # From this share on, the colour of the ground is read better.
  bright = 30 if theme is canvas.DARK else 75
  for (row, column), share in np.ndenumerate(shares):
    if share > 0:
      axes.text(
        column,
        row,
        _share(share),
        ha='center',
        va='center',
        fontsize=8,
        color=theme.paper if share > bright else theme.ink,
      )


def _fields(
  axes: 'Axes', shares: np.ndarray, theme: canvas.Theme
) -> 'AxesImage':
  """Colour the fields; small shares are made stronger, to be seen at all."""
  from matplotlib import colors  # Slow to import, and needed to draw alone.

  ramp = colors.LinearSegmentedColormap.from_list(
    'share', [theme.paper, theme.accent]
  )
  return axes.imshow(
    shares,
    cmap=ramp,
    norm=colors.PowerNorm(0.5, vmin=0, vmax=100),
    interpolation='nearest',
  )


def _share(share: float) -> str:
  """Return a share so that only none and all are called 0 and 100."""
  if 0 < share < 1:
    return '<1'
  return '>99' if 99 < share < 100 else f'{share:.0f}'


def _names(audit: Mapping[str, Any], number: int) -> list[str]:
  """Return short names of the classes; numbers where they have none."""
  given = (audit.get('audited') or {}).get('class_names') or []
  names = [' '.join(str(name).split()) for name in given]
  names += [str(index) for index in range(len(names), number)]
  return [
    name if len(name) <= _LONGEST else f'{name[: _LONGEST - 1]}\u2026'
    for name in names
  ]
