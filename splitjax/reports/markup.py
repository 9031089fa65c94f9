"""What all pages share: the templates, and images inside the page."""

import base64
import pathlib
import struct
from typing import Any, NamedTuple

from splitjax import files
from splitjax.reports import canvas

_LARGEST = 1.5  # An SVG file's size, to its PNG's, up to which it is taken.


class Image(NamedTuple):
  """An image as a page holds it.

  Attributes:
    uri: the whole file, as the address of the image.
    width: in CSS pixels.
    height: in CSS pixels.
  """

  uri: str
  width: int
  height: int


class Picture(NamedTuple):
  """One plot, drawn for light and dark pages, wide and narrow windows.

  Attributes:
    light: for light pages.
    dark: for dark pages.
    narrow: for light pages in a narrow window.
    narrow_dark: for dark pages in a narrow window.
  """

  light: Image
  dark: Image
  narrow: Image
  narrow_dark: Image


def read_image(path: pathlib.Path) -> Image:
  """Read a plot from the files that `canvas.save` wrote.

  Args:
    path: the PNG file; the SVG file beside it is taken if it is not much
      larger.

  Returns:
    The image.
  """
  content = path.read_bytes()
  # A PNG file starts with 16 bytes that are always the same, then its size.
  width, height = struct.unpack('>II', content[16:24])
  drawing, kind = path.with_suffix('.svg'), 'png'
  most = _LARGEST * len(content)
  if drawing.exists() and drawing.stat().st_size <= most:
    content, kind = drawing.read_bytes(), 'svg+xml'
  encoded = base64.b64encode(content).decode()
  scale = 96 / canvas.DPI
  return Image(
    f'data:image/{kind};base64,{encoded}',
    round(width * scale),
    round(height * scale),
  )


def render(template: str, **values: Any) -> str:
  """Fill in a template; every value is escaped.

  Args:
    template: its file name in `reports/templates`.
    **values: what it names.

  Returns:
    The page.

  Raises:
    jinja2.UndefinedError: if the template names what was not given.
  """
  import jinja2  # Slow to import, and needed for pages alone.

  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / 'templates'),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  return environment.get_template(template).render(**values)


def write(path: pathlib.Path, page: str) -> None:
  """Write a page, whole or not at all.

  Args:
    path: the file to create or replace.
    page: its text.
  """
  with files.replacing(path) as scratch:
    scratch.write_text(page, encoding='utf-8')
