import dataclasses

from absl.testing import parameterized
import jax
import ml_dtypes
import numpy as np
import pytest

from splitjax import recording


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


class SampleAuxiliaryTest(parameterized.TestCase):
  @parameterized.product(num_per_class=[1, 3], num_draws=[1, 20])
  def test_draws_as_many_of_each_class_without_replacement(
    self, num_per_class, num_draws
  ):
    labels = np.random.default_rng(0).integers(0, 4, 60)
    ids = np.arange(60) + 100
    aux = recording.sample_auxiliary(
      0,
      ids,
      labels,
      num_classes=4,
      num_per_class=num_per_class,
      num_draws=num_draws,
    )
    assert aux.ids.shape == (num_draws, 4 * num_per_class)
    np.testing.assert_array_equal(
      aux.labels, np.tile(np.repeat(range(4), num_per_class), (num_draws, 1))
    )
    np.testing.assert_array_equal(labels[aux.ids - 100], aux.labels)
    assert all(len(set(draw)) == len(draw) for draw in aux.ids)

  def test_is_seeded_and_uniform(self):
    labels = np.array([0, 0, 0, 0, 1, 1])
    draw = lambda seed: recording.sample_auxiliary(
      seed, np.arange(6), labels, num_classes=2, num_draws=4000
    )
    np.testing.assert_array_equal(draw(1).ids, draw(1).ids)
    assert not np.array_equal(draw(1).ids, draw(2).ids)
    counts = np.bincount(draw(0).ids.ravel(), minlength=6) / 4000
    np.testing.assert_allclose(counts, [0.25] * 4 + [0.5] * 2, atol=0.03)

  @parameterized.named_parameters(
    ('none', dict(num_per_class=0), 'must be at least 1'),
    ('no_draw', dict(num_draws=0), 'must be at least 1'),
    ('many', dict(num_per_class=3), '3 and 2 samples of class 1'),
    ('empty', dict(num_classes=3), '0 samples of class 2'),
    ('range', dict(num_classes=1), 'labels must lie between 0 and 0, got 1'),
  )
  def test_bad_argument_is_named(self, change, message):
    kwargs = {'num_classes': 2, **change}
    with self.assertRaisesRegex(ValueError, message):
      recording.sample_auxiliary(
        0, np.arange(6), np.array([0, 0, 0, 0, 1, 1]), **kwargs
      )

  def test_labels_must_be_as_many_as_samples(self):
    with self.assertRaisesRegex(ValueError, r'as many as sample_ids \(5\)'):
      recording.sample_auxiliary(
        0, np.arange(5), np.array([0, 1, 0, 1]), num_classes=2
      )


class ViewTest(parameterized.TestCase):
  def _auxiliary(self, ids=((1, 4), (2, 3)), labels=((0, 1), (0, 1))):
    return recording.Auxiliary(np.array(ids), np.array(labels))

  def test_auxiliary_vectors_are_found_by_id(self):
    record = _record()
    view = recording.make_view(record, self._auxiliary(), num_classes=2)
    assert view.vectors.shape == (8, 6)
    assert view.aux_vectors.shape == (2, 2, 6)
    for draw, ids in enumerate(view.aux_ids):
      for column, sample_id in enumerate(ids):
        (row,) = np.nonzero(record.sample_ids == sample_id)[0]
        np.testing.assert_array_equal(
          view.aux_vectors[draw, column], record.vectors[row].ravel()
        )

  def test_auxiliary_vectors_may_come_from_another_record(self):
    test = _record(seed=1, sample_ids=np.arange(8) + 100)
    train = _record()
    view = recording.make_view(
      test, self._auxiliary(), num_classes=2, aux_record=train
    )
    row = np.nonzero(train.sample_ids == 4)[0][0]
    np.testing.assert_array_equal(
      view.aux_vectors[0, 1], train.vectors[row].ravel()
    )
    assert recording.scored_mask(view).all()

  def test_auxiliary_samples_are_never_scored(self):
    view = recording.make_view(_record(), self._auxiliary(), num_classes=2)
    scored = recording.scored_mask(view)
    for draw in range(2):
      left_out = view.sample_ids[~scored[draw]]
      self.assertCountEqual(left_out, view.aux_ids[draw])

  def test_truth_is_not_reachable(self):
    view = recording.make_view(_record(), self._auxiliary(), num_classes=2)
    shapes = {
      name: np.shape(value)
      for name, value in vars(view).items()
      if 'label' in name
    }
    assert shapes == {'aux_labels': (2, 2)}
    assert not hasattr(view, 'metadata')

  def test_centring_subtracts_the_training_mean_in_both_phases(self):
    train, test = _record(), _record(seed=1, sample_ids=np.arange(8) + 100)
    mean = train.vectors.reshape(8, 6).mean(axis=0)
    for record in (train, test):
      view = recording.make_view(
        record,
        self._auxiliary(),
        num_classes=2,
        aux_record=train,
        center=True,
      )
      np.testing.assert_allclose(
        view.vectors, record.vectors.reshape(8, 6) - mean, rtol=1e-5, atol=1e-6
      )
      rows = [
        int(np.nonzero(train.sample_ids == i)[0][0]) for i in view.aux_ids[0]
      ]
      np.testing.assert_allclose(
        view.aux_vectors[0],
        train.vectors.reshape(8, 6)[rows] - mean,
        rtol=1e-5,
        atol=1e-6,
      )

  def test_view_is_a_pytree_with_static_number_of_classes(self):
    view = recording.make_view(_record(), self._auxiliary(), num_classes=2)
    jitted = jax.jit(lambda view: view.aux_vectors.sum() + view.num_classes)
    np.testing.assert_allclose(
      jitted(view), view.aux_vectors.sum() + 2, rtol=1e-5
    )

  @parameterized.named_parameters(
    (
      'twice',
      dict(ids=((1, 4), (2, 2))),
      'auxiliary ids must be distinct within a draw',
    ),
    ('unknown_id', dict(ids=((1, 44), (2, 3))), 'in the record, got id 44'),
    ('range', dict(labels=((0, 1), (0, 2))), 'between 0 and 1, got 2'),
    ('missing', dict(labels=((0, 1), (0, 0))), 'got none of class 1'),
  )
  def test_bad_auxiliary_samples_are_refused(self, changes, message):
    with self.assertRaisesRegex(ValueError, message):
      recording.make_view(_record(), self._auxiliary(**changes), num_classes=2)

  def test_widths_must_agree(self):
    with self.assertRaisesRegex(ValueError, 'equally wide, got 4 and 6'):
      recording.make_view(
        _record(shape=(4,)),
        self._auxiliary(),
        num_classes=2,
        aux_record=_record(),
      )
