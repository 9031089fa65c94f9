"""What a sweep over defenses trains in one program."""

import dataclasses
import functools

from splitjax.defenses import plan as defense_plan
from splitjax.engine import measuring
from splitjax.engine import problems
from splitjax.results import report


@dataclasses.dataclass(frozen=True)
class Family:
  """A defense at all its strengths, on one data set: one program.

  Attributes:
    problem: its plan is the first strength's.
    plans: one for each strength; the undefended one for none.
  """

  problem: problems.Problem
  plans: tuple[defense_plan.Plan, ...]

  @functools.cached_property
  def settings(self) -> list[report.Setting]:
    """One for each strength."""
    setting = self.problem.setting
    return [
      setting._replace(defense=plan.name, strength=plan.strength)
      for plan in self.plans
    ]

  @property
  def passes(self) -> tuple[int, ...]:
    """Over how many passes gradients are averaged, beside the first alone."""
    wanted = self.problem.config.averaged_passes
    plan = self.problem.plan
    averaged = plan.averaged or not plan.specs
    reads = 'cut_grads' in self.problem.config.intermediates
    return wanted if averaged and reads else ()

  def cells(self) -> list[report.Cell]:
    """All that is measured of it."""
    problem, config = self.problem, self.problem.config
    undefended = not problem.plan.specs
    cells = []
    for setting in self.settings:
      cells += measuring.cells_of(
        setting,
        [*problem.read, 'raw_inputs'] if undefended else config.intermediates,
        config.attacks,
        references=problem.references
        if undefended
        else [x for x in problem.references if x in ('model', 'guarantee')],
      )
      for num_passes in self.passes:
        cells += measuring.cells_of(
          setting._replace(num_passes=num_passes), ['cut_grads'], config.attacks
        )
    return cells
