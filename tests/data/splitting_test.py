import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from splitjax import data


@hypothesis.given(
  counts=st.lists(st.integers(1, 60), min_size=1, max_size=8),
  share=st.floats(0, 1),
  seed=st.integers(0, 5),
)
def test_subset_has_the_size_and_every_class(counts, share, seed):
  labels = np.repeat(np.arange(len(counts)), counts)
  num = max(len(counts), round(share * len(labels)))
  rows = data.stratified_subset(labels, num, seed=seed)
  assert len(rows) == num
  assert (np.diff(rows) > 0).all()
  assert set(labels[rows]) == set(labels)


@hypothesis.given(
  counts=st.lists(st.integers(20, 60), min_size=2, max_size=6),
  num=st.integers(60, 100),
)
def test_subset_gives_each_class_its_share_rounded_down_or_up(counts, num):
  hypothesis.assume(num <= sum(counts))
  labels = np.repeat(np.arange(len(counts)), counts)
  sizes = np.bincount(labels[data.stratified_subset(labels, num, seed=0)])
  exact = num * np.array(counts) / sum(counts)
  hypothesis.assume(exact.min() >= 1)
  assert (np.abs(sizes - exact) < 1).all()
  up = exact % 1 > 0
  # Nobody with a smaller remainder was rounded up in place of a larger one.
  raised = (exact % 1)[up & (sizes > exact)]
  lowered = (exact % 1)[up & (sizes < exact)]
  if len(raised) and len(lowered):
    assert raised.min() >= lowered.max() - 1e-9


def test_subset_is_seeded_and_random():
  labels = np.random.default_rng(0).integers(0, 3, 300)
  first, again, other = (
    data.stratified_subset(labels, 60, seed=seed) for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)
  assert 100 < first.mean() < 200  # Not the first rows of each class.


def test_subset_of_all_is_all():
  labels = np.arange(30) % 4
  rows = data.stratified_subset(labels, 30, seed=0)
  np.testing.assert_array_equal(rows, np.arange(30))


@pytest.mark.parametrize('num', [0, 2, 11])
def test_subset_names_the_argument_that_does_not_fit(num):
  with pytest.raises(ValueError, match=f'num_train must lie .* 3 .* 10.*{num}'):
    data.stratified_subset(np.arange(10) % 3, num, seed=0, argument='num_train')


def test_split_refuses_a_class_of_one():
  with pytest.raises(ValueError, match='2 samples of each class.*class 7'):
    data.stratified_split(np.array([1] * 20 + [7]), seed=0)


def test_split_refuses_a_test_part_without_room_for_all_classes():
  with pytest.raises(ValueError, match='all 4 classes, got 8 samples'):
    data.stratified_split(np.arange(8) % 4, seed=0)


class TestClasses:
  NAMES = ('shirt', 'coat', '0', 'bag')

  def test_none_named_are_all(self):
    assert data.find_classes(self.NAMES, ()) == (0, 1, 2, 3)

  def test_names_come_before_numbers_and_keep_their_order(self):
    assert data.find_classes(self.NAMES, ('3', 'coat')) == (3, 1)
    assert data.find_classes(self.NAMES, ('0', '1')) == (2, 1)

  @pytest.mark.parametrize(
    'wanted', [('coat',), ('coat', 'coat'), ('coat', '1'), ('coat', 'hat')]
  )
  def test_others_are_refused(self, wanted):
    with pytest.raises(
      ValueError, match='classes must be two or more of shirt'
    ):
      data.find_classes(self.NAMES, wanted)

  def test_rows_of_the_classes_are_drawn_and_numbered_anew(self):
    labels = np.random.default_rng(0).integers(0, 4, 200).astype(np.int32)
    rows, drawn = data.draw_subset(labels, (3, 1), 40, seed=0)
    assert len(rows) == 40
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(np.array([3, 1])[drawn], labels[rows])
    assert drawn.dtype == labels.dtype

  def test_all_rows_are_there_if_no_number_is_given(self):
    labels = np.arange(12) % 3
    rows, drawn = data.draw_subset(labels, (0, 1, 2), None, seed=0)
    np.testing.assert_array_equal(rows, np.arange(12))
    np.testing.assert_array_equal(drawn, labels)

  def test_name_says_which_if_not_all(self):
    assert data.name_of('set', self.NAMES, (0, 1, 2, 3)) == 'set'
    assert data.name_of('set', self.NAMES, (3, 1)) == 'set[3,1]'


def test_random_subset_is_seeded_random_and_ascending():
  first, again, other = (
    data.random_subset(300, 60, seed=seed) for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)
  assert (np.diff(first) > 0).all()
  assert 100 < first.mean() < 200
  np.testing.assert_array_equal(
    data.random_subset(7, None, seed=0), np.arange(7)
  )


@pytest.mark.parametrize('num', [0, 11])
def test_random_subset_names_the_argument_that_does_not_fit(num):
  with pytest.raises(ValueError, match=f'num_test must lie .*1 .* 10.*{num}'):
    data.random_subset(10, num, seed=0, argument='num_test')


def test_random_split_holds_out_a_fifth_and_needs_two_samples():
  train, test = data.random_split(20, seed=0)
  assert len(test) == 4
  np.testing.assert_array_equal(np.sort([*train, *test]), np.arange(20))
  with pytest.raises(ValueError, match='labels must be 2 at least.*got 1'):
    data.random_split(1, seed=0)
