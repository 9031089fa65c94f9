"""What an audit says of each attack agrees with what it says of all."""

import numpy as np
import pytest

from splitjax.auditing import content
from splitjax.auditing import judging
from splitjax.auditing import material
from splitjax.auditing import preparing
from splitjax.auditing.attacking import Read
from splitjax.auditing.options import Options
from splitjax.auditing.places import Place
from splitjax.auditing.result import AuditResult
from splitjax.metrics import Figure
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase

LABELS = np.arange(40) % 2
MEASURES = ('accuracy', 'balanced_accuracy')
PLACES = (
  Place(Phase.TRAINING, Name.SMASHED),
  Place(Phase.INFERENCE, Name.SMASHED),
)


def _prepared():
  rows = np.random.default_rng(0).normal(size=(40, 3))
  run = material.from_arrays(
    {
      'smashed': rows,
      'labels': LABELS,
      'test_smashed': rows[:12],
      'test_labels': LABELS[:12],
    }
  )
  return preparing.prepare([run], Options(num_aux_draws=3))


def _figure(rng, mean, spread):
  values = np.clip(mean + spread * rng.normal(size=(1, 3)), 0, 1)
  deleted = np.clip(values + 0.01 * rng.normal(size=(30, 1, 3)), 0, 1)
  return Figure(values, deleted)


def _audit(rng, prepared):
  reads = []
  for place in PLACES:
    size = 40 if place.phase == Phase.TRAINING else 12
    for attack in ('distance', 'clustering'):
      figures = {
        name: _figure(
          rng, rng.uniform(0.4, 0.75), rng.choice([0.001, 0.02, 0.2])
        )
        for name in MEASURES
      }
      recall = tuple(figures.values())
      labels = LABELS[:size]
      confusion = np.array([[30, 10], [10, 30]])
      reads.append(
        Read(place, attack, figures, confusion, recall, labels, size)
      )
  guesses = {
    place.phase: {'chance': {name: _figure(rng, 0.5, 0) for name in MEASURES}}
    for place in PLACES
  }
  limit = float(rng.choice([5, 20]))
  finding = judging.judge(
    reads, guesses, MEASURES, limit=limit / 100, level=0.95
  )
  options = Options(limit=limit, num_aux_draws=3)
  return finding, AuditResult(
    content.make(prepared, options, reads, finding, [])
  )


def test_leakage_of_each_attack_shows_its_verdict():
  """Also where two measures are judged, and another attack decides for all."""
  prepared, seen = _prepared(), set()
  for case in range(300):
    _, result = _audit(np.random.default_rng(case), prepared)
    limit, attacks = result.content['limit'], result.content['attacks']
    for one in attacks:
      low, high = one['leakage']['low'], one['leakage']['high']
      open_ = {'fail': low > limit, 'pass': high < limit}
      assert open_.get(one['verdict'], low <= limit <= high)
      seen.add((result.verdict, one['verdict']))
    verdicts = [one['verdict'] for one in attacks]
    worst = min(verdicts, key=['fail', 'inconclusive', 'pass'].index)
    assert result.verdict == worst
    assert result.content['leakage'] in [one['leakage'] for one in attacks]
  assert {('fail', 'fail'), ('fail', 'inconclusive')} <= seen


def test_needed_samples_are_of_the_part_that_decides():
  prepared, seen = _prepared(), set()
  for case in range(300):
    finding, result = _audit(np.random.default_rng(case), prepared)
    needed, read = result.content['needed'], finding.deciding.read
    assert (needed is None) == (result.verdict != 'inconclusive')
    if needed and 'samples' in needed:
      # Two digits, rounded up: of samples and of draws alike.
      ratio = needed['samples'] / needed['draws'] * 3 / len(read.labels)
      assert 0.85 < ratio < 1.15 or needed['draws'] < 20
      seen.add(read.place.phase)
  assert seen == {Phase.TRAINING, Phase.INFERENCE}


@pytest.mark.parametrize('values', [[[np.nan, 0.5]], [[np.nan, np.nan]]])
def test_figures_that_some_trials_lack_have_no_interval(values):
  found = content.figure_of(Figure(np.array(values)), 'accuracy', 0.95)
  mean = 50.0 if 0.5 in values[0] else None
  assert found == {'mean': mean, 'low': None, 'high': None}
