"""An audit to report, and drawing without the cost of writing images."""

import json
import pathlib

import pytest

from splitjax.reports import canvas

EXAMPLE = pathlib.Path(__file__).with_name('audit_example.json')


@pytest.fixture
def audit():
  """The content of an `audit.json` as of digits, whose figures are made up."""
  return json.loads(EXAMPLE.read_text())


@pytest.fixture
def quick(monkeypatch):
  """Draws all plots, and writes the same dot for each."""
  drawn = []

  def save(figure, path):
    drawn.append(figure)
    size = (8).to_bytes(4, 'big')
    path.write_bytes(b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + size + size)

  monkeypatch.setattr(canvas, 'save', save)
  return drawn
