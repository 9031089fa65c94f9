"""Which defenses a search tries: alone at many strengths, and in pairs."""

from collections.abc import Hashable, Sequence
import itertools

from splitjax.defenses import parsing
from splitjax.defenses.plan import Plan
from splitjax.defenses.plan import Spec
from splitjax.engine.fitting import make_plan
from splitjax.engine.problems import Problem
from splitjax.errors import ConfigError

# Each as `--defenses` takes it. A clip norm decides what noise of one epsilon
# costs the model, so several are tried, and no defense is a straw man.
SEARCHED = (
  *(
    f'dp_message:epsilon=3|10|30|60|100:clip_norm={norm}'
    for norm in (0.005, 0.02, 0.05, 0.1, 0.3)
  ),
  'marvell_multiclass:power=1|2|5|8|12|18|30',
  'marvell:power=0.5|1|2|5|10|20',
  'isotropic:ratio=1|2|4|8|16',
  'label_dp:epsilon=1|2|3|4|5',
  'label_dp:epsilon=0.5|1|2:per_use=1',
  'alibi:epsilon=1|2|3|5',
  'gradient_averaging:weight=0.9|0.99|1',
  'max_norm',
  'mixup:alpha=0.2|1',
  'compression:ratio=0.9|0.99',
  'discrete_sgd:num_bins=2',
  'distance_correlation:weight=0.3|1',
  'kdk:smoothing=0.5|0.7',
)


def singles(texts: Sequence[str], problem: Problem) -> list[Plan]:
  """Return the defenses that a search starts from.

  Args:
    texts: as `--defenses` takes them; none for those of `SEARCHED` that fit the
      problem.
    problem: what is trained.

  Returns:
    A plan for each strength, without those that defend nothing.

  Raises:
    ConfigError: if a text says nothing that fits the problem.
  """
  found = []
  for text in texts or SEARCHED:
    try:
      for specs in parsing.parse_sweep('defenses', text):
        found.append(_plan(specs, problem))
    except ConfigError:
      if texts:
        raise
  return [plan for plan in found if not plan.off]


def pairs(plans: Sequence[Plan], problem: Problem) -> list[Plan]:
  """Return all pairs of different defenses that fit each other.

  Args:
    plans: defenses alone.
    problem: what is trained.

  Returns:
    A plan for each pair of plans.
  """
  found = []
  for one, other in itertools.combinations(plans, 2):
    try:
      found.append(_plan((*one.specs, *other.specs), problem))
    except ConfigError:  # They do not fit each other.
      continue
  return found


def refit(plan: Plan, problem: Problem) -> Plan:
  """Return the same defenses at the same strengths in another problem."""
  return _plan(plan.specs, problem)


def by_program(plans: Sequence[Plan]) -> list[tuple[Plan, ...]]:
  """Group plans that one compiled program can train.

  These are the same defenses, and what differs between them is traced:
  strengths, and what is computed from them beside other numbers.

  Args:
    plans: any defenses.

  Returns:
    The groups, in the order of their first plans.
  """
  groups: dict[Hashable, list[Plan]] = {}
  for plan in plans:
    groups.setdefault(_program_of(plan), []).append(plan)
  return [tuple(group) for group in groups.values()]


def _plan(specs: Sequence[Spec], problem: Problem) -> Plan:
  """Return defenses in a problem, checked."""
  args = problem.config, problem.dataset, problem.model
  return make_plan(specs, *args, field='defenses')


def _program_of(plan: Plan) -> Hashable:
  """Return what of a plan is compiled into its program."""
  return tuple(
    (
      one.name,
      tuple(
        (name, value)
        for name, value in one.numbers.items()
        if name != one.defense.strength and name not in traced
      ),
    )
    for one, traced in zip(plan.specs, plan.strengths, strict=True)
  )
