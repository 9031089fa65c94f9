import dataclasses

import hypothesis
from hypothesis import strategies as st
import jax
import numpy as np
import pytest

from splitjax import data
from splitjax.data.feature_split import split_features
from splitjax.errors import ConfigError


def _images(height=6, width=8, channels=2):
  shape = (20, height, width, channels)
  inputs = np.random.default_rng(0).normal(size=shape)
  return data.from_arrays(inputs, np.arange(20) % 2, standardize=False)


def _table(names=(), width=10):
  inputs = np.random.default_rng(0).normal(size=(60, width))
  return data.from_arrays(inputs, np.arange(60) % 2, column_names=names)


def _texts(length=7):
  tokens = np.random.default_rng(0).integers(0, 9, (20, length), np.int32)
  return data.from_arrays(tokens, np.arange(20) % 2)


def _held(split):
  active = split.active_columns
  return [*split.columns, *([] if active is None else [active])]


@hypothesis.settings(max_examples=15)
@hypothesis.given(
  st.sampled_from(['columns', 'rows', 'strips:1:3:2', 'random']),
  st.just(3),
  st.sampled_from([0.0, 0.01, 0.25, 0.5]),
  st.integers(0, 3),
)
def test_every_feature_of_an_image_has_one_owner(how, num, share, seed):
  split = split_features(_images(), num, how, active_share=share, seed=seed)
  assert split.num_parties == num
  assert (split.active_columns is None) == (share == 0)
  np.testing.assert_array_equal(
    np.sort(np.concatenate(_held(split))), np.arange(6 * 8 * 2)
  )


@hypothesis.settings(max_examples=15)
@hypothesis.given(
  st.sampled_from(['contiguous', 'random', 'importance:1']),
  st.sampled_from([1, 5]),
  st.sampled_from([0.0, 0.1, 0.5]),
  st.integers(0, 3),
)
def test_every_column_of_a_table_has_one_owner(how, num, share, seed):
  split = split_features(_table(), num, how, active_share=share, seed=seed)
  np.testing.assert_array_equal(
    np.sort(np.concatenate(_held(split))), np.arange(10)
  )
  assert all(np.all(np.diff(columns) > 0) for columns in split.columns)
  if share:
    assert len(split.active_columns) == round(share * 10)


@pytest.mark.parametrize(
  'how,slices',
  [
    ('', [np.s_[:, :, :4], np.s_[:, :, 4:]]),
    ('columns', [np.s_[:, :, :4], np.s_[:, :, 4:]]),
    ('rows', [np.s_[:, :3], np.s_[:, 3:]]),
    ('strips:1:3', [np.s_[:, :, :2], np.s_[:, :, 2:]]),
    (
      'quarters',
      [
        np.s_[:, :3, :4],
        np.s_[:, :3, 4:],
        np.s_[:, 3:, :4],
        np.s_[:, 3:, 4:],
      ],
    ),
  ],
)
def test_parts_of_images_are_rectangles_with_their_channels(how, slices):
  dataset = _images()
  split = split_features(dataset, len(slices), how)
  parts = jax.jit(split.apply)(dataset.train_inputs)
  for part, shape, index in zip(parts, split.shapes, slices, strict=True):
    np.testing.assert_array_equal(part, dataset.train_inputs[index])
    assert part.shape[1:] == shape


@pytest.mark.parametrize('how', ['columns', 'strips:1:1', 'random'])
def test_label_party_takes_the_last_columns_of_images(how):
  dataset = _images()
  split = split_features(dataset, 2, how, active_share=0.25)
  np.testing.assert_array_equal(
    jax.jit(split.apply_active)(dataset.train_inputs),
    dataset.train_inputs[:, :, 6:],
  )


def test_label_party_takes_the_last_rows_of_rows():
  dataset = _images()
  split = split_features(dataset, 2, 'rows', active_share=0.5)
  np.testing.assert_array_equal(
    split.apply_active(dataset.train_inputs), dataset.train_inputs[:, 3:]
  )
  assert split.shapes == ((2, 8, 2), (1, 8, 2))


@pytest.mark.parametrize('how', ['random', 'importance:1'])
def test_channels_of_a_pixel_stay_together(how):
  split = split_features(_images(), 3, how, seed=1)
  for columns in split.columns:
    pixels = columns.reshape(-1, 2)
    np.testing.assert_array_equal(pixels[:, 0] + 1, pixels[:, 1])
    assert (pixels[:, 0] % 2 == 0).all()


def test_one_party_holds_everything_as_it_is():
  for dataset in (_images(), _table(), _texts()):
    split = split_features(dataset, 1)
    (part,) = split.apply(dataset.train_inputs)
    np.testing.assert_array_equal(part, dataset.train_inputs)
    assert part.dtype == dataset.train_inputs.dtype
    assert split.apply_active(dataset.train_inputs) is None
    assert split.active_dataset(dataset) is None


def test_texts_are_divided_into_segments():
  dataset = _texts()
  split = split_features(dataset, 2, active_share=0.3)
  assert split.shapes == ((3,), (2,))
  np.testing.assert_array_equal(split.active_columns, [5, 6])
  first, last = split.datasets(dataset)
  np.testing.assert_array_equal(
    np.concatenate([first.test_inputs, last.test_inputs], 1),
    dataset.test_inputs[:, :5],
  )
  assert first.vocabulary_size == dataset.vocabulary_size


def test_random_splits_differ_by_seed_only():
  one, same, other = (
    split_features(_table(), 2, 'random', seed=seed).columns[0]
    for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(one, same)
  assert one.tolist() != other.tolist()


def test_columns_of_one_source_stay_together():
  names = ('age', 'city', 'city', 'city', 'job', 'job', 'size')
  dataset = _table(names, width=7)
  for seed in range(5):
    split = split_features(dataset, 2, 'random', active_share=0.3, seed=seed)
    for part in _held(split):
      assert set(part) & {1, 2, 3} in (set(), {1, 2, 3})
      assert set(part) & {4, 5} in (set(), {4, 5})
  with pytest.raises(ConfigError, match='^parties=5: expected 1 to 4'):
    split_features(dataset, 5)


def test_parties_of_a_table_know_their_names_and_categories():
  dataset = dataclasses.replace(
    _table(('a', 'b', 'c', 'd', 'e'), width=5), category_sizes=(7, 9)
  )
  split = split_features(dataset, 2, party_columns='d,a; c,b;label:e')
  first, last = split.datasets(dataset)
  assert (first.column_names, first.category_sizes) == (('a', 'd'), (7,))
  assert (last.column_names, last.category_sizes) == (('b', 'c'), ())
  own = split.active_dataset(dataset)
  assert (own.column_names, own.category_sizes) == (('e',), (9,))
  np.testing.assert_array_equal(
    first.test_inputs, dataset.test_inputs[:, [0, 3]]
  )
  np.testing.assert_array_equal(first.train_labels, dataset.train_labels)


def test_embedded_tables_have_the_names_of_their_columns():
  dataset = data.load_diabetes(seed=0)
  rest = 'age,sex,s1,s2,s3,s4,s5,s6'
  split = split_features(dataset, 2, party_columns=f'bmi,bp;{rest}')
  np.testing.assert_array_equal(split.columns[0], [2, 3])
  assert 'mean radius' in data.load_breast_cancer(seed=0).column_names


_MESSAGES = [
  (_images, 2, 'halves', {}, 'feature_split=halves: expected one of columns'),
  (_images, 2, 'contiguous', {}, 'feature_split=contiguous: expected one of'),
  (_table, 2, 'columns', {}, 'feature_split=columns: expected one of contig'),
  (_texts, 2, 'random', {}, 'feature_split=random: expected one of segments'),
  (_images, 2, 'columns:2', {}, 'feature_split=columns:2: expected columns w'),
  (_images, 97, 'random', {}, 'parties=97: expected 1 to 96'),
  (_images, 49, 'random', {}, 'parties=49: expected 1 to 48'),
  (_images, 9, 'columns', {}, 'parties=9: expected one of the 8 columns of'),
  (_images, 2, 'quarters', {}, 'feature_split=quarters: expected 4 parties'),
  (_images, 2, 'strips', {}, 'feature_split=strips: expected 2 positive wid'),
  (_images, 2, 'strips:1:2:3', {}, 'feature_split=strips:1:2:3: expected 2'),
  (_images, 2, 'strips:1:-1', {}, 'feature_split=strips:1:-1: expected 2 po'),
  (_images, 2, 'strips:1:99', {}, 'feature_split=strips:1:99: expected one '),
  (_table, 11, '', {}, 'parties=11: expected 1 to 10'),
  (_table, 0, '', {}, 'parties=0: expected 1 to 10'),
  (_table, 6, '', {'active_share': 0.5}, 'parties=6: expected 1 to 5'),
  (_table, 2, '', {'active_share': 0.6}, 'active_features=0.6: expected a s'),
  (_table, 2, '', {'active_share': -0.1}, 'active_features=-0.1: expected a'),
  (_table, 2, 'random', {'party_columns': '0;1'}, 'feature_split=random: exp'),
  (_images, 2, '', {'party_columns': '0;1'}, 'party_columns=0;1: expected no'),
  (_table, 2, 'importance:0', {}, 'feature_split=importance:0: expected imp'),
  (_table, 2, 'importance', {}, 'feature_split=importance: expected importa'),
  (_table, 2, 'correlation:1.1', {}, 'feature_split=correlation:1.1: expect'),
  (_table, 1, 'correlation:0', {}, 'feature_split=correlation:0: expected 2'),
  (_images, 2, 'correlation:0', {}, 'feature_split=correlation:0: expected '),
]


@pytest.mark.parametrize('make_fn,num,how,kwargs,message', _MESSAGES)
def test_what_does_not_fit_is_refused(make_fn, num, how, kwargs, message):
  with pytest.raises(ConfigError) as caught:
    split_features(make_fn(), num, how, **kwargs)
  assert str(caught.value).startswith(message)
  assert '\n' not in str(caught.value)
