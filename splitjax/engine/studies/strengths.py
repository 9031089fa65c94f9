"""One program for a defense at all its strengths."""

from collections.abc import Sequence

from splitjax.defenses.plan import Plan
from splitjax.engine.problems import Problem
from splitjax.engine.study import Point
from splitjax.engine.study import Reading
from splitjax.engine.study import Training
from splitjax.errors import ConfigError


def make_training(
  problem: Problem,
  plans: Sequence[Plan],
  *,
  num_aux: Sequence[int] = (),
  passes: Sequence[int] = (),
) -> Training:
  """Return the training of a problem under a defense at several strengths.

  Args:
    problem: what is trained; its plan is one of `plans`.
    plans: the defense at each strength; the undefended plan for none.
    num_aux: numbers of known samples; the configuration's own by default.
    passes: over how many passes gradients are averaged, beside one alone.

  Returns:
    The training, with a reading for each strength, number of known samples and
    number of passes, in this order.
  """
  config, setting = problem.config, problem.setting
  epoch = config.recorded_epoch
  readings = [
    Reading(
      setting._replace(
        defense=plan.name,
        strength=plan.strength,
        num_aux=known,
        num_passes=num_passes,
      ),
      point=index,
      epoch=epoch,
      num_passes=num_passes,
    )
    for index, plan in enumerate(plans)
    for known in (num_aux or (setting.num_aux,))
    for num_passes in (1, *passes)
  ]
  last = epoch + max(passes, default=1)
  return Training(
    problem,
    tuple(Point(config.learning_rate, plan) for plan in plans),
    tuple(readings),
    recorded_epochs=range(epoch, last),
    baseline=not problem.plan.specs,
  )


def check_distinct(
  field: str, texts: Sequence[str], trainings: Sequence[Training]
) -> None:
  """Raise `ConfigError` if two readings would have rows of the same name.

  Args:
    field: where the defenses are named.
    texts: what stands there.
    trainings: of all defenses.
  """
  seen = set()
  for setting in (x.setting for one in trainings for x in one.readings):
    if setting in seen:
      twice = f'{setting.defense} at {setting.strength:g}'
      expected = f'each defense at each strength once, not {twice} again'
      raise ConfigError(field, tuple(texts), expected)
    seen.add(setting)
