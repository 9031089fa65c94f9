from absl.testing import parameterized
import jax
import numpy as np

from splitjax.records import recording
from splitjax.records import viewing


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


class SampleAuxiliaryTest(parameterized.TestCase):
  @parameterized.product(num_per_class=[1, 3], num_draws=[1, 20])
  def test_draws_as_many_of_each_class_without_replacement(
    self, num_per_class, num_draws
  ):
    labels = np.random.default_rng(0).integers(0, 4, 60)
    ids = np.arange(60) + 100
    aux = viewing.sample_auxiliary(
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
    draw = lambda seed: viewing.sample_auxiliary(
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
      viewing.sample_auxiliary(
        0, np.arange(6), np.array([0, 0, 0, 0, 1, 1]), **kwargs
      )

  def test_labels_must_be_as_many_as_samples(self):
    with self.assertRaisesRegex(ValueError, r'as many as sample_ids \(5\)'):
      viewing.sample_auxiliary(
        0, np.arange(5), np.array([0, 1, 0, 1]), num_classes=2
      )


class ViewTest(parameterized.TestCase):
  def _auxiliary(self, ids=((1, 4), (2, 3)), labels=((0, 1), (0, 1))):
    return viewing.Auxiliary(np.array(ids), np.array(labels))

  def test_auxiliary_vectors_are_found_by_id(self):
    record = _record()
    view = viewing.make_view(record, self._auxiliary(), num_classes=2)
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
    view = viewing.make_view(
      test, self._auxiliary(), num_classes=2, aux_record=train
    )
    row = np.nonzero(train.sample_ids == 4)[0][0]
    np.testing.assert_array_equal(
      view.aux_vectors[0, 1], train.vectors[row].ravel()
    )
    assert viewing.scored_mask(view).all()

  def test_auxiliary_samples_are_never_scored(self):
    view = viewing.make_view(_record(), self._auxiliary(), num_classes=2)
    scored = viewing.scored_mask(view)
    for draw in range(2):
      left_out = view.sample_ids[~scored[draw]]
      self.assertCountEqual(left_out, view.aux_ids[draw])

  def test_truth_is_not_reachable(self):
    view = viewing.make_view(_record(), self._auxiliary(), num_classes=2)
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
      view = viewing.make_view(
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
    view = viewing.make_view(_record(), self._auxiliary(), num_classes=2)
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
      viewing.make_view(_record(), self._auxiliary(**changes), num_classes=2)

  def test_widths_must_agree(self):
    with self.assertRaisesRegex(ValueError, 'equally wide, got 4 and 6'):
      viewing.make_view(
        _record(shape=(4,)),
        self._auxiliary(),
        num_classes=2,
        aux_record=_record(),
      )
