"""From the text of `--attacks` to an attack and its hyperparameters."""

from collections.abc import Sequence
import functools
import math
from typing import Any, NamedTuple

from splitjax.attacks.catalog import ATTACKS
from splitjax.attacks.catalog import DEFAULTS
from splitjax.attacks.catalog import Attack
from splitjax.attacks.catalog import Setup
from splitjax.attacks.on_views import AttackFn
from splitjax.errors import ConfigError
from splitjax.errors import check_distinct
from splitjax.errors import check_name
from splitjax.options import LARGEST

_FIELD = 'attacks'


class Choice(NamedTuple):
  """An attack with the hyperparameters that were chosen for it.

  Attributes:
    name: of the attack, a key of `ATTACKS`.
    settings: hyperparameters that differ from the kernel's defaults, by name.
  """

  name: str
  settings: tuple[tuple[str, Any], ...] = ()

  @property
  def attack(self) -> Attack:
    """The attack's entry in the catalog."""
    return ATTACKS[self.name]

  @property
  def text(self) -> str:
    """What the flag and the results call it, as 'clustering:max_iters=50'."""
    return ':'.join([self.name, *(f'{k}={_text(v)}' for k, v in self.settings)])

  @property
  def fn(self) -> AttackFn:
    """The attack as `(key, view) -> AttackResult`, one object a choice."""
    return _bound(self.name, self.settings)


@functools.lru_cache(maxsize=256)
def _bound(name: str, settings: tuple[tuple[str, Any], ...]) -> AttackFn:
  """Return one function object a choice: another one would compile anew."""
  fn = ATTACKS[name].fn
  return functools.partial(fn, **dict(settings)) if settings else fn


def parse(text: str) -> Choice:
  """Read `NAME:SETTING=VALUE:...`.

  Args:
    text: an attack's name, with hyperparameters of its kernel if any.

  Returns:
    The choice.

  Raises:
    ConfigError: if the name or a setting is unknown, or a value has another
      type than the kernel's default.

  Example:
    >>> parse('clustering:max_iters=50').settings
    (('max_iters', 50),)
  """
  name, *parts = text.split(':')
  check_name(_FIELD, name, ATTACKS)
  accepted, found = ATTACKS[name].settings, {}
  for part in parts:
    key, equals, value = part.partition('=')
    if not equals or key not in accepted:
      known = ', '.join(accepted) or 'no settings'
      raise ConfigError(_FIELD, text, f'{name} with any of: {known}')
    if key in found:
      raise ConfigError(_FIELD, text, f'{key} once')
    found[key] = _value(text, key, value, accepted[key])
  return Choice(name, tuple(sorted(found.items())))


def _value(text: str, key: str, value: str, kind: type) -> Any:
  """Read a hyperparameter of a type."""
  words = {
    int: 'a whole number',
    float: 'a number',
    bool: 'True or False',
    tuple: 'whole numbers with | between',
  }
  try:
    if '_' in value and kind in (int, float, tuple):
      raise ValueError(value)  # Python would read 1_0 as ten.
    if kind is float and not math.isfinite(float(value)):
      raise ValueError(value)
    if kind is tuple:
      return tuple(int(one) for one in value.split('|') if one)
    if kind is bool:
      return {'true': True, 'false': False}[value.lower()]
    found = kind(value)
    if kind is int and abs(found) > LARGEST:
      raise ValueError(value)
    return found
  except (KeyError, ValueError) as error:
    raise ConfigError(_FIELD, text, f'{words[kind]} for {key}') from error


def _text(value: Any) -> str:
  """Write a hyperparameter as `parse` reads it."""
  if isinstance(value, tuple):
    return '|'.join(map(str, value))
  return format(value, 'g') if isinstance(value, float) else str(value)


def find_attacks(
  texts: Sequence[str], setup: Setup
) -> tuple[tuple[Choice, ...], tuple[str, ...]]:
  """Return the attacks named, or all those that are defined for a problem.

  Args:
    texts: attacks as `parse` reads them; or 'all' or 'default' alone.
    setup: what the problem is like.

  Returns:
    The attacks; and, in words, which of 'all' do not apply.

  Raises:
    ConfigError: if one that is named does not apply, or is named twice.
  """
  names = tuple(texts)
  if names == ('all',):
    lacking = {name: one.lacks(setup) for name, one in ATTACKS.items()}
    notes = [f'{name} needs {text}' for name, text in lacking.items() if text]
    found = tuple(Choice(name) for name, text in lacking.items() if not text)
    return found, tuple(notes)
  if names == ('default',):
    names = DEFAULTS[setup.target]
  found = tuple(parse(text) for text in names or ('',))
  check_distinct(_FIELD, tuple(names))
  for one in found:
    lacking_text = one.attack.lacks(setup)
    if lacking_text:
      raise ConfigError(_FIELD, one.text, lacking_text)
  return found, ()
