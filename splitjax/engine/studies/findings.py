"""What a search for a defense found, as a person reads it."""

from collections.abc import Sequence
import pathlib
from typing import Any

import numpy as np

from splitjax.engine import facts
from splitjax.engine.studies import advice
from splitjax.engine.studies import worth
from splitjax.engine.studies.worth import PLACES
from splitjax.engine.studies.worth import Worth
from splitjax.engine.study import Study
from splitjax.reports.page import Line
from splitjax.reports.page import Summary
from splitjax.reports.worth_plot import worth_plot
from splitjax.results import Row
from splitjax.results import by_cell

_LEVEL = 0.95
HELD_OUT = 0.2  # Of the training set, to judge models by in the search.


def worths(
  study: Study,
  rows: Sequence[Row],
  places: Sequence[str],
  *,
  together: bool = False,
) -> list[Worth]:
  """Return what each defense of a study is worth.

  Args:
    study: of `recommend`: the first training is undefended.
    rows: what was measured.
    places: names in `worth.PLACES`.
    together: whether the intervals of the losses and the leakages of all
      defenses hold at once (Bonferroni), as a choice among them needs.

  Returns:
    The defenses in the order of the trainings.
  """
  sizes = np.bincount(study.problem.dataset.train_labels)
  found = by_cell(rows, worth.measure_of(sizes))
  bare = study.problem.setting
  plans = [
    (training.points[reading.point].plan, reading.setting)
    for training in study.trainings[1:]
    for reading in training.readings
    if reading.setting.num_passes == 1
  ]
  num_intervals = len(plans) * (len(places) + 1) if together else 1
  level = 1 - (1 - _LEVEL) / max(num_intervals, 1)
  return [
    worth.weigh(plan, (setting, bare), found, places, level=level)
    for plan, setting in plans
  ]


def summarise(
  study: Study, rows: Sequence[Row], searched: Sequence[Worth]
) -> Summary:
  """Return the answer, with a table of the finalists.

  Args:
    study: of the finalists.
    rows: what was measured of them.
    searched: what was tried before.

  Returns:
    What a person reads.
  """
  problem = study.problem
  config: Any = study.config
  limits = limits_of(config)
  measure = worth.measure_of(np.bincount(problem.dataset.train_labels))
  found = worths(study, rows, config.places)
  judged = worths(study, rows, config.places, together=True)
  answer = advice.answer(judged, config.places, limits, len(searched))
  bare = problem.setting
  settings = {bare: 'undefended'} | {
    x.setting: training.points[x.point].plan.text
    for training in study.trainings[1:]
    for x in training.readings
    if x.setting.num_passes == 1
  }
  lines = [
    Line(*place.cell(setting)[:3], f'{place.title}; {words}')
    for setting, words in settings.items()
    for place in (PLACES[name] for name in config.places)
  ]
  return Summary(
    title=f'{problem.dataset.name}: which defense to take',
    facts=[
      answer,
      *facts.facts_of(problem, rows, bare, measure),
      *(advice.in_words(one) for one in found),
      f'{len(searched)} were tried on {1 - HELD_OUT:.0%} of the training set; '
      'figures here are of fresh networks, and of samples that chose nothing. '
      'The intervals of the answer hold for all finalists and places together.',
      *_not_asked(config),
    ],
    rows=rows,
    whole=bare,
    lines=list(dict.fromkeys(lines)),
    attacks=[worth.ATTACK],
    measure=measure,
    verdict=answer,
  )


def _not_asked(config: Any) -> list[str]:
  """Return where labels may be read that the answer does not speak of."""
  others = [x.title for name, x in PLACES.items() if name not in config.places]
  if not others:
    return []
  return [f'Not asked, so not hidden: {"; ".join(others)} (--places).']


def draw(
  study: Study,
  summary: Summary,
  path: pathlib.Path,
  searched: Sequence[Worth],
) -> None:
  """Draw what was searched, and the finalists with their intervals.

  Args:
    study: of the finalists.
    summary: from `summarise`.
    path: the PNG file to write; an SVG file is written beside it.
    searched: what was tried before.
  """
  config: Any = study.config
  worth_plot(
    [one for one in map(advice.dot_of, searched)],
    [advice.dot_of(one) for one in worths(study, summary.rows, config.places)],
    titles={name: PLACES[name].title for name in config.places},
    limits=(config.max_loss, config.max_leakage),
    title=summary.title,
    path=path,
  )


def limits_of(config: Any) -> tuple[float, float]:
  """Return the largest loss and the largest leakage, as shares."""
  return config.max_loss / 100, config.max_leakage / 100
