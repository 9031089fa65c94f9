import json
import pathlib

import hypothesis
from hypothesis import strategies as st
import ml_dtypes
import numpy as np
import pytest

from splitjax.records import CutWriter
from splitjax.records import read_cut_record

NAMES = ('cut_grads', 'smashed', 'untrained_smashed', 'inputs', 'labels')


def _batch(num=6, seed=0, dtype=np.float32):
  rng = np.random.default_rng(seed)
  shapes = {'cut_grads': (3,), 'smashed': (3,), 'untrained_smashed': (3,)}
  shapes['inputs'] = (2, 2)
  arrays = {k: rng.normal(size=(num, *s)) for k, s in shapes.items()}
  arrays = {name: x.astype(dtype) for name, x in arrays.items()}
  return {**arrays, 'labels': rng.integers(0, 4, num)}


def _inference(batch):
  return {k: v for k, v in batch.items() if k != 'cut_grads'}


def _by_hand(folder, **arrays):
  """Writes a record with NumPy alone, as the documents say."""
  one = pathlib.Path(folder, 'training', 'pass-0001')
  one.mkdir(parents=True)
  pathlib.Path(folder, 'record.json').write_text(
    json.dumps({'format': 'splitjax cut record', 'version': 1, 'metadata': {}})
  )
  for name, array in arrays.items():
    np.save(one / f'{name}-000000.npy', array)
  return one


def _files(folder):
  return sorted(
    x.relative_to(folder).as_posix() for x in folder.rglob('*') if x.is_file()
  )


def test_what_is_written_is_read_back_memory_mapped(tmp_path):
  batch = _batch()
  with CutWriter(tmp_path / 'cut', metadata={'cut': 3}) as writer:
    writer.append(np.arange(6), **batch)
    writer.append_inference(np.arange(6), **_inference(batch))
  record = read_cut_record(tmp_path / 'cut')
  assert record.metadata == {'cut': 3}
  (one,) = record.passes
  for part in (one, record.inference):
    np.testing.assert_array_equal(part.sample_ids, np.arange(6))
    assert len(part) == 6
    for name in NAMES:
      if name == 'cut_grads' and part is record.inference:
        continue
      np.testing.assert_array_equal(getattr(part, name), batch[name])
  assert isinstance(one.smashed, np.memmap)
  assert record.inference.cut_grads is None
  assert record.inference.steps is None


def test_files_are_those_of_the_documents(tmp_path):
  with CutWriter(tmp_path / 'cut', shard_rows=4) as writer:
    for _ in range(2):
      writer.new_pass()
      for start in (0, 3, 6):
        writer.append(range(start, start + 3), smashed=np.ones((3, 2)))
    writer.append_inference([1], smashed=np.ones((1, 2)))
  shards = [f'{x}-{n:06d}' for x in ('sample_ids', 'smashed', 'steps')
            for n in (0, 1)]  # fmt: skip
  assert _files(tmp_path / 'cut') == [
    'inference/sample_ids-000000.npy',
    'inference/smashed-000000.npy',
    'record.json',
    *(f'training/pass-0001/{x}.npy' for x in shards),
    *(f'training/pass-0002/{x}.npy' for x in shards),
  ]
  record = read_cut_record(tmp_path / 'cut')
  assert record.passes[1].steps.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@hypothesis.given(
  sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6),
  shard_rows=st.integers(1, 12),
  dtype=st.sampled_from(['float16', 'float32', 'float64', '>f4']),
)
def test_any_split_into_batches_is_read_back(
  tmp_path_factory, sizes, shard_rows, dtype
):
  folder = tmp_path_factory.mktemp('cut')
  whole = _batch(sum(sizes), dtype=dtype)
  ids = np.random.default_rng(1).permutation(1000)[: sum(sizes)]
  with CutWriter(folder, shard_rows=shard_rows) as writer:
    start = 0
    for size in sizes:
      rows = slice(start, start + size)
      writer.append(ids[rows], **{k: v[rows] for k, v in whole.items()})
      start += size
  (one,) = read_cut_record(folder).passes
  np.testing.assert_array_equal(one.sample_ids, ids)
  np.testing.assert_array_equal(one.steps, np.arange(len(sizes)).repeat(sizes))
  for name in NAMES:
    actual = getattr(one, name)
    np.testing.assert_array_equal(actual, whole[name])
    assert actual.dtype == whole[name].dtype.newbyteorder('=')


def test_five_lines_of_numpy_make_a_record(tmp_path):
  _by_hand(
    tmp_path,
    cut_grads=np.ones((2, 3), '>f8'),
    labels=np.array(['spam', 'no spam']),
    sample_ids=np.array([5, 3], np.uint8),
  )
  (one,) = read_cut_record(tmp_path).passes
  assert one.cut_grads.dtype == np.float64 and one.cut_grads.dtype.isnative
  assert one.labels.tolist() == ['spam', 'no spam']
  assert one.sample_ids.dtype == np.int64
  assert one.steps is None


def test_arrays_are_copied_and_bfloat16_is_float32(tmp_path):
  smashed = np.ones((2, 3), ml_dtypes.bfloat16) / 3
  expected = smashed.astype(np.float32)
  with CutWriter(tmp_path) as writer:
    writer.append([0, 1], smashed=smashed, labels=[True, False])
    smashed[:] = 0
  (one,) = read_cut_record(tmp_path).passes
  assert one.smashed.dtype == np.float32
  np.testing.assert_array_equal(one.smashed, expected)
  assert one.labels.tolist() == [1, 0]


@pytest.mark.parametrize('lost', ['sample_ids', 'labels sample_ids'])
def test_record_of_a_killed_writer_is_read_without_the_last_shard(
  tmp_path, lost
):
  with CutWriter(tmp_path, shard_rows=3) as writer:
    for start in (0, 3):
      writer.append(
        range(start, start + 3), smashed=np.ones((3, 2)), labels=[1, 1, 1]
      )
    writer.new_pass()
    writer.append([0, 1, 2], smashed=np.ones((3, 2)), labels=[1, 1, 1])
  for name in lost.split():
    (tmp_path / f'training/pass-0001/{name}-000001.npy').unlink()
    (tmp_path / f'training/pass-0002/{name}-000000.npy').unlink()
  scratch = tmp_path / 'training/pass-0001/.sample_ids-000001.npy.x7_y'
  scratch.mkdir()
  (scratch / 'sample_ids-000001.npy').write_bytes(b'\x93NUM')
  (one,) = read_cut_record(tmp_path).passes
  assert one.sample_ids.tolist() == [0, 1, 2]
  CutWriter(tmp_path, overwrite=True).close()
  assert _files(tmp_path) == ['record.json']


def test_what_was_recorded_before_an_exception_is_kept(tmp_path):
  with pytest.raises(ZeroDivisionError), CutWriter(tmp_path) as writer:
    writer.append([3], smashed=np.ones((1, 2)))
    raise ZeroDivisionError
  assert read_cut_record(tmp_path).passes[0].sample_ids.tolist() == [3]
  with pytest.raises(ValueError, match='is closed'):
    writer.append([4], smashed=np.ones((1, 2)))
  with pytest.raises(ValueError, match='is closed'):
    writer.new_pass()


def test_new_pass_of_an_empty_pass_does_nothing(tmp_path):
  with CutWriter(tmp_path) as writer:
    writer.new_pass()
    writer.new_pass()
    writer.append([3], smashed=np.ones((1, 2)))
    writer.new_pass()
  assert len(read_cut_record(tmp_path).passes) == 1


def test_new_inference_replaces_the_one_before(tmp_path):
  with CutWriter(tmp_path, shard_rows=1) as writer:
    writer.append_inference([3], smashed=np.ones((1, 2)))
    writer.append_inference([4], smashed=np.ones((1, 2)))
    writer.new_inference()
    writer.append_inference([3], smashed=np.zeros((1, 2)))
  inference = read_cut_record(tmp_path).inference
  assert inference.sample_ids.tolist() == [3]
  assert inference.smashed.tolist() == [[0, 0]]


ONES = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
  ('ids', 'arrays', 'message'),
  [
    ([0, 9], {}, r'got 0 twice: call new_pass\(\) at the start of every epoch'),
    ([9, 9], {}, r'got 9 twice: call new_pass\(\)'),
    ([8], {}, 'smashed must have 1 rows'),
    ([8.0, 9.0], {}, 'sample_ids must be integers'),
    (np.array([2**63, 9], np.uint64), {}, r'sample_ids must be less than 2'),
    (np.ones(0, int), {}, 'sample_ids must hold at least one'),
    (7, {}, 'sample_ids must be integers of shape'),
    ([8, 9], {'smashed': ONES[:, :2]}, r'\[n, 3\] as before, got \[n, 2'),
    ([8, 9], {'smashed': ONES[:, 0]}, r'smashed must have shape \[n, ...\]'),
    ([8, 9], {'smashed': ONES.astype(int)}, 'smashed must be .* got int64'),
    ([8, 9], {'smashed': [[0, 1], [np.nan, 1.0]]}, 'infinity for sample 9'),
    ([8, 9], {'smashed': [[np.inf, 1], [0, 1.0]]}, 'infinity for sample 8'),
    ([8, 9], {'smashed': None}, 'one of cut_grads, .* must be given'),
    ([8, 9], {'labels': None}, 'labels must be given as in the first rows'),
    ([8, 9], {'inputs': ONES}, 'inputs cannot be given as in the first rows'),
    ([8, 9], {'labels': [0, 1, 2]}, 'labels must have 2 rows'),
    ([8, 9], {'labels': [0, 1.5]}, 'labels must be integers as before, got'),
    ([8, 9], {'labels': [[0], [1]]}, 'labels must be .* of shape'),
    ([8, 9], {'labels': np.array(['a', 'b'], object)}, 'labels must be .*obj'),
  ],
)  # fmt: skip
def test_batch_that_does_not_belong_is_refused_and_leaves_no_trace(
  tmp_path, ids, arrays, message
):
  good = {'smashed': ONES, 'labels': np.array([0, 1])}
  with CutWriter(tmp_path) as writer:
    writer.append([0, 1], **good)
    with pytest.raises(ValueError, match=message) as caught:
      writer.append(ids, **{**good, **arrays})
    writer.append([2, 3], **good)
  assert '\n' not in str(caught.value)
  assert read_cut_record(tmp_path).passes[0].sample_ids.tolist() == [0, 1, 2, 3]


def test_inference_id_that_comes_twice_is_refused(tmp_path):
  with CutWriter(tmp_path) as writer:
    writer.append_inference([0, 1], smashed=ONES)
    with pytest.raises(ValueError, match=r'call new_inference\(\) before'):
      writer.append_inference([1, 2], smashed=ONES)


def test_id_of_another_sample_is_found_by_its_label(tmp_path):
  """Row numbers of shuffled batches are no ids."""
  with CutWriter(tmp_path) as writer:
    writer.append([0, 1], smashed=ONES, labels=[0, 1])
    writer.new_pass()
    with pytest.raises(ValueError, match='labels of sample 0 must be 0 as in'):
      writer.append([0, 1], smashed=ONES, labels=[1, 0])
    writer.append([1, 0], smashed=ONES, labels=[1, 0])
  two = tmp_path / 'training' / 'pass-0002'
  np.save(two / 'labels-000000.npy', np.array([1, 1]))
  with pytest.raises(ValueError, match='labels of sample 0 must be the same'):
    read_cut_record(tmp_path)


def test_bad_settings_are_refused(tmp_path):
  with pytest.raises(ValueError, match='shard_rows must be at least 1, got 0'):
    CutWriter(tmp_path / 'cut', shard_rows=0)
  for value in (object(), float('nan')):
    with pytest.raises(ValueError, match='metadata must be JSON values'):
      CutWriter(tmp_path / 'cut', metadata={'a': value})
  assert not (tmp_path / 'cut').exists()


def test_record_is_replaced_only_if_asked(tmp_path):
  with CutWriter(tmp_path) as writer:
    writer.append([0, 1], smashed=ONES)
    writer.append_inference([0, 1], smashed=ONES)
  with pytest.raises(FileExistsError, match='folder must be new or empty'):
    CutWriter(tmp_path)
  with CutWriter(tmp_path, overwrite=True) as writer:
    writer.append([2, 3], smashed=ONES)
  record = read_cut_record(tmp_path)
  assert record.passes[0].sample_ids.tolist() == [2, 3]
  assert record.inference is None


@pytest.mark.parametrize(
  'name',
  [
    'notes.txt',
    'training/notes.txt',
    'training/pass-0001/weights.npy',
    'training/pass-0001/.cache/x',
    'training/smashed-000000.npy',
    'inference/inner/smashed-000000.npy',
    '.git/config',
  ],
)
def test_overwrite_removes_nothing_beside_other_files(tmp_path, name):
  with CutWriter(tmp_path) as writer:
    writer.append([0, 1], smashed=ONES)
  (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
  (tmp_path / name).write_text('mine')
  before = _files(tmp_path)
  with pytest.raises(FileExistsError, match='must hold a cut record alone'):
    CutWriter(tmp_path, overwrite=True)
  assert _files(tmp_path) == before


@pytest.mark.parametrize('manifest', [None, '{}', '[', '{"format": "other"}'])
def test_overwrite_removes_no_other_folder(tmp_path, manifest):
  (tmp_path / 'thesis.tex').write_text('mine')
  if manifest is not None:
    (tmp_path / 'record.json').write_text(manifest)
  with pytest.raises(FileExistsError, match='which holds something else'):
    CutWriter(tmp_path, overwrite=True)
  assert (tmp_path / 'thesis.tex').read_text() == 'mine'


def test_overwrite_follows_no_link(tmp_path):
  _by_hand(tmp_path / 'other', smashed=ONES, sample_ids=np.arange(2))
  CutWriter(tmp_path / 'cut').close()
  (tmp_path / 'cut' / 'training').symlink_to(tmp_path / 'other' / 'training')
  with pytest.raises(FileExistsError, match='must hold a cut record alone'):
    CutWriter(tmp_path / 'cut', overwrite=True)
  assert len(read_cut_record(tmp_path / 'other').passes) == 1


GOOD = {'smashed': ONES, 'sample_ids': np.array([0, 1])}


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'sample_ids': np.array([3, 3])}, 'distinct within a pass, got 3 twice'),
    ({'sample_ids': np.arange(3)}, 'smashed must have 3 rows'),
    ({'sample_ids': np.array([0.0, 1.0])}, 'sample_ids must be integers'),
    ({'smashed': ONES.astype(int)}, 'smashed must be float16'),
    ({'smashed': np.array([[0.0], [np.inf]])}, 'for sample 1'),
    ({'labels': np.array(['a', None])}, 'Python objects in dtype'),
    ({'steps': np.array([0.0, 1.0])}, 'steps must be integers'),
    ({'smash': ONES}, 'must be named NAME-000000.npy, with one of cut_grads'),
  ],
)
def test_broken_shard_is_refused_in_one_line(tmp_path, changes, message):
  folder = _by_hand(tmp_path, **GOOD)
  for name, array in changes.items():
    np.save(folder / f'{name}-000000.npy', array)
  with pytest.raises(ValueError, match=message) as caught:
    read_cut_record(tmp_path)
  assert '\n' not in str(caught.value)
  assert str(tmp_path) in str(caught.value)


def test_shards_of_one_pass_must_agree(tmp_path):
  folder = _by_hand(tmp_path, **GOOD)
  np.save(folder / 'sample_ids-000001.npy', np.array([2, 3]))
  with pytest.raises(ValueError, match='one of cut_grads, .* must be given'):
    read_cut_record(tmp_path)
  np.save(folder / 'cut_grads-000001.npy', ONES)
  with pytest.raises(ValueError, match='cut_grads cannot be given'):
    read_cut_record(tmp_path)
  (folder / 'cut_grads-000001.npy').unlink()
  np.save(folder / 'smashed-000001.npy', ONES[:, :2])
  with pytest.raises(ValueError, match=r'smashed must be \[n, 3\] as before'):
    read_cut_record(tmp_path)
  np.save(folder / 'smashed-000001.npy', ONES.astype(np.float16))
  assert read_cut_record(tmp_path).passes[0].smashed.dtype == np.float32


def test_gradients_of_an_inference_are_refused(tmp_path):
  _by_hand(tmp_path, cut_grads=ONES, sample_ids=np.arange(2))
  (tmp_path / 'training' / 'pass-0001').rename(tmp_path / 'inference')
  with pytest.raises(ValueError, match='cut_grads'):
    read_cut_record(tmp_path)


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('', 'record.json: Expecting value'),
    ('[]', 'must be an object'),
    ('{"format": "x"}', "format must be 'splitjax cut record', got 'x'"),
    ('{"format": "splitjax cut record", "version": 2}', 'version must be 1'),
    (
      '{"format": "splitjax cut record", "version": 1, "metadata": 3}',
      'metadata must be an object',
    ),
  ],
)
def test_wrong_manifest_is_refused(tmp_path, text, message):
  _by_hand(tmp_path, **GOOD)
  (tmp_path / 'record.json').write_text(text)
  with pytest.raises(ValueError, match=message):
    read_cut_record(tmp_path)


def test_folder_that_is_no_record_is_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match='got none at'):
    read_cut_record(tmp_path / 'nothing')
  with pytest.raises(ValueError, match='record.json'):
    read_cut_record(tmp_path)
  CutWriter(tmp_path).close()
  with pytest.raises(ValueError, match='must hold a whole shard, got none'):
    read_cut_record(tmp_path)


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'\x93NUMPY\x01'])
def test_file_that_is_no_array_is_refused(tmp_path, content):
  folder = _by_hand(tmp_path, **GOOD)
  (folder / 'smashed-000000.npy').write_bytes(content)
  with pytest.raises(ValueError, match='smashed-000000.npy: ') as caught:
    read_cut_record(tmp_path)
  assert '\n' not in str(caught.value)


def test_truncated_array_and_archive_are_refused(tmp_path):
  folder = _by_hand(tmp_path, **GOOD)
  path = folder / 'smashed-000000.npy'
  path.write_bytes(path.read_bytes()[:-4])
  with pytest.raises(ValueError, match='smashed-000000.npy: '):
    read_cut_record(tmp_path)
  with open(path, 'wb') as file:
    np.savez(file, a=ONES)
  with pytest.raises(ValueError, match='smashed-000000.npy: the magic'):
    read_cut_record(tmp_path)


def test_folder_of_a_pass_that_is_misnamed_is_refused(tmp_path):
  folder = _by_hand(tmp_path, **GOOD)
  folder.rename(folder.parent / 'epoch1')
  with pytest.raises(ValueError, match='must be a folder named pass-0001'):
    read_cut_record(tmp_path)
