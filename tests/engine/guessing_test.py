"""What is made of guesses, and which of them the results show."""

import types

import numpy as np

from splitjax import metrics
from splitjax.engine import guessing
from splitjax.engine.canaries import Canaries
from splitjax.engine.sources import Source
from splitjax.engine.trials import Predictions
from splitjax.results import Cell
from splitjax.results import Setting

NUM = 400
SETTING = Setting('data', 'net', '1')
CELLS = [
  Cell(SETTING, 'training', 'none', 'model'),
  Cell(SETTING, 'training', 'cut_grads', 'none'),
  Cell(SETTING, 'training', 'cut_grads', 'right'),
  Cell(SETTING, 'training', 'smashed', 'blind'),
  Cell(SETTING, 'training', 'untrained_smashed', 'right'),
  Cell(SETTING, 'inference', 'smashed', 'right'),
  Cell(SETTING._replace(num_passes=5), 'training', 'cut_grads', 'blind'),
  Cell(SETTING._replace(strength=2.0), 'training', 'cut_grads', 'right'),
  guessing.cell_of_all(SETTING),
]


def _source(delta=0.0):
  rng = np.random.default_rng(0)
  first = rng.integers(10, size=(2, NUM))
  candidates = np.stack([first, (first + 1) % 10], axis=-1)
  found = Canaries(np.arange(NUM), candidates, rng.integers(2, size=(2, NUM)))
  plan = types.SimpleNamespace(delta=delta)
  return Source([], [], plan, None, canaries=found)


def _measure(cell, source, labels):
  answers = Predictions(labels[:, None], None, 0.0, 0.0)
  asked = source.canaries.asked(np.tile(np.arange(NUM), (2, 1)))
  num_tried = guessing.num_guessers(cell.setting, CELLS)
  return guessing.measure(cell, source, answers, asked, num_tried)


def _by_measure(rows):
  return {row['measure']: row['mean'] for row in rows}


def test_attacks_on_what_the_training_sends_guess():
  assert [cell for cell in CELLS if guessing.guesses(cell)] == [
    CELLS[2],
    CELLS[3],
    CELLS[6],
    CELLS[7],
  ]
  assert guessing.num_guessers(SETTING, CELLS) == 3
  passes = SETTING._replace(num_passes=5)
  assert guessing.num_guessers(passes, CELLS) == 3
  assert guessing.num_guessers(CELLS[7].setting, CELLS) == 1


def test_the_best_guesser_is_not_corrected_for_the_others():
  for delta in (0.0, 1e-3):
    source = _source(delta)
    right = _measure(CELLS[2], source, source.canaries.labels)
    blind = _measure(CELLS[3], source, np.full((2, NUM), 11))
    assert _by_measure(blind)['epsilon_lower'] == 0
    assert _by_measure(blind)['canary_advantage'] == 0
    found = _by_measure(right)
    assert found['canary_advantage'] == 0.5
    num = 0.75 * 2 * NUM
    assert found['canary_right'] == found['canary_guesses'] == num
    corrected = metrics.epsilon_lower(num, num, num_tried=3, delta=delta)
    assert found['epsilon_lower'] == corrected
    best = _by_measure(guessing.best(CELLS[-1], source, [*blind, *right]))
    alone = metrics.epsilon_lower(num, num, delta=delta)
    assert best['epsilon_lower'] == best['epsilon_limit'] == alone > corrected
    assert best['delta'] == delta
    assert best['canary_advantage'] == 0.5


def test_the_guesser_is_chosen_by_other_canaries_than_test_it():
  source = _source()
  coins = source.canaries.coins
  choosing = np.arange(2 * NUM).reshape(2, NUM) % 4 == 0
  rng = np.random.default_rng(1)
  noise = np.where(rng.integers(2, size=coins.shape), 0, 1)
  guess = lambda coins: np.take_along_axis(
    source.canaries.candidates, coins[..., None], axis=-1
  )[..., 0]
  lucky = _measure(CELLS[2], source, guess(np.where(choosing, coins, noise)))
  other = _measure(CELLS[3], source, guess(np.where(choosing, noise, coins)))
  best = _by_measure(guessing.best(CELLS[-1], source, [*lucky, *other]))
  assert best['epsilon_lower'] < 0.3  # Luck where it was chosen is none.
  assert _by_measure(other)['epsilon_lower'] > 3


def test_rows_of_other_processes_are_not_missed():
  assert guessing.best(CELLS[-1], _source(), []) == []
