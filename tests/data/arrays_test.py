import ml_dtypes
import numpy as np
import pytest

from splitjax import data


def _numbers(num=40, width=3, seed=0):
  return np.random.default_rng(seed).normal(5, 2, (num, width))


def test_classes_are_split_and_standardised_as_by_the_loaders():
  inputs, labels = _numbers(), np.arange(40) % 4
  found = data.from_arrays(inputs, labels, name='x', seed=3)
  expected = data.split_and_standardize('x', inputs, labels, '0123', seed=3)
  assert found.name == 'x'
  assert not found.is_real
  assert found.class_names == ('0', '1', '2', '3')
  for field in ('train_inputs', 'train_labels', 'test_inputs', 'test_labels'):
    actual = getattr(found, field)
    assert actual.dtype == getattr(expected, field).dtype
    np.testing.assert_array_equal(actual, getattr(expected, field))


@pytest.mark.parametrize(
  'values,names',
  [
    ([7, -2, 7, 9], ('-2', '7', '9')),
    (['b', 'a', 'b', 'c'], ('a', 'b', 'c')),
    ([True, False, True, True], ('False', 'True')),
    (np.array(['b', 'a', 'b', 'c'], object), ('a', 'b', 'c')),
    (np.array([3, 1, 3, 2], object), ('1', '2', '3')),
  ],
)
def test_distinct_labels_are_sorted_and_numbered(values, names):
  found = data.from_arrays(
    _numbers(4), values, test_inputs=_numbers(1), test_labels=values[:1]
  )
  assert found.class_names == names
  named = [found.class_names[label] for label in found.train_labels]
  assert named == [str(value) for value in values]
  np.testing.assert_array_equal(found.test_labels, found.train_labels[:1])


def test_names_of_classes_may_be_given():
  found = data.from_arrays(
    _numbers(), np.arange(40) % 2 * 5, class_names=['no', 'yes']
  )
  assert found.class_names == ('no', 'yes')
  assert set(found.train_labels) == {0, 1}


def test_real_targets_are_split_and_standardised_as_by_the_loader():
  inputs, targets = _numbers(), _numbers(width=1, seed=1)[:, 0]
  found = data.from_arrays(inputs, targets, target='real', seed=3)
  expected = data.split_and_standardize_targets('x', inputs, targets, seed=3)
  assert found.is_real
  assert found.num_classes == 0
  assert found.target_mean == expected.target_mean
  assert found.target_std == expected.target_std
  for field in ('train_inputs', 'train_labels', 'test_inputs', 'test_labels'):
    np.testing.assert_array_equal(
      getattr(found, field), getattr(expected, field)
    )


def test_truth_of_real_targets_is_in_their_own_units():
  targets = np.arange(100, 140)
  found = data.from_arrays(_numbers(), targets, target='real')
  assert found.labels_by_id.dtype == np.float64
  np.testing.assert_allclose(np.sort(found.labels_by_id), targets, rtol=1e-6)
  np.testing.assert_allclose(
    found.labels_by_id[found.test_ids], found.in_units(found.test_labels)
  )


@pytest.mark.parametrize('target', ['class', 'real'])
def test_given_test_part_moves_nothing_in_the_training_part(target):
  inputs, labels = _numbers(), np.arange(40) % 2
  kwargs = dict(test_labels=labels[:10], target=target)
  plain = data.from_arrays(inputs, labels, test_inputs=inputs[:10], **kwargs)
  moved = data.from_arrays(
    inputs, labels, test_inputs=inputs[:10] + 1000, **kwargs
  )
  np.testing.assert_array_equal(plain.train_inputs, moved.train_inputs)
  np.testing.assert_allclose(plain.train_inputs.mean(0), 0, atol=1e-6)
  np.testing.assert_allclose(plain.train_inputs.std(0), 1, atol=1e-6)
  np.testing.assert_array_equal(plain.test_inputs, plain.train_inputs[:10])
  assert moved.test_inputs.min() > 100


def test_scaled_inputs_may_be_kept():
  inputs = _numbers()
  found = data.from_arrays(
    inputs,
    np.arange(40) % 2,
    test_inputs=inputs,
    test_labels=np.arange(40) % 2,
    standardize=False,
  )
  np.testing.assert_array_equal(found.train_inputs, inputs.astype(np.float32))


def test_images_of_bytes_are_standardised_by_channel():
  images = np.random.default_rng(0).integers(0, 256, (40, 4, 5, 3), np.uint8)
  found = data.from_arrays(images, np.arange(40) % 2)
  assert found.train_inputs.dtype == np.float32
  assert found.vocabulary_size is None
  np.testing.assert_allclose(found.train_inputs.mean((0, 1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(found.train_inputs.std((0, 1, 2)), 1, atol=1e-5)


def test_integers_in_rows_are_token_ids_and_kept():
  tokens = np.random.default_rng(0).integers(0, 50, (40, 6))
  labels = np.arange(40) % 2
  found = data.from_arrays(
    tokens, labels, test_inputs=tokens[:4] + 10, test_labels=labels[:4]
  )
  assert found.train_inputs.dtype == np.int32
  np.testing.assert_array_equal(found.train_inputs, tokens)
  assert found.vocabulary_size == 1 + max(tokens.max(), tokens[:4].max() + 10)
  assert found.notes[0].startswith('inputs are integers [N, 6], so token ids')


def test_constant_column_is_only_centred_whatever_its_rounding():
  inputs = np.column_stack([np.full(40, 0.1), np.arange(40.0)])
  found = data.from_arrays(inputs, np.arange(40) % 2)
  np.testing.assert_allclose(found.train_inputs[:, 0], 0, atol=1e-7)


@pytest.mark.parametrize('dtype', [np.float16, np.float32, ml_dtypes.bfloat16])
def test_statistics_of_narrow_types_are_computed_in_float64(dtype):
  inputs = (1000 + 4 * _numbers(4000)).astype(dtype)
  found = data.from_arrays(inputs, np.arange(4000) % 2)
  wide = data.from_arrays(inputs.astype(np.float64), np.arange(4000) % 2)
  np.testing.assert_array_equal(found.train_inputs, wide.train_inputs)


def test_columns_of_a_table_may_have_names():
  found = data.from_arrays(
    _numbers(), np.arange(40) % 2, column_names=['a', 'b', 'b']
  )
  assert found.column_names == ('a', 'b', 'b')
  assert data.from_arrays(_numbers(), np.arange(40) % 2).column_names == ()


@pytest.mark.parametrize(
  'match,change',
  [
    (r"target must be 'class' or 'real', got 'reel'", dict(target='reel')),
    (r'inputs must have shape \[N, ...\], got \(4,\)', dict(inputs=[1.0] * 4)),
    (r'inputs must have shape \[N, ...\], got \(4,\)', dict(inputs=[1] * 4)),
    ('inputs must be numbers, got the type <U1', dict(inputs=[['a']] * 4)),
    ('inputs must be an array', dict(inputs=[[1.0], [1.0, 2.0]])),
    ('inputs must be finite.*row 2', dict(inputs=[[1.0], [2.0], [np.nan]])),
    ('inputs must be finite.*row 1', dict(inputs=[[1.0], [1e300]])),
    (r'inputs must not be negative.*got -3', dict(inputs=[[-3, 2]] * 20)),
    (
      r'labels must have shape \(20,\), one for each sample, got \(3,\)',
      dict(labels=[0, 1, 0]),
    ),
    ("integers or strings .* type float64; .*'real'", dict(labels=[0.5] * 20)),
    ('labels must have 2 distinct values.*7', dict(labels=[7] * 20)),
    ('labels must have 2 samples of each', dict(labels=[0] + [1] * 19)),
    (
      r'column_names must be one for each .*\(20, 2\), got 1 names',
      dict(column_names=['a']),
    ),
    ('class_names must be 2 distinct names', dict(class_names=['a'])),
    ('class_names must be 2 distinct names', dict(class_names=['a', 'a'])),
    (
      "labels must be numbers with target='real', got the type <U1",
      dict(target='real', labels=['a', 'b'] * 10),
    ),
    (
      'labels must be finite in float32, got inf in row 1',
      dict(target='real', labels=[0, np.inf] * 10),
    ),
    (
      'labels must differ in the training part',
      dict(target='real', labels=[3.0] * 20),
    ),
    (
      "class_names must not be given with target='real'",
      dict(target='real', class_names=['a', 'b']),
    ),
    ('together, got test_inputs only', dict(test_inputs=np.ones((2, 2)))),
    ('together, got test_labels only', dict(test_labels=[0, 1])),
    (
      r'test_inputs must have shape \[M, 2,\].*got \(2, 3\)',
      dict(test_inputs=np.ones((2, 3)), test_labels=[0, 1]),
    ),
    (
      'test_inputs must be of the type of inputs, float64, got int64',
      dict(test_inputs=np.ones((2, 2), np.int64), test_labels=[0, 1]),
    ),
    (
      'test_labels must be labels of the training part, got 2',
      dict(test_inputs=np.ones((2, 2)), test_labels=[0, 2]),
    ),
  ],
)
def test_what_does_not_fit_is_refused_in_one_line(match, change):
  kwargs = dict(inputs=_numbers(20, 2), labels=[0, 1] * 10) | change
  with pytest.raises(ValueError, match=match) as info:
    data.from_arrays(kwargs.pop('inputs'), kwargs.pop('labels'), **kwargs)
  assert '\n' not in str(info.value)
