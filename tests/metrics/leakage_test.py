"""Verdicts against a slow loop over all pairs of reads and baselines."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from splitjax import metrics
from splitjax.metrics import Figure
from splitjax.metrics import Leakage
from splitjax.metrics import intervals


def _figure(rng, size, spread, groups=6):
  values = rng.uniform(0, 1) + spread * rng.normal(size=size)
  values = np.clip(values, 0, 1)
  deleted = values + 0.1 * spread * rng.normal(size=(groups, *size))
  return Figure(values, np.clip(deleted, 0, 1))


def _slow(reads, baselines, limit, level):
  """Returns verdict, deciding index, and ends, pair by pair."""
  number = sum(map(len, baselines))
  lows, highs, means = [], [], []
  for read, of_read in zip(reads, baselines, strict=True):
    pairs = []
    for one in of_read.values():
      low, high = intervals.interval(
        read.values - one.values,
        read.deleted - one.deleted,
        bounds=(-1, 1),
        level=1 - (1 - level) / number,
      )
      pairs.append(((read.values - one.values).mean(), low, high))
    for found, ends in zip(
      (means, lows, highs), zip(*pairs, strict=True), strict=True
    ):
      found.append(min(ends))
  if any(low > limit for low in lows):
    return 'fail', lows.index(max(lows)), means, lows, highs
  passes = all(high < limit for high in highs)
  verdict = 'pass' if passes else 'inconclusive'
  return verdict, highs.index(max(highs)), means, lows, highs


@hypothesis.given(
  seed=st.integers(0, 2**32 - 1),
  num_reads=st.integers(1, 4),
  num_baselines=st.integers(1, 3),
  size=st.sampled_from([(1, 2), (1, 5), (2, 1), (3, 2)]),
  spread=st.sampled_from([1e-4, 0.02, 0.3]),
  limit=st.sampled_from([0.0, 0.05, 0.3]),
  level=st.sampled_from([0.5, 0.95, 0.999]),
)
@hypothesis.settings(max_examples=200)
def test_judgement_is_that_of_a_slow_loop(
  seed, num_reads, num_baselines, size, spread, limit, level
):
  rng = np.random.default_rng(seed)
  reads = [_figure(rng, size, spread) for _ in range(num_reads)]
  baselines = [
    {f'b{x}': _figure(rng, size, spread) for x in range(num_baselines)}
    for _ in reads
  ]
  found = metrics.judge(reads, baselines, limit=limit, level=level)
  verdict, deciding, means, lows, highs = _slow(reads, baselines, limit, level)
  assert (found.verdict, found.deciding) == (verdict, deciding)
  for one, of_read, *ends in zip(
    found.leakages, baselines, means, lows, highs, strict=True
  ):
    np.testing.assert_allclose((one.mean, one.low, one.high), ends, atol=1e-12)
    best = max(of_read, key=lambda name: of_read[name].values.mean())  # noqa: B023
    assert one.baseline == best
    assert -1 <= one.low <= one.high <= 1


@hypothesis.given(seed=st.integers(0, 2**32 - 1))
def test_more_baselines_or_attacks_never_turn_to_fail_or_pass(seed):
  """They widen the intervals of what was judged before."""
  rng = np.random.default_rng(seed)
  read, first, second = (_figure(rng, (1, 4), 0.1) for _ in range(3))
  alone = metrics.judge([read], [{'a': first}], limit=0.05)
  more = metrics.judge([read], [{'a': first, 'b': second}], limit=0.05)
  assert more.leakages[0].low <= alone.leakages[0].low
  if alone.verdict != 'fail':
    assert more.verdict != 'fail'
  again = metrics.judge([read, read], [{'a': first}] * 2, limit=0.05)
  if alone.verdict == 'inconclusive':
    assert again.verdict == 'inconclusive'


def test_trials_are_paired():
  """What varies alike in both is no doubt about the difference."""
  shared = np.array([[0.0, 0.3, -0.2, 0.1, 0.25]])
  reads = [Figure(0.6 + shared)]
  paired = metrics.judge(reads, [{'a': Figure(0.5 + shared)}], limit=0.05)
  shuffled = metrics.judge(
    reads, [{'a': Figure(0.5 + shared[:, ::-1])}], limit=0.05
  )
  assert (paired.verdict, shuffled.verdict) == ('fail', 'inconclusive')
  flat = metrics.judge(
    [Figure(0.6 + shared.reshape(5, 1))],
    [{'a': Figure(0.5 + shared)}],
    limit=0.05,
  )
  assert flat.verdict == 'fail'


def test_one_trial_of_few_samples_decides_nothing():
  one = Figure(np.array([[0.9]]))
  found = metrics.judge([one], [{'a': Figure(np.array([[0.1]]))}], limit=0.05)
  assert found.verdict == 'inconclusive'
  assert (found.leakages[0].low, found.leakages[0].high) == (-1, 1)


def test_nothing_to_judge_or_to_compare_with_is_refused():
  one = Figure(np.ones((1, 2)))
  for reads, baselines in (([], []), ([one], [{}]), ([one, one], [{'a': one}])):
    with pytest.raises(ValueError):
      metrics.judge(reads, baselines, limit=0.05)


@hypothesis.given(
  mean=st.floats(-0.5, 0.9),
  reach=st.floats(0.001, 0.5),
  limit=st.sampled_from([0.0, 0.05, 0.2]),
)
def test_needed_numbers_shrink_the_interval_to_the_limit(mean, reach, limit):
  leakage = Leakage('a', mean, mean - reach, mean + reach)
  found = metrics.needed(leakage, limit, num_samples=100, num_draws=10)
  if found is None:
    assert abs(mean - limit) < 1e-6
    return
  assert found['samples'] >= 100 and found['draws'] >= 10
  left = reach * np.sqrt(100 / found['samples'])
  assert left <= max(abs(mean - limit), 0) or reach < abs(mean - limit)
  if found['samples'] > 100:  # And hardly more than that.
    fewer = reach * np.sqrt(100 / (0.85 * found['samples']))
    assert fewer > abs(mean - limit)


@hypothesis.given(st.lists(st.integers(1, 1000), min_size=2, max_size=6))
def test_classes_are_weighted_alike_where_one_is_large(sizes):
  found = metrics.judged_by(np.array(sizes))
  large = max(sizes) / (sum(sizes) / len(sizes)) > 1.5
  assert ('balanced_accuracy' in found) == large
  assert found[0] == 'accuracy'
  assert metrics.judged_by(None) == ('r2',)
