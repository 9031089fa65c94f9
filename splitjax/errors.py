"""What the package raises where a configuration cannot be used."""

from collections.abc import Collection
import math
from typing import Any

INTERRUPTED = 130  # Exit status of a command that Ctrl-C ended.


class ConfigError(ValueError):
  """A field of a configuration whose value cannot be used.

  The message is one line: the field, its value and what was expected. A binary
  shows it as the flag of that name.

  Attributes:
    field: name of the configuration's field.
    value: what it was set to.
    expected: what was expected instead, in words.

  Example:
    >>> raise ConfigError('cuts', 12, 'a layer inside mlp, 1 to 9')
    Traceback (most recent call last):
    splitjax.errors.ConfigError: cuts=12: expected a layer inside mlp, 1 to 9
  """

  def __init__(self, field: str, value: Any, expected: str) -> None:
    shown = ','.join(map(str, value)) if isinstance(value, tuple) else value
    super().__init__(' '.join(f'{field}={shown}: expected {expected}'.split()))
    self.field = field
    self.value = value
    self.expected = expected


def check_name(field: str, value: str, accepted: Collection[str]) -> None:
  """Raise `ConfigError` if a value is not one of the accepted names."""
  if value not in accepted:
    raise ConfigError(field, value, f'one of {", ".join(accepted)}')


def check_range(field: str, value: int, low: int, high: int, what: str) -> None:
  """Raise `ConfigError` if an integer is not between two bounds."""
  if not low <= value <= high:
    raise ConfigError(field, value, f'{what}, {low} to {high}')


def check_positive(field: str, value: float) -> None:
  """Raise `ConfigError` if a number is not positive and finite."""
  if not (math.isfinite(value) and value > 0):
    raise ConfigError(field, value, 'a positive number')


def check_distinct(field: str, values: tuple[Any, ...]) -> None:
  """Raise `ConfigError` if a value is there twice."""
  if len(set(values)) < len(values):
    raise ConfigError(field, values, 'each value once')
