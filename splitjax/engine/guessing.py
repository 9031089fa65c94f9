"""What attacks guess of canaries, and the epsilon that shows."""

from collections.abc import Iterable, Sequence

import numpy as np

from splitjax import metrics
from splitjax.engine.canaries import Canaries
from splitjax.engine.sources import Source
from splitjax.engine.trials import Asked
from splitjax.engine.trials import Predictions
from splitjax.records.intermediates import INTERMEDIATES
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting
from splitjax.results import cell_of
from splitjax.results import cell_rows

ATTACK = 'canaries'  # What results call the best of all guessers.


def guesses(cell: Cell) -> bool:
  """Return whether an attack reads what the training sends of canaries."""
  name = Name(cell.intermediate)
  known = cell.phase == Phase.TRAINING and cell.attack not in ('none', ATTACK)
  return known and name != Name.NONE and INTERMEDIATES[name].leaks


def cell_of_all(setting: Setting) -> Cell:
  """Return the cell of what the best guesser of a training shows."""
  return Cell(_whole(setting), Phase.TRAINING.value, Name.NONE.value, ATTACK)


def num_guessers(setting: Setting, cells: Iterable[Cell]) -> int:
  """Return how many attacks guess the canaries of a training.

  Args:
    setting: a setting of the training.
    cells: all that is measured of it.
  """
  whole = _whole(setting)
  return sum(_whole(x.setting) == whole and guesses(x) for x in cells)


def _whole(setting: Setting) -> Setting:
  """Return the setting of a training, however many passes of it are read."""
  return setting._replace(num_passes=1)


def measure(
  cell: Cell,
  source: Source,
  found: Predictions,
  asked: Asked,
  num_tried: int,
) -> list[Row]:
  """Return what an attack's answers for the canaries show.

  Args:
    cell: the attack and its place.
    source: what was trained, with canaries.
    found: what the attack answered.
    asked: the canaries among the samples that it labelled.
    num_tried: how many attacks guess in all.

  Returns:
    The rows.
  """
  canaries, delta = source.canaries, source.plan.delta
  assert canaries is not None
  guessed = judge(found, asked, canaries.coins, delta=delta)
  lower = guessed.epsilon_lower(num_tried=num_tried, delta=delta)
  advantage = guessed.advantage(np.broadcast_to(canaries.ids, asked.rows.shape))
  rows = cell_rows(
    cell,
    {'canary_advantage': advantage.values},
    num_scored=len(canaries.ids),
    seconds=found.seconds,
    deleted=None
    if advantage.deleted is None
    else {'canary_advantage': advantage.deleted},
  )
  return rows + _counts(
    cell,
    canaries,
    epsilon_lower=lower,
    canary_expected=guessed.expected,
    canary_right=guessed.right,
    canary_guesses=guessed.num_guesses,
  )


def judge(
  found: Predictions, asked: Asked, coins: np.ndarray, *, delta: float = 0.0
) -> metrics.Guessed:
  """Compare what an attack answered with the coins.

  Args:
    found: what the attack answered.
    asked: the canaries among the samples that it labelled.
    coins: which candidate of each was used, 0 or 1, `[S, M]`.
    delta: the delta at which epsilon is to be measured.

  Returns:
    How often it guessed right.
  """
  labels = np.take_along_axis(found.labels, asked.rows[:, None], axis=-1)
  evidence = metrics.weigh_answers(labels, asked.candidates, found.margins)
  return metrics.judge_guesses(evidence, coins, delta=delta)


def _counts(cell: Cell, canaries: Canaries, **values: float) -> list[Row]:
  """Return rows of what is one number of all networks together."""
  return cell_rows(
    cell,
    {name: np.array([[float(value)]]) for name, value in values.items()},
    num_scored=len(canaries.ids),
    seconds=None,
  )


def best(cell: Cell, source: Source, rows: Sequence[Row]) -> list[Row]:
  """Return what the best guesser of a training shows.

  It is the one of which the canaries that choose let expect most.

  Args:
    cell: of the training as a whole.
    source: what was trained, with canaries.
    rows: rows of all attacks.

  Returns:
    The rows: the epsilon that is exceeded, what it would be, had all guesses
    been right, and the guesser's advantage over a coin.
  """
  canaries, delta = source.canaries, source.plan.delta
  assert canaries is not None
  found: dict[Cell, dict[str, Row]] = {}
  for row in rows:
    of = cell_of(row)
    if _whole(of.setting) == cell.setting and guesses(of):
      found.setdefault(of, {})[row['measure']] = row
  if not found:  # Another process has the rows.
    return []
  chosen = max(found.values(), key=lambda one: one['canary_expected']['mean'])
  num = metrics.num_testing(canaries.coins.size)
  right, guessed = (
    chosen[f'canary_{name}']['mean'] for name in ('right', 'guesses')
  )
  lower, limit = metrics.epsilon_lower(
    np.array([right, num]),
    np.array([guessed, num]),
    num_canaries=num,
    delta=delta,
  )
  about = {'phase': cell.phase, 'intermediate': cell.intermediate}
  about |= {**cell.setting._asdict(), 'attack': cell.attack}
  return [
    *_counts(
      cell, canaries, epsilon_lower=lower, epsilon_limit=limit, delta=delta
    ),
    chosen['canary_advantage'] | about,
  ]
