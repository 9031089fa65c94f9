"""Fields of a configuration: their types, defaults, bounds and help.

A configuration is a frozen dataclass whose fields are made by `option`. The
binaries make a flag of each field; a program sets the fields directly. Either
way the default and the text stand here once.
"""

from collections.abc import Mapping
import dataclasses
import functools
import hashlib
import re
import types
import typing
from typing import Any

import numpy as np

LARGEST = 2**31 - 1  # Integers of JAX are of 32 bits.
# Where an object lies in memory, which no other process repeats.
_ADDRESS = re.compile(rb' at 0x[0-9a-f]+')


def option(
  default: Any, text: str, *, low: int | None = None, high: int | None = None
) -> Any:
  """Make a field of a configuration.

  Args:
    default: the field's value where none is given.
    text: help, a sentence or two for the user.
    low: smallest value of an integer.
    high: largest value of an integer; by default what 32 bits hold.

  Returns:
    A dataclass field whose metadata hold the help and the bounds.
  """
  high = LARGEST if high is None else high
  metadata = {'text': text, 'low': low, 'high': high}
  return dataclasses.field(default=default, metadata=metadata)


class Option(typing.NamedTuple):
  """A field of a configuration, as a binary makes a flag of it.

  Attributes:
    name: of the field.
    kind: type of its value, or of each of several values.
    several: whether its value is a tuple.
    default: its value where none is given.
    text: help.
    low: smallest value of an integer, if bounded.
    high: largest value of an integer.
  """

  name: str
  kind: type
  several: bool
  default: Any
  text: str
  low: int | None
  high: int


def options_of(config: Any) -> list[Option]:
  """List the fields of a configuration that a command line can set.

  Args:
    config: an instance, whose values are the defaults.

  Returns:
    One option for each field that has a help text.
  """
  hints = typing.get_type_hints(type(config))
  found = []
  for field in dataclasses.fields(config):
    if 'text' in field.metadata:
      kind, several = _kind_of(hints[field.name])
      value = getattr(config, field.name)
      found.append(Option(field.name, kind, several, value, **field.metadata))
  return found


def _kind_of(hint: Any) -> tuple[type, bool]:
  """Return the type a command line gives, and whether it gives several."""
  plain = (bool, int, float, str)
  arguments = typing.get_args(hint)
  if typing.get_origin(hint) is tuple:
    return arguments[0], True
  found = [kind for kind in (hint, *arguments) if kind in plain]
  return found[0], False


def values_of(config: Any) -> dict[str, Any]:
  """Return the fields of a configuration as JSON values.

  Objects stand for themselves by a text: arrays by a digest of what they hold,
  layers and functions by what they are called.

  Args:
    config: an instance.

  Returns:
    Values by field name, tuples as lists.
  """
  return {
    field.name: _json_value(getattr(config, field.name))
    for field in dataclasses.fields(config)
  }


def _json_value(value: Any) -> Any:
  """Return a JSON value that differs wherever the object differs."""
  if value is None or isinstance(value, bool | int | float | str):
    return value
  if isinstance(value, tuple | list):
    return [_json_value(one) for one in value]
  if isinstance(value, Mapping):
    return {str(name): _json_value(one) for name, one in value.items()}
  if isinstance(value, np.ndarray):
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return f'array {value.dtype} {value.shape} {digest[:16]}'
  if dataclasses.is_dataclass(value) and not hasattr(value, 'apply'):
    return values_of(value)
  if isinstance(value, functools.partial):
    return _json_value([value.func, value.args, value.keywords])
  if isinstance(value, types.FunctionType):
    # Two lambdas of one place have one name, and other code or other values.
    code = value.__code__
    held = [cell.cell_contents for cell in value.__closure__ or ()]
    held = [
      getattr(one, '__qualname__', None) or _json_value(one) for one in held
    ]
    text = code.co_code + repr((code.co_consts, held)).encode()
    digest = hashlib.sha256(_ADDRESS.sub(b'', text)).hexdigest()[:8]
    return f'{value.__module__}.{value.__qualname__} {digest}'
  if callable(value) and hasattr(value, '__qualname__'):
    return f'{value.__module__}.{value.__qualname__}'
  return _ADDRESS.sub(b'', ' '.join(repr(value).split()).encode()).decode()
