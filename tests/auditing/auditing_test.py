"""The audit as a whole: the same numbers, however they are given."""

import json
from xml.etree import ElementTree

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import splitjax
from splitjax import engine
from splitjax.auditing import command
from splitjax.auditing.result import AuditResult
from splitjax.engine import problems
from splitjax.errors import ConfigError
from splitjax.records import CutWriter
from splitjax.records import load_record
from splitjax.records.viewing import rows_of

NUM, CLASSES, WIDTH = 90, 3, 5
FAST = dict(attacks=['distance'], num_aux_draws=4)


def _arrays(seed=0, noise=1.5):
  rng = np.random.default_rng(seed)
  labels = rng.permutation(np.arange(NUM) % CLASSES)
  means = rng.normal(size=(CLASSES, WIDTH))
  grads = means[labels] + noise * rng.normal(size=(NUM, WIDTH))
  # Few bits, so that all floating types hold them.
  return (grads * 8).round() / 8, labels


def _read(*args, **kwargs):
  """Returns what an audit found, apart from where it found it."""
  content = splitjax.audit(*args, **FAST, **kwargs).to_dict()
  for name in ('seconds', 'digests'):
    content.pop(name)
  for name in ('files', 'notes'):
    content['audited'].pop(name)
  return content


def test_types_and_byte_orders_of_the_same_numbers_are_the_same():
  grads, labels = _arrays()
  expected = _read(grads, labels)
  for dtype in ('>f8', '<f4', '>f4', 'f2', ml_dtypes.bfloat16):
    assert _read(grads.astype(dtype), labels) == expected
  assert _read(jnp.asarray(grads), jnp.asarray(labels)) == expected
  assert _read(grads.reshape(NUM, 1, WIDTH), labels) == expected


@pytest.mark.parametrize('scale', [2.0**900, 2.0**-900, 2.0**-70, 2.0**70])
def test_scale_of_the_numbers_changes_nothing(scale):
  grads, labels = _arrays()
  expected = _read(grads, labels)['leakage']
  found = _read(scale * grads, labels)['leakage']
  assert found['mean'] == pytest.approx(expected['mean'], abs=0.3)


def test_arrays_of_zeros_say_nothing():
  found = splitjax.audit(np.zeros((30, 4)), np.arange(30) % 3, **FAST)
  assert found.verdict == 'inconclusive'
  assert 'picture' not in found.content


def test_labels_may_be_columns_one_hot_text_or_bytes():
  grads, labels = _arrays()
  names = np.array(['ant', 'bee', 'cat'])
  expected = _read(grads, labels)
  for given in (labels[:, None], labels.astype('>i8'), labels.astype(float)):
    assert _read(grads, given) == expected
  assert _read(grads, np.eye(CLASSES)[labels]) == expected
  assert _read(grads, labels.tolist()) == expected
  named = _read(grads, labels, class_names=names.tolist())
  assert _read(grads, names[labels])['recall'] == named['recall']
  assert _read(grads, names[labels].astype('S'))['recall'] == named['recall']


def test_rows_may_come_in_any_order_with_their_ids():
  grads, labels = _arrays()
  expected = _read(grads, labels)
  order = np.random.default_rng(1).permutation(NUM)
  shuffled = _read(grads[order], labels, sample_ids=order)
  assert shuffled == expected
  wrong = _read(grads[order], labels)
  assert wrong['leakage']['mean'] < shuffled['leakage']['mean']


def test_labels_by_row_where_ids_are_no_places():
  grads, labels = _arrays()
  ids = 1000 + np.arange(NUM)[::-1]
  by_row = _read(grads, labels, sample_ids=ids)['leakage']
  backwards = _read(grads[::-1], labels[::-1])['leakage']
  # Which samples are left out together for an interval goes by id.
  assert by_row['mean'] == backwards['mean']


def test_passes_in_other_orders_are_joined_by_id():
  grads, labels = _arrays()
  other = _arrays(noise=0.5)[0]
  order = np.random.default_rng(1).permutation(NUM)
  aligned = _read([grads, other], labels)
  joined = _read(
    [grads, other[order]], labels, sample_ids=[np.arange(NUM), order]
  )
  assert joined == aligned
  assert aligned['audited']['passes'] == 2
  assert {x['num_passes'] for x in aligned['attacks']} == {1, 2}


def test_shards_and_files_give_what_arrays_give(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  grads, labels = _arrays()
  np.save('g-2.npy', grads[:40])
  np.save('g-10.npy', grads[40:])
  np.savez('both.npz', g=grads, y=labels)
  np.save('y.npy', labels)
  expected = _read(grads, labels)
  assert _read('g-*.npy', 'y.npy') == expected
  assert _read('both.npz:g', 'both.npz:y') == expected
  for name in ('pass-1.npy', 'pass-2.npy'):
    np.save(name, grads)
  assert _read('pass-*.npy', 'y.npy') == _read([grads, grads], labels)


def test_cut_records_give_what_arrays_give(tmp_path):
  grads, labels = _arrays()
  order = np.random.default_rng(1).permutation(NUM)
  with CutWriter(tmp_path / 'cut') as writer:
    for rows in np.split(order, 3):
      writer.append(
        7 * rows + 5,  # Ids may be any numbers.
        cut_grads=grads[rows],
        inputs=grads[rows],
        labels=labels[rows],
      )
  steps = np.empty(NUM, int)
  steps[order] = np.repeat(np.arange(3), NUM // 3)
  found = _read(record=tmp_path / 'cut')
  given = _read(grads, labels, inputs=grads, steps=steps)
  assert found == given


@pytest.mark.slow
def test_an_audit_reads_what_the_engine_reads_of_the_same_arrays(tmp_path):
  config = engine.Config(
    num_train=120,
    num_test=40,
    epochs=1,
    num_seeds=1,
    num_aux_draws=4,
    attacks=('distance',),
    intermediates=('cut_grads',),
  )
  rows = engine.run(config, out_dir=tmp_path / 'run', save_records=True).rows()
  (expected,) = (
    row
    for row in rows
    if row['intermediate'] == 'cut_grads' and row['measure'] == 'accuracy'
  )
  dataset = problems.check(config).dataset
  (folder,) = (tmp_path / 'run' / 'records').glob('*cut_grads*')
  record = load_record(folder)
  order = rows_of(dataset.train_ids, record.sample_ids)[0]
  found = _read(record.vectors[order], dataset.train_labels)
  read = found['attacks'][0]['accuracy']
  assert read['mean'] == pytest.approx(100 * expected['mean'], abs=1e-3)
  assert read['low'] == pytest.approx(100 * expected['ci_low'], abs=1.5)
  # The folder itself, whose rows are in the order of the training.
  labels = np.zeros(record.sample_ids.max() + 1, int)
  labels[dataset.train_ids] = dataset.train_labels
  as_folder = _read(record=folder, labels=labels)
  assert as_folder['audited']['samples'] == 120


def test_nothing_leaks_where_inputs_are_what_crossed():
  grads, labels = _arrays(noise=0.3)
  found = _read(smashed=grads, inputs=grads, labels=labels)
  assert found['leakage']['mean'] <= 0
  assert found['verdict'] != 'fail'
  assert found['baseline']['name'] == 'distance on raw inputs'


def test_rare_classes_cannot_hide_a_leak():
  labels = (np.arange(400) % 50 == 0).astype(int)
  grads = np.where(labels == 1, -1.0, 1.0)[:, None] * np.ones((400, 4))
  found = _read(grads, labels, limit=5)
  assert found['measure'] == 'balanced_accuracy'
  assert found['verdict'] == 'fail'
  assert found['leakage']['mean'] == pytest.approx(50)


def test_classes_that_cannot_be_known_are_left_out_and_said():
  grads, labels = _arrays()
  labels = labels.copy()
  labels[0] = 7
  found = splitjax.audit(grads, labels, **FAST).content['audited']
  assert found['class_names'] == ['0', '1', '2']
  assert found['samples'] == NUM - 1
  assert any('left out: 7' in note for note in found['notes'])


def test_truth_of_unknown_samples_changes_no_prediction():
  grads, labels = _arrays()
  known = splitjax.audit(grads, labels, **FAST, seed=3)
  again = splitjax.audit(grads, labels.copy(), **FAST, seed=3)
  assert known.content['confusion'] == again.content['confusion']


def test_real_targets_are_judged_by_explained_variance():
  rng = np.random.default_rng(0)
  grads = rng.normal(size=(200, 4))
  found = splitjax.audit(
    grads, grads @ [1.0, -2.0, 0.5, 0.1], attacks=['ridge'], num_aux_draws=3
  )
  assert found.content['measure'] == 'r2'
  assert found.verdict == 'fail'
  assert 'explains' in found.summary()


def test_test_part_is_read_from_known_training_samples():
  grads, labels = _arrays(noise=0.2)
  found = _read(
    smashed=grads,
    labels=labels,
    test_smashed=grads[:50],
    test_labels=labels[:50],
  )
  phases = {x['phase'] for x in found['attacks']}
  assert phases == {'training', 'inference'}
  assert found['audited']['test_samples'] == 50


def test_runs_are_networks():
  names = ('cut_grads', 'labels')
  runs = [dict(zip(names, _arrays(s), strict=True)) for s in (0, 1)]
  found = splitjax.audit(runs=runs, **FAST)
  assert found.content['audited']['runs'] == 2
  assert found.content['population'] == 'fresh networks, draws and samples'


@pytest.mark.parametrize(
  ('given', 'field'),
  [
    (dict(cut_grads=None, labels=[0, 1]), 'cut_grads'),
    (dict(cut_grads=np.ones((4, 2)), labels=None), 'labels'),
    (dict(cut_grads=np.ones((4, 2)), labels=[0, 1, 0]), 'cut_grads'),
    (dict(cut_grads=np.ones((4, 2)), labels=[1, 1, 1, 1]), 'labels'),
    (dict(cut_grads=np.full((4, 2), np.nan), labels=[0, 1, 0, 1]), 'cut_grads'),
    (dict(cut_grads='none.npy', labels=[0, 1]), 'cut_grads'),
    (
      dict(cut_grads=np.array([['a', 'b']] * 4), labels=[0, 1] * 2),
      'cut_grads',
    ),
    (dict(cut_grads=np.ones((4, 2)), labels=[[1, 1], [0, 1]] * 2), 'labels'),
    (dict(cut_grads=np.ones((4, 2)), labels=[0, 1] * 2, limit=-1), 'limit'),
    (dict(cut_grads=np.ones((4, 2)), labels=[0, 1] * 2, limt=3), 'limt'),
    (dict(runs=[3]), 'runs'),
    (dict(runs=[dict(cut_grad=np.ones((4, 2)))]), 'runs'),
    (
      dict(cut_grads=np.ones((9, 2)), labels=[0, 1, 2] * 3, max_numbers=3),
      'max_numbers',
    ),
    (dict(cut_grads=np.ones((4, 2)), labels=[0, 1] * 2, num_aux=9), 'num_aux'),
    (
      dict(
        cut_grads=np.ones((4, 2)), labels=[0, 1] * 2, sample_ids=[0, 1, 1, 2]
      ),
      'sample_ids',
    ),
    (
      dict(cut_grads=np.ones((4, 2)), labels=[0, 1] * 2, attacks=['magic']),
      'attacks',
    ),
    (
      dict(
        smashed=np.ones((4, 2)), labels=[0, 1] * 2, test_smashed=np.ones((4, 2))
      ),
      'test_labels',
    ),
  ],
)
def test_what_cannot_be_audited_is_refused_by_name(given, field):
  with pytest.raises(ConfigError) as caught:
    splitjax.audit(**given)
  assert caught.value.field == field
  assert '\n' not in str(caught.value)


@pytest.fixture(scope='module')
def written(tmp_path_factory):
  folder = tmp_path_factory.mktemp('written')
  grads, labels = _arrays(noise=0.2)
  np.save(folder / 'g.npy', grads)
  np.save(folder / 'y.npy', labels)
  status = command.main(
    [
      f'--cut_grads={folder}/g.npy',
      f'--labels={folder}/y.npy',
      '--attacks=distance',
      '--num_aux_draws=4',
      f'--out_dir={folder}/out',
      '--quiet',
    ]
  )
  return folder, status


def test_files_status_and_words_say_the_same(written, capsys):
  folder, status = written
  result = AuditResult.load(folder / 'out')
  assert (status, result.exit_status, result.verdict) == (1, 1, 'fail')
  suite = ElementTree.parse(folder / 'out' / 'junit.xml').getroot()
  assert int(suite.get('failures')) >= 1
  assert int(suite.get('tests')) == len(suite.findall('testcase'))
  page = (folder / 'out' / 'report.html').read_text()
  assert 'FAIL' in page and result.summary().split(';')[0] in page
  for name in ('leakage.png', 'leakage.svg', 'results.csv'):
    assert (folder / 'out' / name).stat().st_size > 0
  frame = result.to_dataframe()
  read = frame[(frame.measure == 'accuracy') & frame.leaks]
  assert read['mean'].iloc[0] == result.content['strongest']['accuracy']['mean']


def test_results_are_saved_and_loaded(written, tmp_path):
  folder, _ = written
  result = AuditResult.load(folder / 'out')
  result.save(tmp_path / 'again.json')
  assert AuditResult.load(tmp_path / 'again.json') == result
  (tmp_path / 'bad.json').write_text(json.dumps({'format': 'other'}))
  with pytest.raises(ValueError, match='must be an audit'):
    AuditResult.load(tmp_path / 'bad.json')


@pytest.mark.parametrize(
  ('flags', 'text'),
  [
    (['--cut_grad=g.npy'], 'did you mean --cut_grads?'),
    (['--cut_grads=g.npy', '--labels=no.npy'], '--labels=no.npy: expected'),
    (['--cut_grads=g.npy', '--limit=x'], '--limit=x: expected a number'),
    (['--audit=no.toml'], '--audit=no.toml: expected a file'),
    (['--record=no'], '--record=no: expected a folder'),
  ],
)
def test_errors_of_use_are_one_line_and_status_2(flags, text, capsys):
  try:
    status = command.main(flags)
  except SystemExit as left:
    status = left.code
  error = capsys.readouterr().err
  assert status == 2
  assert error.count('\n') == 1 and text in error


@pytest.mark.slow
def test_files_of_an_audit_hold_the_flags(written, tmp_path):
  folder, _ = written
  (folder / 'audit.toml').write_text(
    'cut_grads = "g.npy"\nlabels = "y.npy"\nattacks = ["distance"]\n'
    'num_aux_draws = 4\n'
  )
  (folder / 'audit.yaml').write_text(
    'cut_grads: g.npy\nlabels: y.npy\nattacks: [distance]\nnum_aux_draws: 4\n'
  )
  for name in ('audit.toml', 'audit.yaml'):
    out = tmp_path / name
    assert command.main(
      [f'--audit={folder}/{name}', f'--out_dir={out}', '--quiet']
    ) == (1)
    found = AuditResult.load(out).content
    assert found['leakage'] == AuditResult.load(folder / 'out').leakage


def test_pickles_are_not_read(tmp_path):
  path = tmp_path / 'g.npy'
  np.save(path, np.array([{'a': 1}, None], object), allow_pickle=True)
  with pytest.raises(ConfigError, match='no pickle is read'):
    splitjax.audit(str(path), [0, 1])


def test_of_large_records_a_part_is_attacked_and_said():
  grads, labels = _arrays()
  wide = np.tile(grads, 4)
  found = splitjax.audit(wide, labels, **FAST, max_numbers=60 * 4 * WIDTH)
  audited = found.content['audited']
  assert audited['samples'] == 60
  assert any('60 of 90 samples were attacked' in x for x in audited['notes'])
  assert min(audited['class_sizes']) >= 2
