"""From what attacks read to a verdict."""

from collections.abc import Hashable, Mapping, Sequence
import dataclasses

import numpy as np

from splitjax import metrics
from splitjax.auditing.attacking import Figures
from splitjax.auditing.attacking import Read
from splitjax.metrics import Figure
from splitjax.metrics import Judgement
from splitjax.metrics import Leakage
from splitjax.records.intermediates import Phase


@dataclasses.dataclass(frozen=True)
class Case:
  """One figure that was judged.

  Attributes:
    read: what an attack read.
    measure: by which measure.
    leakage: how much of it is leakage.
    above: the figures of its best baseline, by measure.
  """

  read: Read
  measure: str
  leakage: Leakage
  above: Figures


@dataclasses.dataclass(frozen=True)
class Finding:
  """What an audit found.

  Attributes:
    verdict: 'pass', 'fail' or 'inconclusive'.
    deciding: the case that decides.
    cases: all that was judged.
    guesses: figures of guessing by phase and name.
  """

  verdict: str
  deciding: Case
  cases: tuple[Case, ...]
  guesses: Mapping[Phase, Mapping[str, Figures]]


def judge(
  reads: Sequence[Read],
  guesses: Mapping[Phase, Mapping[str, Figures]],
  measures: Sequence[str],
  *,
  limit: float,
  level: float,
) -> Finding:
  """Judge all that was read, in all places and by all measures together.

  Args:
    reads: what attacks read, baselines too.
    guesses: what guessing gives, by phase and name.
    measures: by which measures.
    limit: leakage that is allowed, as a share.
    level: probability that all intervals cover.

  Returns:
    The finding.
  """
  named = [
    (read, measure, _baselines(read, reads, guesses, measure))
    for measure in measures
    for read in reads
    if read.place.leaks
  ]
  judgement: Judgement = metrics.judge(
    [read.figures[measure] for read, measure, _ in named],
    [
      {name: x[measure] for name, x in found.items()}
      for _, measure, found in named
    ],
    limit=limit,
    level=level,
  )
  cases = tuple(
    Case(read, measure, leakage, found[str(leakage.baseline)])
    for (read, measure, found), leakage in zip(
      named, judgement.leakages, strict=True
    )
  )
  return Finding(judgement.verdict, cases[judgement.deciding], cases, guesses)


def _baselines(
  read: Read,
  reads: Sequence[Read],
  guesses: Mapping[Phase, Mapping[str, Figures]],
  measure: str,
) -> dict[Hashable, Figures]:
  """Return what is read in the same trials without the cut, by name.

  Every attack counts, on inputs and on what the client made of them before it
  was trained; and guessing.
  """
  found: dict[Hashable, Figures] = {}
  for name, figures in guesses[read.place.phase].items():
    found[name] = figures
  for other in reads:
    if other.place.leaks or other.place.phase != read.place.phase:
      continue
    title = other.place.title.removeprefix('no leak: ')
    found[f'{other.attack} on {title}'] = other.figures
  if measure == 'r2':  # The mean of the known targets explains nothing.
    values = read.figures[measure].values
    zeros = Figure(np.zeros_like(values))
    if read.figures[measure].deleted is not None:
      zeros = zeros._replace(deleted=0 * read.figures[measure].deleted)
    found['the mean of the known targets'] = {measure: zeros}
  return {k: v for k, v in found.items() if measure in v}
