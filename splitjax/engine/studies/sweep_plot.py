"""The plot of a sweep over defenses."""

import pathlib

from splitjax.engine.study import Study
from splitjax.reports.frontier import Curve
from splitjax.reports.frontier import defense_frontier
from splitjax.reports.page import Summary


def draw(study: Study, summary: Summary, path: pathlib.Path) -> None:
  """Draw what is read against how good the model is.

  Args:
    study: the sweep.
    summary: what a person reads of it.
    path: where the plot is written.
  """
  curves = []
  for training in study.trainings:
    specs = training.problem.plan.specs
    name = 'undefended'
    if specs:
      name = f'{training.problem.plan.name}, by {specs[0].defense.strength}'
    curves.append(
      Curve(
        dataset=training.problem.dataset.name,
        name=name,
        settings=[x.setting for x in training.readings if x.num_passes == 1],
        passes=max(x.num_passes for x in training.readings),
        attacks=training.problem.config.attacks,
        defended=bool(specs),
      )
    )
  defense_frontier(curves, summary, path)
