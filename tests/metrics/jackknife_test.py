"""Figures without a group of samples."""

from absl.testing import parameterized
import numpy as np
import pytest

from splitjax import metrics


def _draw(seed=0, num_samples=90):
  rng = np.random.default_rng(seed)
  truth = rng.integers(0, 3, (2, 1, num_samples))
  labels = np.where(rng.random((2, 4, num_samples)) < 0.5, truth, 0)
  scored = rng.random((2, 4, num_samples)) < 0.8
  ids = np.stack([rng.permutation(num_samples) for _ in range(2)])
  return labels, truth, scored, ids


class GroupsTest(parameterized.TestCase):
  def test_a_sample_has_one_group_wherever_it_stands(self):
    *_, ids = _draw()
    groups = metrics.assign_groups(ids)
    by_id = [groups[i][np.argsort(ids[i])] for i in range(2)]
    np.testing.assert_array_equal(*by_id)
    np.testing.assert_array_equal(np.bincount(groups[0]), np.full(30, 3))

  def test_there_are_no_more_groups_than_samples(self):
    assert metrics.assign_groups(np.arange(5)).max() == 4
    with pytest.raises(ValueError, match='num_groups must be at least 2'):
      metrics.assign_groups(np.arange(5), num_groups=1)


class DeletedTest(parameterized.TestCase):
  def test_confusions_equal_those_of_the_rest(self):
    labels, truth, scored, ids = _draw()
    groups = metrics.assign_groups(ids)
    found = list(
      metrics.deleted_confusions(labels, truth, scored, groups, num_classes=3)
    )
    assert len(found) == 30
    for group, confusion in enumerate(found):
      rest = scored & (groups != group)[:, None]
      expected = metrics.confusion_matrices(labels, truth, rest, num_classes=3)
      np.testing.assert_array_equal(confusion, expected)

  def test_a_group_without_scored_samples_takes_nothing(self):
    labels, truth, scored, ids = _draw()
    groups = metrics.assign_groups(ids)
    scored = scored & (groups != 4)[:, None]
    whole = metrics.confusion_matrices(labels, truth, scored, num_classes=3)
    found = list(
      metrics.deleted_confusions(labels, truth, scored, groups, num_classes=3)
    )
    np.testing.assert_array_equal(found[4], whole)

  def test_variance_of_a_mean_is_the_one_of_the_textbook(self):
    x = np.random.default_rng(0).normal(size=(1, 1, 3000))
    groups = metrics.assign_groups(np.arange(3000))
    mean_fn = lambda mask: {'mean': (x * mask).sum(-1) / mask.sum(-1)}
    found = metrics.deleted(mean_fn, np.ones(x.shape, bool), groups)['mean']
    variance = 29 * found.var()  # (G - 1) / G times the sum of squares.
    np.testing.assert_allclose(variance, x.var() / 3000, rtol=0.4)

  def test_too_few_samples_leave_none_out(self):
    scored = np.zeros((1, 1, 90), bool)
    scored[..., :4] = True
    groups = metrics.assign_groups(np.arange(90))
    assert metrics.deleted(lambda mask: {}, scored, groups) == {}
