"""From a problem to the recipe of its training."""

from collections.abc import Collection, Sequence

from splitjax import data
from splitjax import losses
from splitjax.engine.problems import Problem
from splitjax.engine.programs import Recipe
from splitjax.records.intermediates import INTERMEDIATES
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Source
from splitjax.training.optimizers import OPTIMIZERS


def recipe_of(
  problem: Problem,
  *,
  recorded_epochs: Sequence[int] = (1,),
  baseline: bool = True,
  optional: Collection[Name] = (),
) -> Recipe:
  """Return how a problem is trained, and what is kept of it.

  Args:
    problem: the problem.
    recorded_epochs: the passes whose gradients are kept, from 1.
    baseline: whether what untrained clients make of the data is kept.
    optional: what is kept for attacks beside what they need.

  Returns:
    The recipe.
  """
  config, plan = problem.config, problem.plan
  read = set(problem.read if baseline else config.intermediates)
  for name in problem.granted | set(optional):
    read.update(INTERMEDIATES[name].needs)
    if INTERMEDIATES[name].source == Source.TRAINING_PASS:
      read.add(name)
  real = problem.dataset.is_real
  return Recipe(
    optimizer_fn=OPTIMIZERS[config.optimizer],
    num_epochs=config.epochs,
    batch_size=config.batch_size,
    read=frozenset(read),
    recorded_epochs=recorded_epochs,
    width=config.project_to,
    augment_fn=data.crop_and_flip if config.augment else None,
    protect_fn=plan.protect,
    may_diverge=not plan.off,
    relabel_fn=plan.relabel_fn,
    num_classes=problem.dataset.num_classes,
    # In the two-party split the client's part, in the U-shaped the server's.
    malicious_part=len(problem.model.cuts) - 1
    if config.malicious_client
    else None,
    loss_fn=losses.squared_error if real else losses.cross_entropy,
  )
