"""The command: whatever it is given, a verdict or one line and status 2."""

import pathlib

import numpy as np
import pytest

from splitjax.auditing import command

NUM = 60
LABELS = np.random.default_rng(0).integers(3, size=NUM)
GRADS = 3.0 * np.eye(3, 4)[LABELS] + 0.1 * np.random.default_rng(1).normal(
  size=(NUM, 4)
)
FAST = ['--attacks=distance', '--num_aux_draws=2', '--quiet']
GIVEN = 'cut_grads = "g.npy"\nlabels = "y.npy"\n'


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
  """Runs the command beside `g.npy` and `y.npy`; returns status and lines."""
  monkeypatch.chdir(tmp_path)
  np.save('g.npy', GRADS)
  np.save('y.npy', LABELS)

  def main(*flags):
    try:
      status = command.main(flags)
    except SystemExit as left:
      status = left.code
    return status, capsys.readouterr()

  return main


def _refused(found, name):
  status, streams = found
  assert status == 2 and not streams.out
  assert streams.err.count('\n') == 1 and streams.err.endswith('\n')
  assert f': error: --{name}=' in streams.err
  assert ': expected ' in streams.err


@pytest.mark.parametrize(
  ('name', 'array'),
  [
    ('cut_grads', np.zeros((0, 4))),
    ('cut_grads', np.zeros((NUM, 0))),
    ('cut_grads', np.float32(1)),
    ('cut_grads', np.where(np.eye(NUM, 4), np.nan, 1)),
    ('cut_grads', np.where(np.eye(NUM, 4), -np.inf, 1)),
    ('cut_grads', np.where(np.eye(NUM, 4) * LABELS[:, None], 1e250, GRADS)),
    ('cut_grads', GRADS.astype(complex)),
    ('cut_grads', GRADS.astype(str)),
    ('cut_grads', GRADS.astype('M8[s]')),
    ('cut_grads', np.zeros(NUM, [('a', 'f4'), ('b', 'f4')])),
    ('cut_grads', GRADS[1:]),
    ('labels', np.zeros(0, int)),
    ('labels', LABELS * 0),
    ('labels', np.arange(NUM)),
    ('labels', np.full((NUM, 3), 1 / 3)),
    ('labels', np.ones((NUM, 2), int)),
    ('labels', np.where(LABELS, np.nan, 1)),
    ('labels', np.where(LABELS, b'\xff', b'a')),
    ('labels', LABELS.astype('M8[s]')),
    ('sample_ids', np.arange(NUM) // 2),
    ('sample_ids', np.arange(NUM) / 1),
    ('sample_ids', np.zeros(0, int)),
    ('sample_ids', np.arange(NUM).astype(str)),
    ('steps', np.arange(NUM) / 2),
    ('steps', np.arange(NUM - 1)),
    ('inputs', GRADS[1:]),
    ('untrained_smashed', np.zeros((NUM, 0))),
  ],
)
def test_array_that_cannot_be_used_is_refused_by_its_flag(run, name, array):
  np.save('bad.npy', array)
  flags = {'cut_grads': 'g.npy', 'labels': 'y.npy', name: 'bad.npy'}
  _refused(run(*(f'--{k}={v}' for k, v in flags.items()), *FAST), name)


@pytest.mark.parametrize(
  'array',
  [
    GRADS * 1e300,
    GRADS * 1e-300,
    GRADS.astype(np.float32) * np.float32(1e37),
    GRADS.astype(np.longdouble),
    np.asfortranarray(GRADS),
    GRADS.astype(np.int8),
    GRADS > 1,
    GRADS.reshape(NUM, 1, 2, 2, 1),
  ],
)
def test_odd_arrays_give_the_right_answer(run, array):
  np.save('odd.npy', array)
  status, streams = run('--cut_grads=odd.npy', '--labels=y.npy', *FAST)
  assert status == 1 and not streams.err
  assert 'reads 100.0% of the labels' in streams.out
  assert streams.out.count('\n') == 1


@pytest.mark.parametrize(
  'ids',
  [
    np.arange(NUM) - 5,
    np.arange(NUM) + 2**62,
    np.arange(NUM).astype(np.uint64) + np.uint64(2**64 - NUM),
    np.arange(NUM, dtype='>u2')[:, None],
  ],
)
def test_odd_ids_give_the_right_answer(run, ids):
  np.save('i.npy', ids)
  flags = ('--cut_grads=g.npy', '--labels=y.npy', '--sample_ids=i.npy')
  status, streams = run(*flags, *FAST)
  assert status == 1 and 'reads 100.0% of the labels' in streams.out


@pytest.mark.parametrize(
  'flag',
  [
    'limit=nan',
    'limit=-1',
    'limit=100',
    'limit=',
    'limit=1e999',
    'level=1',
    'level=0.2',
    'level=nan',
    'num_aux=0',
    'num_aux=1.5',
    'num_aux=50',
    f'num_aux={"9" * 400}',
    f'num_aux={"9" * 5000}',
    'num_aux_draws=0',
    'seed=-1',
    'seed=99999999999',
    'max_numbers=-1',
    'max_numbers=8',
    'class_names=a,b',
    'attacks=',
    'attacks=foo',
    'attacks=distance,distance',
    'attacks=distance:foo=1',
    'attacks=ridge',
    'target=foo',
    'cut_grads=no-*.npy',
    'labels=',
    'out_dir=g.npy',
    'out_dir=g.npy/below',
    'test_smashed=g.npy',
    'record=no',
  ],
)
def test_flag_that_cannot_be_used_is_refused_by_name(run, flag):
  name = flag.partition('=')[0]
  given = {'test_smashed': 'test_labels'}.get(name, name)
  flags = ('--cut_grads=g.npy', '--labels=y.npy', *FAST)
  _refused(run(*flags, f'--{flag}'), given)


@pytest.mark.parametrize(
  ('text', 'name'),
  [
    ('foo = 1', 'audit'),
    ('quiet = true', 'audit'),
    ('limit = "x"', 'limit'),
    ('limit = [1]', 'limit'),
    ('limit = nan', 'limit'),
    ('limit = true', 'limit'),
    ('limit = {a = 1}', 'limit'),
    ('attacks = 3', 'attacks'),
    ('attacks = []', 'attacks'),
    ('attacks = [[1]]', 'attacks'),
    (f'num_aux = {"9" * 400}', 'num_aux'),
    ('seed = 2020-01-01', 'seed'),
    ('class_names = {a = 1}', 'class_names'),
    ('out_dir = 3', 'out_dir'),
    ('out_dir = ["a"]', 'out_dir'),
    ('sample_ids = []', 'sample_ids'),
    ('steps = [true]', 'steps'),
    ('runs = 3', 'cut_grads'),
    ('[[runs]]', 'cut_grads'),
    ('a =', 'audit'),
    (f'x = {"[" * 100_000}', 'audit'),
  ],
)
def test_audit_file_with_a_wrong_value_is_refused_by_name(run, text, name):
  pathlib.Path('a.toml').write_text(GIVEN + text)
  _refused(run('--audit=a.toml'), name)


@pytest.mark.parametrize(
  ('suffix', 'text', 'name'),
  [
    ('toml', 'record = 3', 'record'),
    ('toml', 'record = []', 'record'),
    ('toml', 'record = [3]', 'record'),
    ('toml', 'record = {a = 1}', 'record'),
    ('toml', 'runs = 3', 'runs'),
    ('toml', 'runs = ["a"]', 'runs'),
    ('toml', 'runs = {a = 1}', 'runs'),
    ('toml', '[[runs]]\nrecord = 3', 'record'),
    ('toml', '[[runs]]\nrecord = ["a"]', 'record'),
    ('toml', f'[[runs]]\n{GIVEN}limit = 1', 'runs'),
    ('toml', f'[[runs]]\n{GIVEN}ids = "g.npy"', 'runs'),
    ('toml', f'[[runs]]\n{GIVEN}[[runs]]\n{GIVEN}inputs="g.npy"', 'cut_grads'),
    ('toml', 'cut_grads = 3\nlabels = "y.npy"', 'cut_grads'),
    ('toml', 'cut_grads = []\nlabels = "y.npy"', 'cut_grads'),
    ('toml', 'cut_grads = ["g.npy", 3]\nlabels = "y.npy"', 'cut_grads'),
    ('toml', 'cut_grads = {a = 1}\nlabels = "y.npy"', 'cut_grads'),
    ('toml', 'cut_grads = "g.npy"\nlabels = 3', 'labels'),
    ('toml', '\ufffe', 'audit'),
    ('json', '[' * 100_000, 'audit'),
    ('json', '[1]', 'audit'),
    ('json', '{"cut_grads": "g.npy", "labels": null}', 'labels'),
    ('json', '{}', 'cut_grads'),
    ('yaml', '', 'audit'),
    ('yaml', '- a', 'audit'),
    ('yaml', '1: 2', 'audit'),
    ('yaml', 'a: b: c', 'audit'),
    ('yaml', 'labels: &a [*a]', 'audit'),
    ('yaml', 'cut_grads: !!python/object:os.x g', 'audit'),
    ('txt', 'cut_grads = "g.npy"', 'audit'),
  ],
)
def test_audit_file_that_is_none_is_refused_by_name(run, suffix, text, name):
  pathlib.Path(f'a.{suffix}').write_text(text)
  _refused(run(f'--audit=a.{suffix}'), name)


def test_list_of_members_of_archives_is_several_passes(run):
  np.savez('both.npz', a=GRADS, b=GRADS)
  pathlib.Path('a.toml').write_text(
    'cut_grads = ["both.npz:a", "both.npz:b"]\nlabels = "y.npy"\n'
  )
  status, streams = run('--audit=a.toml', *FAST)
  assert status == 1 and 'reads 100.0%' in streams.out


@pytest.mark.parametrize(
  'rows', [LABELS > 0, LABELS > 1, np.arange(NUM) == 3, LABELS >= 0]
)
@pytest.mark.parametrize('of', ['classes', 'two'])
def test_test_part_may_lack_classes(run, rows, of):
  labels = LABELS if of == 'classes' else LABELS > 0
  np.save('y.npy', labels)
  np.save('t.npy', GRADS[rows])
  np.save('ty.npy', labels[rows])
  flags = ('--smashed=g.npy', '--labels=y.npy')
  test = ('--test_smashed=t.npy', '--test_labels=ty.npy')
  out = ['--out_dir=out'] if of == 'two' and rows.all() else []
  status, streams = run(*flags, *test, *FAST, *out)
  assert status in (0, 1, 3) and not streams.err
  assert pathlib.Path('out/audit.json').exists() == bool(out)


def test_nothing_given_or_a_flag_that_is_none_is_one_line(run):
  _refused(run(), 'cut_grads')
  _refused(run('--cut_grads=g.npy'), 'labels')
  _refused(run('--labels=y.npy'), 'cut_grads')
  for flags in (['g.npy'], ['--nope=1'], ['--limit']):
    status, streams = run(*flags)
    assert status == 2 and streams.err.count('\n') == 1
