import dataclasses
import json

from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import ml_dtypes
import numpy as np
import pytest

from splitjax.records import recording


def _record(num_samples=8, shape=(2, 3), seed=0, **changes):
  rng = np.random.default_rng(seed)
  fields = dict(
    intermediate='cut_grads',
    vectors=rng.normal(size=(num_samples, *shape)).astype(np.float32),
    sample_ids=rng.permutation(num_samples),
    steps=np.arange(num_samples) // 3,
    metadata={'dataset': 'digits', 'cut': 3},
  )
  return recording.Record(**{**fields, **changes})


class RecordTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('kind', dict(intermediate='weights'), 'intermediate must be one of'),
    ('rank', dict(vectors=np.ones(8, 'f')), r'vectors must have shape \[N'),
    ('none', dict(vectors=np.ones((0, 2), 'f')), 'vectors must have shape'),
    ('type', dict(vectors=np.ones((8, 2), int)), 'vectors must be of a float'),
    ('ids', dict(sample_ids=np.arange(7)), r'sample_ids must have shape \(8,'),
    ('id_type', dict(sample_ids=np.ones(8)), 'sample_ids must be integers'),
    ('twice', dict(sample_ids=np.zeros(8, int)), 'sample_ids must be distinct'),
    ('steps', dict(steps=np.arange(9)), 'steps must have shape'),
  )
  def test_bad_field_is_named(self, changes, message):
    with self.assertRaisesRegex(ValueError, message):
      _record(**changes)

  @parameterized.parameters(np.nan, np.inf)
  def test_row_that_is_not_finite_is_named(self, value):
    vectors = np.ones((9000, 2), np.float32)
    vectors[5000, 1] = value
    with self.assertRaisesRegex(
      ValueError, 'vectors must be finite.* row 5000'
    ):
      _record(9000, vectors=vectors, sample_ids=np.arange(9000))


@pytest.mark.parametrize('dtype', ['float32', 'float64', ml_dtypes.bfloat16])
def test_saved_record_is_read_back_memory_mapped(tmp_path, dtype):
  record = _record(vectors=np.ones((8, 2, 3), dtype) / 3)
  recording.save_record(tmp_path / 'record', record)
  loaded = recording.load_record(tmp_path / 'record')
  for field in dataclasses.fields(recording.Record):
    actual = getattr(loaded, field.name)
    expected = getattr(record, field.name)
    if isinstance(expected, np.ndarray):
      assert actual.dtype == expected.dtype
      np.testing.assert_array_equal(actual, expected)
    else:
      assert actual == expected
  assert isinstance(loaded.vectors, np.memmap)
  assert not loaded.vectors.flags.writeable


def test_record_on_disk_is_plain_files(tmp_path):
  recording.save_record(tmp_path / 'record', _record())
  names = sorted(path.name for path in (tmp_path / 'record').iterdir())
  assert names == [
    'cut_grads.npy', 'metadata.json', 'sample_ids.npy', 'steps.npy'
  ]  # fmt: skip
  assert [path.name for path in tmp_path.iterdir()] == ['record']


def test_record_is_not_written_over_another(tmp_path):
  recording.save_record(tmp_path / 'record', _record())
  with pytest.raises(FileExistsError):
    recording.save_record(tmp_path / 'record', _record(seed=1))


def test_record_that_cannot_be_written_leaves_nothing(tmp_path):
  record = _record(metadata={'a': object()})
  with pytest.raises(TypeError):
    recording.save_record(tmp_path / 'record', record)
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('text', ['{}', '[]', '{"intermediate": 1', 'null'])
def test_folder_that_is_no_record_is_said_to_be_none(tmp_path, text):
  recording.save_record(tmp_path / 'record', _record())
  (tmp_path / 'record' / 'metadata.json').write_text(text)
  with pytest.raises(ValueError, match='must be a record'):
    recording.load_record(tmp_path / 'record')


def test_missing_record_is_said_to_be_missing(tmp_path):
  with pytest.raises(FileNotFoundError):
    recording.load_record(tmp_path / 'nothing')


@pytest.mark.parametrize('shape', [(6,), (2, 3), (2, 3, 4)])
def test_flat_is_one_row_a_sample_and_copies_nothing(shape):
  record = _record(shape=shape)
  assert record.vectors.shape == (8, *shape)
  assert record.flat.shape == (8, int(np.prod(shape)))
  np.testing.assert_array_equal(record.flat[3], record.vectors[3].ravel())
  assert np.shares_memory(record.flat, record.vectors)


def test_record_on_disk_keeps_the_shape_of_the_cut(tmp_path):
  record = _record(shape=(2, 3, 4))
  recording.save_record(tmp_path / 'record', record)
  loaded = recording.load_record(tmp_path / 'record')
  assert loaded.vectors.shape == (8, 2, 3, 4)
  np.testing.assert_array_equal(loaded.flat, record.flat)


def test_record_is_kept_in_the_byte_order_of_the_machine(tmp_path):
  vectors = np.float32([[1, 2], [3, 4]])
  swapped = recording.Record(
    'smashed',
    vectors.astype('>f4'),
    np.array([7, 4], '>i8'),
    np.array([0, 1], '>i2'),
    {},
  )
  recording.save_record(tmp_path / 'record', swapped)
  np.save(tmp_path / 'record' / 'smashed.npy', vectors.astype('>f4'))
  np.save(tmp_path / 'record' / 'sample_ids.npy', np.array([7, 4], '>i8'))
  for one in (swapped, recording.load_record(tmp_path / 'record')):
    np.testing.assert_array_equal(one.vectors, vectors)
    assert one.sample_ids.tolist() == [7, 4]
    arrays = one.vectors, one.sample_ids, one.steps
    assert all(array.dtype.isnative for array in arrays)


@pytest.mark.parametrize('vectors', [None, [[1.0]], 'x', np.array([[{}]])])
def test_record_of_no_array_of_numbers_is_refused(vectors):
  with pytest.raises(ValueError, match='^vectors must be'):
    recording.Record('smashed', vectors, np.array([0]), np.array([0]), {})


def test_array_of_objects_is_not_read(tmp_path):
  recording.save_record(tmp_path / 'record', _record())
  objects = np.array([{}] * 8, object)
  np.save(tmp_path / 'record' / 'steps.npy', objects, allow_pickle=True)
  with pytest.raises(ValueError, match='steps.npy: .*Python objects'):
    recording.load_record(tmp_path / 'record')


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'intermediate': '../secret'}, 'must be a record'),
    ({'intermediate': []}, 'must be a record'),
    ({'dtype': 'bfloat16'}, 'must hold vectors of uint16, got float32'),
    ({'dtype': 'float64'}, 'must hold vectors of float64'),
    ({'metadata': 3}, 'must be a record'),
  ],
)
def test_metadata_that_do_not_fit_are_refused(tmp_path, change, message):
  recording.save_record(tmp_path / 'record', _record())
  path = tmp_path / 'record' / 'metadata.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | change))
  with pytest.raises(ValueError, match=message) as caught:
    recording.load_record(tmp_path / 'record')
  assert '\n' not in str(caught.value)


_NAMES = ('cut_grads.npy', 'metadata.json', 'sample_ids.npy', 'steps.npy')


def _damage(tmp_path_factory, num_examples):
  """Damages a record at random places."""

  @hypothesis.given(
    name=st.sampled_from(_NAMES),
    at=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255))),
    cut=st.integers(0, 300),
  )
  @hypothesis.settings(max_examples=num_examples, deadline=None)
  def damaged_is_a_record_or_one_line(name, at, cut):
    folder = tmp_path_factory.mktemp('damaged') / 'record'
    recording.save_record(folder, _record())
    content = bytearray((folder / name).read_bytes())
    for place, value in at:
      content[place % len(content)] = value
    (folder / name).write_bytes(content[: len(content) - cut // 2])
    try:
      record = recording.load_record(folder)
    except ValueError as error:
      assert '\n' not in str(error)
    else:
      assert np.isfinite(record.vectors).all()
      assert len(record.sample_ids) == len(record.vectors)

  damaged_is_a_record_or_one_line()


def test_damaged_record_is_a_record_or_one_line(tmp_path_factory):
  _damage(tmp_path_factory, 300)


@pytest.mark.slow
def test_many_damaged_records_are_records_or_one_line(tmp_path_factory):
  _damage(tmp_path_factory, 3000)
