import numpy as np
import pytest

from splitjax.data import party_columns
from splitjax.errors import ConfigError

_SOURCES = party_columns.sources_of(('a', 'b', 'b', 'c', 'd'), 5)


def test_columns_of_one_name_are_one_source():
  assert {name: x.tolist() for name, x in _SOURCES.items()} == {
    'a': [0],
    'b': [1, 2],
    'c': [3],
    'd': [4],
  }


def test_columns_without_names_are_called_by_position():
  parts, active = party_columns.assign_named(
    '2;0,1', party_columns.sources_of((), 3), 2
  )
  assert [part.tolist() for part in parts] == [[2], [0, 1]]
  assert active is None


def test_parties_hold_what_names_say():
  parts, active = party_columns.assign_named('c, b;label: d;a', _SOURCES, 2)
  assert [part.tolist() for part in parts] == [[1, 2, 3], [0]]
  np.testing.assert_array_equal(active, [4])


@pytest.mark.parametrize(
  'text,message',
  [
    ('a,b,c,d', 'columns of 2 parties'),
    ('a;b;c,d', 'columns of 2 parties'),
    ('a;b;label:c;label:d', 'columns of 2 parties'),
    ('a;b,c,dd', "'dd' to be one of 'd', 'a'"),
    ('a;b,c,', "'' to be one of"),
    ('a,b;b,c,d', "each column once, not 'b' again"),
    ('a,b;c,d,d', "each column once, not 'd' again"),
    ('a;b;label:a,c,d', "each column once, not 'a' again"),
    ('a;c', "also 'b', 'd'; see drop_columns"),
  ],
)
def test_names_that_do_not_fit_are_refused(text, message):
  with pytest.raises(ConfigError) as caught:
    party_columns.assign_named(text, _SOURCES, 2)
  assert message in str(caught.value)
  assert str(caught.value).startswith(f'party_columns={text}: expected ')
