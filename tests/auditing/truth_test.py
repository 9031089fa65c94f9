"""Labels in all the forms they come in."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from splitjax.auditing import truth
from splitjax.errors import ConfigError


def _classes(values, names=None):
  column, _ = truth.read('labels', values)
  return truth.to_classes('labels', column, names)


@hypothesis.given(
  labels=st.lists(st.integers(0, 3), min_size=8, max_size=30),
  form=st.sampled_from(
    ['column', 'one-hot', 'text', 'bytes', 'float', 'big', 'list', 'shards']
  ),
)
def test_every_form_gives_the_same_classes(labels, form):
  labels = np.array([0, 0, 1, 1, 2, 2, 3, 3, *labels])
  forms = {
    'column': lambda x: x[:, None],
    'one-hot': lambda x: np.eye(4)[x],
    'text': lambda x: x.astype(str),
    'bytes': lambda x: x.astype('S')[:, None],
    'float': lambda x: x.astype('>f2'),
    'big': lambda x: x.astype('>u8') + np.uint64(2**63),
    'list': lambda x: x.tolist(),
    'shards': lambda x: [x[:3], x[3:]],
  }
  found = _classes(forms[form](labels))
  np.testing.assert_array_equal(found.values, labels)
  assert found.num_classes == 4


def test_classes_that_are_no_whole_numbers_stay_apart():
  """Rounded, .1 and .2 would be one class, and so would 1e300 and 2e300."""
  for values in ([0.1, 0.2, 1.7], [1e300, 2e300, 3e300], [-0.5, 0.0, 0.5]):
    found = _classes(np.array(values)[[0, 1, 2, 0, 1, 2]])
    assert found.values.tolist() == [0, 1, 2, 0, 1, 2]
  assert _classes([0.0, 1.0, 0.0, 1.0]).class_names == ('0', '1')


@pytest.mark.parametrize(
  ('values', 'target', 'expected'),
  [
    ([0, 1, 2], 'auto', 'class'),
    (['a', 'b'], 'auto', 'class'),
    ([True, False], 'auto', 'class'),
    ([0.0, 1.0], 'auto', 'class'),
    ([0.0, 0.5], 'auto', 'real'),
    (np.arange(100.0), 'auto', 'class'),
    (np.arange(101.0), 'auto', 'real'),
    ([0.0, 0.5], 'class', 'class'),
    ([0, 1], 'real', 'real'),
  ],
)
def test_kind_is_seen_from_the_numbers(values, target, expected):
  assert truth.kind_of(np.asarray(values), target) == expected


def test_names_are_of_numbers_or_of_sorted_labels():
  names = ['ant', 'bee', 'cat', 'dog']
  assert _classes([1, 3, 1, 3], names).class_names == ('bee', 'dog')
  assert _classes([-1, 7, -1, 7], names[:2]).class_names == ('ant', 'bee')
  with pytest.raises(ConfigError, match='a name for each of 2 classes'):
    _classes([-1, 7, -1, 7], names)


@pytest.mark.parametrize(
  'labels',
  [
    np.zeros(0, int),
    3,
    [[0, 1], [1, 1]],
    [[0.5, 0.5]] * 2,
    [[0, 1], [1]],
    [0, None],
    np.zeros((2, 2, 2)),
    [1.0, np.nan],
    [1.0, np.inf],
    np.array([b'\xff', b'a']),
    np.zeros(3, 'M8[s]'),
    np.zeros(3, complex),
    {'a': 1},
  ],
)
def test_what_is_no_labels_is_refused_in_one_line(labels):
  with pytest.raises(ConfigError) as caught:
    truth.read('labels', labels)
  assert caught.value.field == 'labels' and '\n' not in str(caught.value)
