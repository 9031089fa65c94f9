"""Canaries of an audit: how they are given, and what they show."""

import csv
import json

import numpy as np
import pytest

import splitjax
from splitjax.auditing import canaries
from splitjax.auditing import command
from splitjax.errors import ConfigError

NUM, CLASSES = 300, 3
FAST = dict(attacks=['distance', 'clustering'], num_aux_draws=2)


def _given(seed=0, noise=0.1, num_canaries=200):
  """Returns gradients, labels and canaries, half of which are mislabelled."""
  rng = np.random.default_rng(seed)
  true = rng.permutation(np.arange(NUM) % CLASSES)
  ids = rng.permutation(NUM)[:num_canaries]
  other = (true[ids] + rng.integers(1, CLASSES, num_canaries)) % CLASSES
  labels = true.copy()
  labels[ids] = np.where(rng.integers(2, size=num_canaries), other, true[ids])
  means = 3 * np.random.default_rng(5).normal(size=(CLASSES, 4))
  grads = means[labels] + noise * rng.normal(size=(NUM, 4))
  return grads, labels, np.stack([ids, true[ids], other], axis=1), true


def test_gradients_that_say_all_show_what_the_canaries_can():
  grads, labels, rows, _ = _given()
  result = splitjax.audit(grads, labels, canaries=rows, **FAST)
  found = result.content['canaries']
  assert found['number'] == 200
  # All right, of three quarters of them.
  limit = 0.05 ** (1 / 150)
  assert found['epsilon_limit'] == pytest.approx(
    np.log(limit / (1 - limit)), abs=1e-4
  )
  assert found['epsilon_lower'] == found['epsilon_limit']
  assert 'By 200 canaries, epsilon of a label is at least' in result.summary()
  attacks = result.content['attacks']
  assert all(x['canary_advantage']['mean'] == 50 for x in attacks)
  # Of two attacks, each shows less.
  assert 0 < attacks[0]['epsilon_lower']['mean'] < found['epsilon_lower']
  assert 'epsilon_lower' in set(result.to_dataframe()['measure'])


def test_what_inputs_say_of_the_true_class_is_no_epsilon():
  _, labels, rows, true = _given()
  vectors = np.eye(CLASSES)[true] + 0.01  # What a good model makes of them.
  found = splitjax.audit(
    None, labels, smashed=vectors, canaries=rows, **FAST
  ).content
  assert found['canaries']['epsilon_lower'] < 0.3
  # Of others, all is read.
  assert found['strongest']['accuracy']['mean'] == 100


def test_canaries_are_neither_known_nor_scored():
  grads, labels, rows, _ = _given()
  grads[rows[:, 0]] = 1e3  # They would be read wrongly.
  found = splitjax.audit(grads, labels, canaries=rows, **FAST).content
  assert found['strongest']['accuracy']['mean'] == 100


def test_labels_may_be_text_and_the_order_is_free():
  grads, labels, rows, _ = _given(noise=2.0)
  expected = splitjax.audit(grads, labels, canaries=rows, **FAST).content
  names = np.array(['ant', 'bee', 'cat'])
  text = np.concatenate([rows[:, :1].astype(str), names[rows[:, 1:]]], axis=1)
  kwargs = dict(canaries=text[:, [0, 2, 1]], **FAST)
  found = splitjax.audit(grads, names[labels], **kwargs).content
  assert found['canaries'] == expected['canaries']
  assert 0.5 < found['canaries']['epsilon_lower'] < 3


def test_several_runs_need_coins_of_their_own():
  one, two = ((*x,) for x in (_given(seed=0), _given(seed=0, noise=0.2)))
  runs = [dict(cut_grads=x[0], labels=x[1]) for x in (one, two)]
  with pytest.raises(ConfigError, match='flipped anew for each run'):
    splitjax.audit(runs=runs, canaries=one[2], **FAST)
  rng = np.random.default_rng(1)
  ids, first, second = one[2].T
  labels = one[1].copy()
  labels[ids] = np.where(rng.integers(2, size=len(ids)), first, second)
  runs[1] = dict(cut_grads=10 * np.eye(4)[labels], labels=labels)
  found = splitjax.audit(runs=runs, canaries=one[2], **FAST).content
  assert found['canaries']['number'] == 400


def test_a_command_writes_what_they_show(tmp_path, capsys):
  grads, labels, rows, _ = _given()
  flags = []
  for name, array in dict(
    cut_grads=grads, labels=labels, canaries=rows
  ).items():
    np.save(tmp_path / f'{name}.npy', array)
    flags.append(f'--{name}={tmp_path}/{name}.npy')
  out_dir = tmp_path / 'audit'
  flags += ['--attacks=distance', f'--out_dir={out_dir}', '--num_aux_draws=1']
  assert command.main([*flags, '--compilation_cache=']) == 1
  assert 'By 200 canaries' in capsys.readouterr().out
  content = json.loads((out_dir / 'audit.json').read_text())
  assert content['canaries']['attack'] == 'distance'
  assert f'{tmp_path}/canaries.npy' in content['digests']
  with open(out_dir / 'results.csv', newline='') as file:
    measures = {row['measure'] for row in csv.DictReader(file)}
  assert {'epsilon_lower', 'canary_advantage'} <= measures
  assert 'By 200 canaries' in (out_dir / 'report.html').read_text()


_ROWS = np.stack([np.arange(9), np.zeros(9, int), np.ones(9, int)], axis=1)


@pytest.mark.parametrize(
  ('rows', 'message'),
  [
    (_ROWS[:, :2], 'canaries=9,2: expected 8 rows or more'),
    (_ROWS[:3], 'canaries=3,3: expected 8 rows or more'),
    (_ROWS + 0.5, 'expected an id, a whole number'),
    (np.full((9, 3), 'a'), 'expected an id, a whole number'),
    (_ROWS.astype(str)[:, [1, 0, 2]], 'expected each sample once'),
    (_ROWS[:, [0, 1, 1]], 'expected two different labels'),
    (_ROWS + [[1000, 0, 0]], 'canaries=sample 1000: expected samples that'),
    (_ROWS + [[0, 0, 8]], 'canaries=9: expected labels that occur'),
    (_ROWS.astype('U9'), 'expected its label, 2, among its candidates'),
  ],
)
def test_bad_canaries_are_one_line(rows, message):
  grads, labels, *_ = _given()
  labels[:9] = [0, 1, 0, 1, 0, 1, 0, 1, 2 if rows.dtype.kind == 'U' else 0]
  with pytest.raises(ConfigError, match=message):
    splitjax.audit(grads, labels, canaries=rows, **FAST)


def test_real_targets_and_too_many_canaries_are_refused():
  grads, labels, rows, _ = _given()
  with pytest.raises(ConfigError, match='targets are real'):
    kwargs = dict(canaries=rows, target='real', num_aux=5)
    splitjax.audit(grads, labels.astype(float), **kwargs)
  with pytest.raises(ConfigError, match='2 others of each class are left'):
    grads, labels, rows, _ = _given(num_canaries=NUM)
    splitjax.audit(grads, labels, canaries=rows, **FAST)
  assert canaries.read(None) is None
