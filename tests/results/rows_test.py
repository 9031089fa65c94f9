"""A row for each figure."""

import json

import numpy as np

from splitjax import results
from splitjax.reports import page

CELL = results.Cell(
  results.Setting('digits', 'mlp', '3'), 'training', 'smashed', 'distance'
)


def test_row_has_every_column_and_every_trial():
  values = np.array([[0.5, 0.6], [0.5, 0.8]])
  (row,) = results.cell_rows(
    CELL, {'accuracy': values}, num_scored=7, seconds=0.25
  )
  assert set(results.COLUMNS) | {'values'} == set(row)
  np.testing.assert_allclose(row['mean'], 0.6)
  assert row['ci_low'] <= row['mean'] <= row['ci_high']
  assert row['trials'] == 4
  np.testing.assert_allclose(row['values'], values)
  assert results.cell_of(row) == CELL
  assert results.by_cell([row], 'accuracy') == {CELL: row}
  assert results.by_cell([row], 'ari') == {}


def test_single_trial_has_an_empty_interval():
  (row,) = results.cell_rows(
    CELL, {'ari': np.ones((1, 1))}, num_scored=7, seconds=None
  )
  line = results.to_csv([row]).splitlines()[1]
  assert line.endswith(',distance,ari,1,,,1,7,,1,1,0,1,1,1,client')
  assert page.shown(row) == '100.0'
  assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_rows_of_an_earlier_version_are_of_one_party():
  (row,) = results.cell_rows(
    CELL, {'ari': np.ones((1, 1))}, num_scored=7, seconds=None
  )
  assert row.pop('party') == 'client'
  assert results.cell_of(row) == CELL
  assert results.to_csv([row]).splitlines()[1].endswith(',client')
