"""Leakage: what is read above the best of several baselines, and a verdict.

In shape descriptions `S` is the number of networks, `R` the draws of auxiliary
samples of each, and `G` the groups of samples that are left out in turn.
"""

from collections.abc import Hashable, Mapping, Sequence
import dataclasses
import math
from typing import NamedTuple

import numpy as np

from splitjax.metrics import intervals

# A class of more than this times its fair share hides the others in an
# accuracy: then classes are also weighted alike.
_LARGE = 1.5
PASS, FAIL, INCONCLUSIVE = 'pass', 'fail', 'inconclusive'


class Figure(NamedTuple):
  """A figure of every trial.

  Attributes:
    values: the figure, `[S, R]`.
    deleted: the same without each group of samples, `[G, S, R]`; None if there
      are too few samples.
  """

  values: np.ndarray
  deleted: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Leakage:
  """How much more is read than without the cut.

  Attributes:
    baseline: the baseline that reads most, by its name.
    mean: the difference to it, a mean over the trials.
    low: lower end of an interval, together with all others that were judged.
    high: its upper end.
  """

  baseline: Hashable
  mean: float
  low: float
  high: float


@dataclasses.dataclass(frozen=True)
class Judgement:
  """What follows from all leakages.

  Attributes:
    verdict: `PASS` if all are below the limit, `FAIL` if one is above it,
      `INCONCLUSIVE` if neither is certain.
    deciding: index of the leakage that decides: of the largest lower end if it
      fails, else of the largest upper end.
    leakages: one for each figure that was judged.
  """

  verdict: str
  deciding: int
  leakages: tuple[Leakage, ...]


def judged_by(class_sizes: np.ndarray | None) -> tuple[str, ...]:
  """Return by which measures leakage is judged.

  Args:
    class_sizes: samples of each class; None for real targets.

  Returns:
    The accuracy; where a class is much larger than the others also the mean
    recall of all classes, since guessing that class is right most of the time
    whatever leaks; of real targets the share of variance that is explained.

  Example:
    >>> judged_by(np.array([98, 2]))
    ('accuracy', 'balanced_accuracy')
  """
  if class_sizes is None:
    return ('r2',)
  largest = class_sizes.max() / class_sizes.sum()
  if largest * len(class_sizes) > _LARGE:
    return ('accuracy', 'balanced_accuracy')
  return ('accuracy',)


def judge(
  reads: Sequence[Figure],
  baselines: Sequence[Mapping[Hashable, Figure]],
  *,
  limit: float,
  level: float = 0.95,
  bounds: tuple[float, float] = intervals.DIFFERENCE,
) -> Judgement:
  """Judge whether more is read than a limit allows.

  Every attack that was tried is a chance to find a leak where there is none. So
  all intervals hold together with probability `level` (Bonferroni over attacks
  and baselines): where nothing leaks, at most one in twenty verdicts is `FAIL`
  at the level .95 and the limit 0, and where more leaks than the limit, at most
  one in twenty is `PASS`.

  Args:
    reads: what each attack reads.
    baselines: what is read without the cut, by name, for each attack, in the
      same trials; at least one each. Figures of all trials in one network,
      `[1, S R]`, are taken in the order of the trials.
    limit: leakage that is allowed, as a share.
    level: probability that all intervals cover.
    bounds: least and largest difference that there can be.

  Returns:
    The judgement.

  Raises:
    ValueError: if there is nothing to judge, or nothing to compare it with.

  Example:
    >>> trials = np.array([[0.0, 0.01, -0.01, 0.02]])
    >>> found = judge(
    ...   [Figure(0.9 + trials)],
    ...   [{'chance': Figure(0.1 + 0 * trials)}],
    ...   limit=0.05,
    ... )
    >>> found.verdict, round(found.leakages[0].mean, 3)
    ('fail', 0.805)
  """
  if not reads or not all(baselines):
    raise ValueError('reads must have at least one figure and one baseline.')
  num_pairs = sum(len(one) for one in baselines)
  each = 1 - (1 - level) / num_pairs
  leakages = tuple(
    _above_best(read, of_read, each, bounds)
    for read, of_read in zip(reads, baselines, strict=True)
  )
  lows = [one.low for one in leakages]
  highs = [one.high for one in leakages]
  if max(lows) > limit:
    return Judgement(FAIL, int(np.argmax(lows)), leakages)
  verdict = PASS if max(highs) < limit else INCONCLUSIVE
  return Judgement(verdict, int(np.argmax(highs)), leakages)


def _above_best(
  read: Figure,
  baselines: Mapping[Hashable, Figure],
  level: float,
  bounds: tuple[float, float],
) -> Leakage:
  """Return how much more is read than by the best of some baselines."""
  found = {}
  for name, baseline in baselines.items():
    values, deleted = _difference(read, baseline)
    low, high = intervals.interval(values, deleted, bounds=bounds, level=level)
    ends = float(low), float(high)
    if any(map(math.isnan, ends)):  # One trial of few samples tells nothing.
      ends = bounds
    found[name] = (float(values.mean()), *ends)
  best = min(found, key=lambda name: found[name][0])
  # Above the best is above all: the least difference, and the least ends.
  low, high = (min(one[i] for one in found.values()) for i in (1, 2))
  return Leakage(best, found[best][0], low, high)


def _difference(
  read: Figure, baseline: Figure
) -> tuple[np.ndarray, np.ndarray | None]:
  """Return the difference of two figures by trial."""
  shape = read.values.shape
  values = read.values - baseline.values.reshape(shape)
  if read.deleted is None or baseline.deleted is None:
    return values, None
  same = baseline.deleted.reshape(-1, *shape)
  if len(same) != len(read.deleted):
    return values, None
  return values, read.deleted - same


def needed(
  leakage: Leakage, limit: float, *, num_samples: int, num_draws: int
) -> dict[str, int] | None:
  """Return how many samples, or draws, would decide what is open.

  Intervals shrink with the root of their number.

  Args:
    leakage: what was found.
    limit: leakage that is allowed, as a share.
    num_samples: samples that were scored.
    num_draws: draws of auxiliary samples, of all networks.

  Returns:
    'samples' and 'draws'; None if the figure lies on the limit, so that no
    number would decide.

  Example:
    >>> open_ = Leakage('chance', 0.03, -0.01, 0.07)
    >>> needed(open_, 0.05, num_samples=100, num_draws=10)
    {'samples': 410, 'draws': 41}
  """
  gap = abs(leakage.mean - limit)
  if gap < 1e-6:
    return None
  reach = leakage.high - leakage.mean
  if leakage.mean > limit:
    reach = leakage.mean - leakage.low
  factor = max((1.01 * reach / gap) ** 2, 1.0)
  return {
    'samples': _two_digits(factor * num_samples),
    'draws': _two_digits(factor * num_draws),
  }


def _two_digits(number: float) -> int:
  """Round up to two digits: more would pretend to be known."""
  scale = 10 ** max(math.floor(math.log10(max(number, 1))) - 1, 0)
  return math.ceil(number / scale) * scale
