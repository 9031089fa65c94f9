"""One-line errors that name the field."""

import pytest

from splitjax import errors
from splitjax.errors import ConfigError


@pytest.mark.parametrize(
  ('value', 'shown'),
  [(12, '12'), ((3, 5), '3,5'), ((), ''), (None, 'None'), ('a\nb', 'a b')],
)
def test_message_is_field_value_and_what_was_expected(value, shown):
  error = ConfigError('cuts', value, 'one\n  line')
  assert str(error) == f'cuts={shown}: expected one line'
  assert (error.field, error.value) == ('cuts', value)
  assert isinstance(error, ValueError)


@pytest.mark.parametrize(
  ('check', 'message'),
  [
    (lambda: errors.check_name('a', 'x', ('y', 'z')), 'a=x: .* one of y, z'),
    (lambda: errors.check_range('a', 0, 1, 3, 'few'), 'a=0: .* few, 1 to 3'),
    (lambda: errors.check_range('a', 4, 1, 3, 'few'), 'a=4: .* few, 1 to 3'),
    (lambda: errors.check_positive('a', 0.0), 'a=0.0: .* a positive number'),
    (lambda: errors.check_positive('a', float('inf')), 'a=inf: .* a positive'),
    (lambda: errors.check_positive('a', float('nan')), 'a=nan: .* a positive'),
    (lambda: errors.check_distinct('a', (1, 1)), 'a=1,1: .* each value once'),
  ],
)
def test_checks_raise(check, message):
  with pytest.raises(ConfigError, match=message):
    check()


def test_checks_let_pass_what_is_right():
  assert errors.check_name('a', 'y', ('y', 'z')) is None
  assert errors.check_range('a', 1, 1, 3, 'few') is None
  assert errors.check_range('a', 3, 1, 3, 'few') is None
  assert errors.check_positive('a', 1e-9) is None
  assert errors.check_distinct('a', (1, 2)) is None
