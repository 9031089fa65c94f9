"""Verdict, exit status, JSON, JUnit and page come from one object."""

import json
from xml.etree import ElementTree

import numpy as np

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
from splitjax.reports import audit_page

CASES = 1000
LABELS = np.arange(40) % 2


def _prepared():
  run = material.from_arrays(
    {
      'cut_grads': np.random.default_rng(0).normal(size=(40, 3)),
      'labels': LABELS,
    }
  )
  return preparing.prepare([run], Options(num_aux_draws=3))


def _figure(rng, mean, spread):
  values = np.clip(mean + spread * rng.normal(size=(1, 3)), 0, 1)
  deleted = np.clip(values + 0.01 * rng.normal(size=(30, 1, 3)), 0, 1)
  return Figure(values, deleted)


def _read(rng, place, attack):
  figures = {
    'accuracy': _figure(
      rng, rng.uniform(0.5, 1), rng.choice([0.001, 0.02, 0.2])
    )
  }
  recall = (figures['accuracy'], figures['accuracy'])
  confusion = np.array([[30, 10], [10, 30]])
  return Read(place, attack, figures, confusion, recall, LABELS, 38)


def _audit(rng, prepared):
  places = [
    Place(Phase.TRAINING, Name.CUT_GRADS, 1),
    Place(Phase.TRAINING, Name.SMASHED),
    Place(Phase.TRAINING, Name.RAW_INPUTS),
  ]
  reads = [
    _read(rng, place, attack)
    for place in places[: rng.integers(1, 4)]
    for attack in ('strongest', 'distance')[: rng.integers(1, 3)]
  ]
  guesses = {
    Phase.TRAINING: {
      name: {'accuracy': _figure(rng, 0.5, 0)}
      for name in ('majority', 'chance')
    }
  }
  limit = float(rng.choice([0, 5, 30, 60]))
  options = Options(limit=limit, num_aux_draws=3)
  finding = judging.judge(
    reads, guesses, ('accuracy',), limit=limit / 100, level=0.95
  )
  made = content.make(
    prepared, options, reads, finding, [('smashed data', 'not given')]
  )
  return finding, AuditResult(made)


def test_verdict_status_json_junit_and_page_agree():
  prepared = _prepared()
  seen = set()
  for case in range(CASES):
    finding, result = _audit(np.random.default_rng(case), prepared)
    seen.add(result.verdict)
    saved = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert saved['verdict'] == result.verdict == finding.verdict
    assert (
      result.exit_status
      == {'pass': 0, 'fail': 1, 'inconclusive': 3}[result.verdict]
    )
    assert f'{result.verdict.upper()}: ' in result.summary()
    assert audit_page.check_verdict(saved) is None
    suite = ElementTree.fromstring(result.to_junit().partition('\n')[2])
    failures, errors = (int(suite.get(x)) for x in ('failures', 'errors'))
    assert len(suite.findall('.//failure')) == failures
    assert (failures > 0) == (result.verdict == 'fail')
    if result.verdict == 'pass':
      assert errors == 0
    if result.verdict == 'inconclusive':
      assert errors > 0
    low, high = saved['leakage']['low'], saved['leakage']['high']
    if result.verdict == 'fail':
      assert low > saved['limit']
    elif result.verdict == 'pass':
      assert high < saved['limit']
    else:
      assert low <= saved['limit'] <= high
  assert seen == {'pass', 'fail', 'inconclusive'}
