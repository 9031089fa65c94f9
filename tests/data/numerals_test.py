import numpy as np
import pyarrow as pa
import pytest

from splitjax.data import numerals

MANY = [str(i) for i in range(20)]
nan = np.nan


def _read(values, **kwargs):
  return numerals.read_numerals(
    pa.chunked_array([pa.array(list(values))]), **kwargs
  )


@pytest.mark.parametrize(
  'values,expected,remarks',
  [
    (['1', '+2', '-.5', '3.', '1e-3'], [1, 2, -0.5, 3, 0.001], ()),
    (['1,5', '2', '1.234,5'], [1.5, 2, 1234.5], 'decimal comma'),
    (['0,118', '1,234'], [0.118, 1.234], 'decimal comma'),
    (['1,234', '2', '1,234,567.5'], [1234, 2, 1234567.5], 'thousands'),
    (['1 234', "5'678", '9'], [1234, 5678, 9], 'thousands'),
    (['12%', '3.5 %'], [12, 3.5], 'percent'),
    (['$5', '-$1,234.50', '7'], [5, -1234.5, 7], 'currency'),
    (['5 €', '1,50 €'], [5, 1.5], 'currency'),
    (['(5)', '7', '\u22123'], [-5, 7, -3], 'parentheses'),
  ],
)
def test_forms_of_numbers_are_recognised(values, expected, remarks):
  found = _read(values)
  np.testing.assert_allclose(found.values, expected)
  assert found.strange == ()
  assert not remarks or any(one.startswith(remarks) for one in found.remarks)


@pytest.mark.parametrize(
  'text', ['None', '#N/A', '<NA>', '-', 'NaN', '', 'null', '.', 'n.a.']
)
def test_missing_value_makes_no_categories(text):
  found = _read([*MANY, text])
  np.testing.assert_array_equal(found.values, [*map(float, MANY), nan])
  assert found.num_strange == 0


@pytest.mark.parametrize('text', ['<1', '12%', '1_2', 'oops', '0x1F', '€5x'])
def test_odd_value_is_missing_and_shown(text):
  found = _read([*MANY, text])
  np.testing.assert_array_equal(found.values, [*map(float, MANY), nan])
  assert (found.strange, found.num_strange) == ((text,), 1)


@pytest.mark.parametrize(
  'values', [['1_2', '3'], ['a', 'b'], ['$5', '€5'], ['2020-01-02', '5'] * 3]
)
def test_what_is_mostly_no_number_is_none(values):
  assert _read(values) is None
  forced = _read(values, force=True)
  assert np.isnan(forced.values).any()


def test_open_mark_is_read_as_the_other_columns_say():
  values = ['1.234', '999']
  np.testing.assert_array_equal(_read(values).values, [1.234, 999])
  found = _read(values, default=',')
  np.testing.assert_array_equal(found.values, [1234, 999])


def test_marks_that_are_given_are_taken():
  np.testing.assert_array_equal(_read(['12,345'], decimal=',').values, [12.345])
  np.testing.assert_array_equal(
    _read(['1.234', '5'], thousands='.').values, [1234, 5]
  )


def test_infinity_is_a_number_that_others_refuse():
  assert _read([*MANY, '-inf', 'None']).values[-2] == -np.inf


@pytest.mark.parametrize(
  'text,expected',
  [('1', True), ('1e5', True), ('1_2', False), ('inf', False), ('١', False)],
)
def test_numbers_are_those_of_programs(text, expected):
  assert numerals.is_number(text) == expected
