"""Plots: what is drawn, and that it depends on the figures alone."""

import struct

from matplotlib import image
import numpy as np

from splitjax import results as report
from splitjax.reports import page
from splitjax.reports import plots

SETTING = report.Setting('digits', 'mlp', '3')
CELLS = [
  report.Cell(SETTING, phase, intermediate, attack)
  for phase in ('training', 'inference')
  for intermediate, attack in (
    ('none', 'model'),
    ('none', 'chance'),
    ('smashed', 'distance'),
    ('smashed', 'clustering'),
    ('untrained_smashed', 'distance'),
    ('untrained_smashed', 'clustering'),
    ('raw_inputs', 'distance'),
    ('raw_inputs', 'clustering'),
  )
]


def _rows(cell, value=0.5, seconds=0.25):
  values = np.array([[value, value + 0.1], [value, value + 0.3]])
  return report.cell_rows(
    cell, {'accuracy': values}, num_scored=7, seconds=seconds
  )


def _summary(rows):
  return page.Summary(
    title='a <title>',
    facts=['one & two'],
    rows=rows,
    whole=SETTING,
    lines=[
      page.Line(SETTING, phase, name, f'reads {name}')
      for phase in ('training', 'inference')
      for name in ('smashed', 'untrained_smashed', 'raw_inputs')
    ],
    attacks=['distance', 'clustering'],
    measure='accuracy',
  )


def test_plot_does_not_depend_on_the_run(tmp_path):
  summary = _summary([row for cell in CELLS for row in _rows(cell)])
  for name in ('a.png', 'b.png'):
    plots.leakage(summary, tmp_path / name)
  for suffix, start in (('png', b'\x89PNG'), ('svg', b'<?xml')):
    one, other = ((tmp_path / f'{name}.{suffix}').read_bytes() for name in 'ab')
    assert one == other
    assert one.startswith(start)


def test_sweep_is_drawn_in_one_panel_a_place(tmp_path):
  settings = [SETTING._replace(cut=str(cut)) for cut in (3, 5)]
  rows = [
    row
    for cell in CELLS
    for setting in (SETTING, *settings)
    for row in _rows(cell._replace(setting=setting))
  ]
  summary = _summary(rows)
  sweep = page.Sweep('cut', settings, ['3', '5'])
  images = []
  for name, sweeps in (('one.png', [sweep]), ('two.png', [sweep, sweep])):
    plots.sweep(summary, sweeps, tmp_path / name)
    images.append((tmp_path / name).read_bytes())
  sizes = [struct.unpack('>II', found[16:24]) for found in images]
  assert sizes[0][0] == sizes[1][0]
  assert sizes[0][1] < sizes[1][1]


def test_panel_of_what_a_factor_does_not_change_is_left_out(tmp_path):
  settings = [SETTING, SETTING._replace(recorded_epoch=2)]
  rows = [row for cell in CELLS for row in _rows(cell)]
  path = tmp_path / 'sweep.png'
  sweep = page.Sweep('recorded epoch', settings, ['1', '2'])
  plots.sweep(_summary(rows), [sweep], path)
  pixels = image.imread(path)[..., :3]
  drawn = (np.abs(pixels - np.array([0.0, 0.447, 0.698])) < 0.05).all(-1)
  assert not drawn[:, : pixels.shape[1] // 2].any()  # No curve in COLORS[0].


def test_title_with_dollars_is_drawn_as_it_is(tmp_path):
  summary = _summary(_rows(CELLS[0]) + _rows(CELLS[2]))
  summary = summary._replace(title='Ba$$in, $x$ and $5')
  plots.leakage(summary, tmp_path / 'plot.png')
  assert (tmp_path / 'plot.png').stat().st_size
