"""A folder of results, from which a killed run resumes."""

import csv
import json

import numpy as np
import pytest

from splitjax import files
from splitjax import results as report
from splitjax.results import store

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

  monkeypatch.setattr(store.files, 'replacing', killed)
  with pytest.raises(KeyboardInterrupt):
    report.Results(tmp_path, {'a': 1}, CELLS).add(CELLS[0], _rows(CELLS[0]))
  monkeypatch.setattr(store.files, 'replacing', replacing)
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


def test_rows_are_kept_in_memory_until_they_are_saved(tmp_path):
  results = report.Results(None, {'a': 1}, CELLS)
  for cell in CELLS:
    results.add(cell, _rows(cell))
  assert results.complete and results.path is None
  results.save(tmp_path / 'new' / 'folder')
  again = report.Results(tmp_path / 'new' / 'folder', {'a': 1}, CELLS)
  assert again.complete
  assert again.rows() == results.rows()


def test_process_that_does_not_write_leaves_the_folder_alone(tmp_path):
  path = tmp_path / 'out'
  results = report.Results(path, {}, CELLS[:2], overwrite=True, writes=False)
  results.skip(CELLS[:1])
  assert CELLS[0] in results and CELLS[1] not in results
  results.begin()
  results.add(CELLS[1], [])
  assert results.complete
  assert not path.exists()


def _two_measures(cell):
  values = np.array([[0.5, 0.25]])
  return report.cell_rows(
    cell, {'accuracy': values, 'macro_f1': values}, num_scored=7, seconds=0.5
  )


@pytest.fixture
def finished(tmp_path):
  """A folder of which every cell is finished, and its rows."""
  results = report.Results(tmp_path, {'a': 1}, CELLS)
  for cell in CELLS:
    results.add(cell, _two_measures(cell))
  return tmp_path, results.rows()


@pytest.mark.parametrize('how', ['short', 'gone', 'other', 'bytes'])
def test_table_that_is_damaged_is_written_anew(finished, how):
  folder, rows = finished
  path = folder / 'results.csv'
  whole = path.read_bytes()
  if how == 'gone':
    path.unlink()
  else:
    damaged = {'short': whole[:-50], 'other': b'a,b\n', 'bytes': b'\xff\x00'}
    path.write_bytes(damaged[how])
  again = report.Results(folder, {'a': 1}, CELLS)
  assert again.complete and again.rows() == rows
  assert path.read_bytes() == whole
  assert again.notes == ['results.csv is written anew from results.jsonl']
  assert report.Results(folder, {'a': 1}, CELLS).notes == []


def _without_last(lines):
  return lines[:-1]


def _without_first(lines):
  return lines[1:]


def _doubled(lines):
  return [*lines, lines[-1]]


def _changed(lines):
  return [lines[0].replace('0.25', '0.75'), *lines[1:]]


@pytest.mark.parametrize(
  'damage', [_without_last, _without_first, _doubled, _changed]
)
def test_cell_that_is_damaged_is_measured_again(finished, damage):
  folder, rows = finished
  path = folder / 'results.jsonl'
  whole = path.read_text()
  lines = damage(whole.splitlines())
  path.write_text(''.join(f'{line}\n' for line in lines))
  again = report.Results(folder, {'a': 1}, CELLS)
  missing = [cell for cell in CELLS if cell not in again]
  assert len(missing) == 1
  assert again.notes == [
    'results.jsonl is damaged: of 16 attacks 1 are measured again'
  ]
  assert len(path.read_text().splitlines()) == len(rows) - 2
  again.add(missing[0], _two_measures(missing[0]))
  assert path.read_text() == whole
  assert again.rows() == rows


def test_line_that_is_cut_is_named(finished):
  folder, _ = finished
  path = folder / 'results.jsonl'
  path.write_text(path.read_text()[:-30])
  with pytest.raises(ValueError, match='results.jsonl, line 32: '):
    report.Results(folder, {'a': 1}, CELLS)


def test_rows_of_another_configuration_are_not_taken_over(finished):
  """As if the configuration were written, and then the process killed."""
  folder, _ = finished
  (folder / 'config.json').write_text('{"a": 2}')
  found = report.Results(folder, {'a': 2}, CELLS)
  assert not any(cell in found for cell in CELLS)


def test_overwriting_goes_on_with_a_killed_run_of_equal_configuration(finished):
  folder, rows = finished
  again = report.Results(folder, {'a': 1}, CELLS, overwrite=True, resume=True)
  assert again.rows() == rows
  other = report.Results(folder, {'a': 2}, CELLS, overwrite=True, resume=True)
  assert other.rows() == []
  other.add(CELLS[0], _rows(CELLS[0]))
  assert report.Results(folder, {'a': 2}, CELLS).rows() == other.rows()


def test_only_records_of_the_engine_are_overwritten(finished):
  folder, _ = finished
  for name in ('training-cut_grads-epoch1-cut7-seed0', 'mine'):
    (folder / 'records' / name).mkdir(parents=True)
  results = report.Results(folder, {'a': 2}, CELLS, overwrite=True)
  assert len(list((folder / 'records').iterdir())) == 2
  results.add(CELLS[0], _rows(CELLS[0]))
  assert [x.name for x in (folder / 'records').iterdir()] == ['mine']


def test_cells_are_distinct():
  with pytest.raises(ValueError, match='cells must be distinct'):
    report.Results(None, {}, [*CELLS, CELLS[0]])
