import csv
import json
import struct

from matplotlib import image
import numpy as np
import pytest

from splitjax import files
from splitjax import page
from splitjax import plots
from splitjax import report

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


def test_row_has_every_column_and_every_trial():
  (row,) = _rows(CELLS[2])
  assert set(report.COLUMNS) | {'values'} == set(row)
  np.testing.assert_allclose(row['mean'], 0.6)
  assert row['ci_low'] <= row['mean'] <= row['ci_high']
  assert row['trials'] == 4
  np.testing.assert_allclose(row['values'], [[0.5, 0.6], [0.5, 0.8]])


def test_single_trial_has_an_empty_interval():
  (row,) = report.cell_rows(
    CELLS[2], {'ari': np.ones((1, 1))}, num_scored=7, seconds=None
  )
  line = report.to_csv([row]).splitlines()[1]
  assert line.endswith(',distance,ari,1,,,1,7,,1,1,0,1,1,1')
  assert page.percent(row) == '100.0'
  json.loads(json.dumps(row, allow_nan=False))


def test_files_hold_the_same_figures(tmp_path):
  results = report.Results(tmp_path, {'a': 1}, CELLS)
  for cell in CELLS:
    results.add(cell, _rows(cell))
  assert results.complete
  with open(tmp_path / 'results.csv') as file:
    table = list(csv.DictReader(file))
  lines = (tmp_path / 'results.jsonl').read_text().splitlines()
  assert tuple(table[0]) == report.COLUMNS
  assert len(table) == len(lines) == len(CELLS)
  for row, line in zip(table, lines, strict=True):
    assert row['attack'] == json.loads(line)['attack']
    np.testing.assert_allclose(float(row['mean']), json.loads(line)['mean'])
  assert json.loads((tmp_path / 'config.json').read_text()) == {'a': 1}


def test_opened_again_it_goes_on_where_it_was(tmp_path):
  first = report.Results(tmp_path, {'a': (1, 2)}, CELLS)
  first.add(CELLS[3], _rows(CELLS[3]))
  first.add(CELLS[0], _rows(CELLS[0]))
  again = report.Results(tmp_path, {'a': (1, 2)}, CELLS)
  assert CELLS[0] in again
  assert CELLS[1] not in again
  assert not again.complete
  assert again.rows() == first.rows()
  # The order is that of the cells, not of finishing.
  assert [report.cell_of(row) for row in again.rows()] == [CELLS[0], CELLS[3]]


def test_folder_of_another_configuration_is_refused(tmp_path):
  first = report.Results(tmp_path, {'flags': {'a': 1}}, CELLS)
  first.add(CELLS[0], _rows(CELLS[0]))
  with pytest.raises(ValueError, match='a was 1, is 2'):
    report.Results(tmp_path, {'flags': {'a': 2}}, CELLS)
  assert json.loads((tmp_path / 'config.json').read_text()) == {
    'flags': {'a': 1}
  }


def test_differences_are_said_of_the_flag_and_what_is_about_the_run_ignored(
  tmp_path,
):
  config = {'flags': {'a': 1, 'b': 2}, 'run': {'out_dir': 'x'}}
  report.Results(tmp_path, config, CELLS).add(CELLS[0], _rows(CELLS[0]))
  report.Results(tmp_path, {**config, 'run': {}}, CELLS)
  with pytest.raises(ValueError, match='another run: b was 2, is 3'):
    report.Results(tmp_path, {'flags': {'a': 1, 'b': 3}}, CELLS)


def test_a_run_without_a_finished_cell_leaves_nothing(tmp_path):
  report.Results(tmp_path / 'out', {'a': 1}, CELLS)
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('num_files', [1, 2])
def test_run_killed_while_writing_its_first_cell_is_resumed(
  tmp_path, monkeypatch, num_files
):
  replacing, written = files.replacing, []

  def killed(path):
    if len(written) == num_files:
      raise KeyboardInterrupt
    written.append(path)
    return replacing(path)

  monkeypatch.setattr(report.files, 'replacing', killed)
  with pytest.raises(KeyboardInterrupt):
    report.Results(tmp_path, {'a': 1}, CELLS).add(CELLS[0], _rows(CELLS[0]))
  monkeypatch.setattr(report.files, 'replacing', replacing)
  results = report.Results(tmp_path, {'a': 1}, CELLS)
  assert (CELLS[0] in results) == (num_files == 2)
  results.add(CELLS[1], _rows(CELLS[1]))
  assert len(report.Results(tmp_path, {'a': 1}, CELLS).rows()) == num_files


@pytest.mark.parametrize(
  ('name', 'text'),
  [
    ('results.csv', 'mine'),
    ('config.json', '[]'),
    ('results.jsonl', '{"a": 1}'),
    ('results.jsonl', '{"half'),
  ],
)
def test_files_of_somebody_else_are_not_touched(tmp_path, name, text):
  if name == 'results.jsonl':
    report.Results(tmp_path, {'a': 1}, CELLS).add(CELLS[0], _rows(CELLS[0]))
  (tmp_path / name).write_text(text)
  with pytest.raises(ValueError, match='files that no run finished'):
    report.Results(tmp_path, {'a': 1}, CELLS)
  assert (tmp_path / name).read_text() == text


def test_overwriting_waits_for_the_first_results(tmp_path):
  report.Results(tmp_path, {'a': 1}, CELLS).add(CELLS[0], _rows(CELLS[0]))
  (tmp_path / 'records').mkdir()
  (tmp_path / 'notes.txt').write_text('mine')
  results = report.Results(tmp_path, {'a': 2}, CELLS, overwrite=True)
  assert CELLS[0] not in results
  assert json.loads((tmp_path / 'config.json').read_text()) == {'a': 1}
  results.begin()
  assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']


def test_pivot_puts_attacks_beside_each_other():
  rows = [row for cell in CELLS for row in _rows(cell)]
  text = page.pivot(
    rows, _summary(rows).lines, ['distance', 'clustering'], measure='accuracy'
  )
  lines = text.splitlines()
  assert lines[0].split() == [
    'phase', 'what', 'is', 'read', 'distance', 'clustering'
  ]  # fmt: skip
  assert len(lines) == 2 + 6
  assert lines[2].count(page.percent(rows[0])) == 2


def test_page_is_self_contained_and_escaped(tmp_path):
  results = report.Results(tmp_path, {'a': '<b>'}, CELLS)
  for cell in CELLS:
    results.add(cell, _rows(cell))
  summary = _summary(results.rows())
  plots.leakage(summary, tmp_path / 'leakage.png')
  page.write(summary, tmp_path)
  text = (tmp_path / 'report.html').read_text()
  assert 'a &lt;title&gt;' in text
  assert 'one &amp; two' in text
  assert '&lt;b&gt;' in text
  assert 'src="data:image/png;base64,iVBOR' in text
  assert 'http' not in text
  assert 'one & two' in page.to_text(summary)


def test_plot_does_not_depend_on_the_run(tmp_path):
  summary = _summary([row for cell in CELLS for row in _rows(cell)])
  for name in ('a.png', 'b.png'):
    plots.leakage(summary, tmp_path / name)
  images = [(tmp_path / name).read_bytes() for name in ('a.png', 'b.png')]
  assert images[0] == images[1]
  assert images[0].startswith(b'\x89PNG')


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
