import re
import shutil

import numpy as np
import pytest

import splitjax
from splitjax import engine
from splitjax.auditing import comparing
from splitjax.engine import verdicts


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  folder = tmp_path_factory.mktemp('runs')
  labels = np.arange(60) % 2
  noise = np.random.default_rng(0).normal(size=(60, 3))
  for name, signal in (('before', 9.0), ('after', 0.0)):
    (folder / name).mkdir()
    grads = signal * (2 * labels - 1)[:, None] + noise
    splitjax.audit(grads, labels, attacks=['distance'], num_aux_draws=3).save(
      folder / name / 'audit.json'
    )
  config = engine.Config(
    num_train=120,
    num_test=40,
    epochs=1,
    num_seeds=1,
    num_aux_draws=6,
    attacks=('distance',),
  )
  engine.run(config, out_dir=folder / 'run')
  return folder


def test_audits_are_compared_with_the_first(folders, capsys):
  names = [str(folders / x) for x in ('before', 'after')]
  assert comparing.main([*names, f'--out_dir={folders}/page']) == 0
  text = capsys.readouterr().out
  assert 'FAIL' in text and 'INCONCLUSIVE' in text
  assert (folders / 'page' / 'compare.html').exists()


def test_runs_of_the_engine_are_compared_too(folders, capsys):
  assert comparing.main([str(folders / 'run')]) == 0
  assert 'FAIL' in capsys.readouterr().out


def test_results_that_were_changed_are_not_compared(folders, tmp_path, capsys):
  run = shutil.copytree(folders / 'run', tmp_path / 'run')
  lines = run / 'results.jsonl'
  lines.write_text(re.sub('"mean": [0-9.]+', '"mean": 0.1', lines.read_text()))
  assert comparing.main([str(run)]) == 2
  error = capsys.readouterr().err
  assert error.count('\n') == 1 and 'results.jsonl is damaged' in error
  (run / 'config.json').write_text('{')
  assert comparing.main([str(run)]) == 2
  assert 'config.json' in capsys.readouterr().err


def test_what_is_no_run_is_refused_in_one_line(folders, tmp_path, capsys):
  for run in (tmp_path / 'none', tmp_path):
    assert comparing.main([str(run)]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'error' in error
  twice = str(folders / 'before')
  assert comparing.main([twice, twice]) == 2
  assert 'each run once' in capsys.readouterr().err


def test_verdict_of_a_run_is_that_of_its_rows(folders):
  config = engine.Config(
    num_train=120,
    num_test=40,
    epochs=1,
    num_seeds=1,
    num_aux_draws=6,
    attacks=('distance',),
  )
  result = engine.run(config, out_dir=folders / 'run')
  found = verdicts.judge(result.rows())
  assert found['verdict'] == 'fail'
  assert found['summary'] in result.summary()
  best = max(
    row['mean']
    for row in result.rows()
    if row['intermediate'] == 'raw_inputs' and row['measure'] == 'accuracy'
  )
  read = found['strongest']['accuracy']['mean'] / 100
  assert found['leakage']['mean'] / 100 <= read - best + 1e-9
