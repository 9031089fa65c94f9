import numpy as np
import pytest

from splitjax.data import labels as labels_lib


def _names(*values):
  (joined,), notes = labels_lib.join_integers([np.array(values, object)])
  return labels_lib.name_classes(joined), notes


@pytest.mark.parametrize(
  'values,expected',
  [
    (['01', '1', '001'], ('1', '01', '001')),
    (['1E2', '100'], ('100', '1E2')),
    (['1.10', '1.1'], ('1.1', '1.10')),
    (['1_1', '11'], ('11', '1_1')),
    (
      ['9007199254740993', '9007199254740992'],
      ('9007199254740992', '9007199254740993'),
    ),
    (['1.0', '1.1', '2.0'], ('1.0', '1.1', '2.0')),
    (['10', '9', '-1'], ('-1', '9', '10')),
    (['none', '-', '+'], ('+', '-', 'none')),
  ],
)
def test_labels_are_what_the_file_says(values, expected):
  names, notes = _names(*values)
  assert names == expected
  assert notes == ()


@pytest.mark.parametrize(
  'values,expected',
  [(['1.0', '1', '0.5'], ('0.5', '1')), (['1.0', '0.0'], ('0', '1'))],
)
def test_integers_have_one_spelling_and_it_is_said(values, expected):
  names, notes = _names(*values)
  assert names == expected
  assert 'are one value' in notes[0]


def test_full_stops_of_a_test_file_are_dropped_only_if_all_have_them():
  names = ('<=50K', '>50K')
  values = np.array(['<=50K.', '>50K.'], object)
  found, notes = labels_lib.match_spelling(values, names)
  assert found.tolist() == list(names)
  assert '<=50K.' in notes[0]
  mixed = np.array(['<=50K.', '>50K'], object)
  found, notes = labels_lib.match_spelling(mixed, names)
  assert found.tolist() == mixed.tolist()
  assert notes == ()
