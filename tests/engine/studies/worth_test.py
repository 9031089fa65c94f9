"""What a defense costs and leaves, from rows that are made up."""

import numpy as np
import pytest

from splitjax.engine.studies import worth
from splitjax.results import Cell
from splitjax.results import Setting

BARE = Setting('data', 'mlp', '1', epochs=3)
DEFENDED = BARE._replace(defense='max_norm', strength=1.0)


def _rows():
  """Two networks, two draws, and what is read in each place."""
  row = lambda x: {
    'values': (x + np.array([[0.0, 0.02], [0.02, 0.04]])).tolist()
  }
  found = {
    Cell(x, 'inference', 'none', 'model'): {'values': y, 'num_scored': 300}
    for x, y in {
      BARE: [[0.9], [0.92]],
      DEFENDED: [[0.84], [0.88]],
    }.items()
  }
  for name, place in worth.PLACES.items():
    found[place.cell(DEFENDED)] = row({'training': 0.4}.get(name, 0.6))
    for guess, value in {'chance': 0.1, 'majority': 0.2}.items():
      flat = {'values': np.full((1, 4), value).tolist()}
      found[Cell(BARE, place.phase, 'none', guess)] = flat
    for leaks_not, value in {
      'raw_inputs': 0.5,
      'untrained_smashed': 0.3,
    }.items():
      found[Cell(BARE, place.phase, leaks_not, 'strongest')] = row(value)
  return found


@pytest.mark.parametrize(
  ('place', 'leak'),
  # Gradients need no inputs; smashed data are made of them.
  [
    ('one_pass', 0.42),
    ('training', 0.22),
    ('smashed', 0.1),
    ('inference', 0.1),
  ],
)
def test_leakage_is_above_what_the_place_tells_anyway(place, leak):
  found = worth.weigh('plan', (DEFENDED, BARE), _rows(), [place])
  assert found.leaks[place].mean == pytest.approx(leak)
  assert found.loss.mean == pytest.approx(0.05)


def test_models_that_differ_in_no_sample_may_in_others():
  rows = _rows()
  model = lambda x: Cell(x, 'inference', 'none', 'model')
  rows[model(DEFENDED)] = rows[model(BARE)]
  loss = worth.weigh('plan', (DEFENDED, BARE), rows, ['one_pass']).loss
  assert loss.mean == 0
  assert loss.high == -loss.low == pytest.approx(0.01, rel=0.01)


def test_worst_place_counts():
  found = worth.weigh('plan', (DEFENDED, BARE), _rows(), list(worth.PLACES))
  assert found.leak.mean == pytest.approx(0.42)
  assert found.leak.high >= max(x.mean for x in found.leaks.values())
