"""What a defense is worth: what it costs the model, and what it leaves."""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from splitjax import metrics
from splitjax.defenses.plan import Plan
from splitjax.metrics import Figure
from splitjax.records.intermediates import Name
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting

ATTACK = 'strongest'


class Place(NamedTuple):
  """A place where labels are read.

  Attributes:
    title: what is read, in words.
    phase: when.
    intermediate: what.
    whole: whether over the whole training; else one pass.
  """

  title: str
  phase: str
  intermediate: str
  whole: bool = False

  def cell(self, setting: Setting) -> Cell:
    """Return what the strongest attacker reads there in a setting."""
    passes = setting.epochs if self.whole else 1
    setting = setting._replace(num_passes=passes)
    return Cell(setting, self.phase, self.intermediate, ATTACK)


_GRADS, _SMASHED = Name.CUT_GRADS.value, Name.SMASHED.value
PLACES = {
  'one_pass': Place('gradients of one pass', 'training', _GRADS),
  'training': Place(
    'gradients of the whole training', 'training', _GRADS, True
  ),
  'smashed': Place('smashed data of the training set', 'training', _SMASHED),
  'inference': Place('smashed data of new samples', 'inference', _SMASHED),
}


class Share(NamedTuple):
  """A share with its interval."""

  mean: float
  low: float
  high: float

  @property
  def percent(self) -> str:
    """The share as it is shown."""
    return (
      f'{100 * self.mean:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]'
    )


class Worth(NamedTuple):
  """What a defense costs, and what it leaves.

  Attributes:
    plan: the defense at its strength.
    loss: how much worse the model is than the undefended one, on new samples.
    read: what the strongest attacker reads, by place.
    leaks: how much of it is leakage, by place.
  """

  plan: Plan
  loss: Share
  read: Mapping[str, Share]
  leaks: Mapping[str, Share]

  @property
  def leak(self) -> Share:
    """The largest leakage: mean and ends of all places together."""
    ends = zip(*self.leaks.values(), strict=True)
    return Share(*(max(one) for one in ends))


def measure_of(class_sizes: np.ndarray) -> str:
  """Return the measure of models and attacks.

  Where one class is much larger than the others, all classes weigh alike:
  else a model that answers with that class loses little, and an attacker that
  names it reads much.

  Example:
    >>> measure_of(np.array([50, 50])), measure_of(np.array([98, 2]))
    ('accuracy', 'balanced_accuracy')
  """
  return metrics.judged_by(class_sizes)[-1]


def weigh(
  plan: Plan,
  settings: tuple[Setting, Setting],
  rows: Mapping[Cell, Row],
  places: Sequence[str],
  *,
  level: float = 0.95,
) -> Worth:
  """Return what a defense is worth beside no defense, in the same trials.

  Leakage of gradients is what is read above guessing: an attacker needs no
  inputs for it. Leakage of smashed data, which are made of the inputs, is what
  is read above the best of guessing, raw inputs and an untrained client.

  Args:
    plan: the defense.
    settings: the defense's, and that without a defense.
    rows: the rows of a measure, by cell.
    places: names in `PLACES`.
    level: confidence of every interval.

  Returns:
    What it is worth.
  """
  setting, bare = settings
  model_of = lambda x: rows[Cell(x, 'inference', 'none', 'model')]
  loss = _loss(model_of(bare), model_of(setting), level)
  read, leaks = {}, {}
  for name in places:
    place = PLACES[name]
    one = _figure(rows[place.cell(setting)])
    known = _baselines(place, bare, rows)
    found = metrics.judge([one], [known], limit=0, level=level).leakages[0]
    read[name] = _share(one, metrics.SHARE, level)
    leaks[name] = Share(found.mean, found.low, found.high)
  return Worth(plan, loss, read, leaks)


def _loss(bare: Row, defended: Row, level: float) -> Share:
  """Return how much worse a model is than another, in the same trials."""
  above, below = _figure(bare), _figure(defended)
  loss = _share(
    Figure(above.values - below.values, _minus(above.deleted, below.deleted)),
    metrics.DIFFERENCE,
    level,
  )
  if loss.low < loss.high:
    return loss
  # Where no sample of n differs, this share may (the rule of three).
  unseen = -np.log(1 - level) / max(defended['num_scored'], 1)
  return Share(loss.mean, loss.low - unseen, loss.high + unseen)


def _baselines(
  place: Place, bare: Setting, rows: Mapping[Cell, Row]
) -> dict[Hashable, Figure]:
  """Return what is read without the cut, by name."""
  cells = {
    x: Cell(bare, place.phase, 'none', x) for x in ('chance', 'majority')
  }
  if place.intermediate == Name.SMASHED:
    for name in (Name.RAW_INPUTS, Name.UNTRAINED_SMASHED):
      cells[name] = Cell(bare, place.phase, name.value, ATTACK)
  return {str(name): _figure(rows[cell]) for name, cell in cells.items()}


def _figure(row: Row) -> Figure:
  """Return the trials of a row."""
  deleted = row.get('deleted')
  values = np.asarray(row['values'])
  return Figure(values, None if deleted is None else np.asarray(deleted))


def _minus(
  one: np.ndarray | None, other: np.ndarray | None
) -> np.ndarray | None:
  """Return a difference of figures, if both are there."""
  return None if one is None or other is None else one - other


def _share(figure: Figure, bounds: tuple[float, float], level: float) -> Share:
  """Return a figure with its interval; all that can be if it has none."""
  low, high = metrics.interval(*figure, bounds=bounds, level=level)
  ends = np.where(np.isnan([low, high]), bounds, [low, high])
  return Share(float(figure.values.mean()), float(ends[0]), float(ends[1]))
