"""A study: what is trained, what is read of it, and in which order it is shown.

A study is a list of trainings. Each is one compiled program that trains a
problem at one or more points (learning rates, strengths of defenses) and seeds.
A reading says where the figures of one setting come from.
"""

from collections.abc import Callable, Sequence
import dataclasses
import pathlib
from typing import NamedTuple

from splitjax.attacks.choice import Choice
from splitjax.defenses.plan import Plan
from splitjax.engine.extractors import Extractor
from splitjax.engine.problems import Problem
from splitjax.records.intermediates import ATTACKED
from splitjax.records.intermediates import INTERMEDIATES
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.reports.page import Summary
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting


class Point(NamedTuple):
  """What differs between the runs of one program, beside their seeds.

  Attributes:
    learning_rate: learning rate of every part.
    plan: the defenses at their strengths.
  """

  learning_rate: float
  plan: Plan


class Reading(NamedTuple):
  """Where the figures of one setting come from.

  Attributes:
    setting: the setting.
    point: index of the training's point.
    cut: index of the model's cut.
    parties: indices of the parties that work together, of several.
    epoch: the recorded pass that is attacked, from 1.
    num_passes: over how many passes from there on gradients are averaged.
  """

  setting: Setting
  point: int = 0
  cut: int = 0
  epoch: int = 1
  num_passes: int = 1
  parties: tuple[int, ...] = ()

  @property
  def is_late(self) -> bool:
    """Whether it is one pass alone, of a model that has learnt.

    In the first pass the directions of gradients say what smashed data could
    add; over several passes the others do.
    """
    return self.epoch > 1 and self.num_passes == 1


@dataclasses.dataclass(frozen=True)
class Training:
  """One compiled training, and what is read of it.

  Attributes:
    problem: what is trained.
    points: what differs between its runs, beside their seeds.
    readings: the settings whose figures come from it.
    recorded_epochs: the passes whose gradients are kept, from 1.
    baseline: whether what untrained clients make of the data is kept.
  """

  problem: Problem
  points: tuple[Point, ...]
  readings: tuple[Reading, ...]
  recorded_epochs: Sequence[int] = (1,)
  baseline: bool = True

  @property
  def settings(self) -> frozenset[Setting]:
    """The settings whose figures come from it."""
    return frozenset(reading.setting for reading in self.readings)

  @property
  def optional(self) -> frozenset[Name]:
    """What is recorded for attacks beside what they need."""
    return frozenset().union(*map(self.optional_of, self.readings))

  def optional_of(self, reading: Reading) -> frozenset[Name]:
    """Return what attacks are granted in a reading beside what they need."""
    if self.problem.dataset.is_real or reading.is_late:
      return self.problem.optional
    return frozenset()


SummariseFn = Callable[['Study', Sequence[Row]], Summary]
DrawFn = Callable[['Study', Summary, pathlib.Path], None]


@dataclasses.dataclass(frozen=True)
class Study:
  """What a run trains and measures, and how it is shown.

  Attributes:
    name: what the question is called.
    config: the configuration that it was made from.
    trainings: one for each program.
    cells: all that is measured, in the order of the results.
    summarise_fn: makes what a person reads of the rows.
    draw_fn: draws the plot of it.
    extractor: a network that the attacker owns beside its client, if any.
    notes: what the user should be warned of, a sentence each.
  """

  name: str
  config: object
  trainings: tuple[Training, ...]
  cells: tuple[Cell, ...]
  summarise_fn: SummariseFn
  draw_fn: DrawFn
  extractor: Extractor | None = None
  notes: tuple[str, ...] = ()

  @property
  def problem(self) -> Problem:
    """The problem of the first training."""
    return self.trainings[0].problem

  @property
  def num_epochs(self) -> int:
    """Passes of all trainings, for a progress bar."""
    return sum(one.problem.num_epochs for one in self.trainings)


def point_of(problem: Problem) -> Point:
  """Return the point that a configuration asks for."""
  return Point(problem.config.learning_rate, problem.plan)


def cells_of(
  setting: Setting,
  read: Sequence[str],
  attacks: Sequence[Choice],
  *,
  references: Sequence[str] = (),
) -> list[Cell]:
  """List all that is measured in a setting, in the order of the results.

  Args:
    setting: the setting.
    read: the intermediates that are attacked.
    attacks: what is run; each on the intermediates that it is defined for.
    references: what to add that is known without an attack; guarantees are of
      the training.

  Returns:
    The cells.
  """
  cells = []
  for phase in Phase:
    cells += [
      Cell(setting, phase.value, Name.NONE.value, name)
      for name in references
      if phase == Phase.TRAINING or name != 'guarantee'
    ]
    for name in ATTACKED:
      if name in read and phase in INTERMEDIATES[name].streams:
        texts = [x.text for x in attacks if name in x.attack.reads]
        cells += [
          Cell(setting, phase.value, name.value, text)
          for text in ('none', *texts)
        ]
  return cells
