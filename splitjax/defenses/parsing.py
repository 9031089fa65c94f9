"""Reads and checks the text of `--defense`."""

from collections.abc import Sequence
import math

from splitjax.defenses.catalog import DEFENSES
from splitjax.defenses.defense import Defense
from splitjax.defenses.plan import Spec
from splitjax.errors import ConfigError
from splitjax.errors import check_name


def parse(field: str, text: str) -> tuple[Spec, ...]:
  """Read `NAME:NUMBER=VALUE:...+NAME:...`.

  Args:
    field: where the text comes from, for the messages.
    text: 'none' or nothing for no defense.

  Returns:
    The defenses; one whose strength is not given has the middle one of those
    that a sweep visits.

  Raises:
    ConfigError: if something is unknown or out of range.

  Example:
    >>> [one.name for one in parse('defense', 'label_dp:epsilon=1+max_norm')]
    ['label_dp', 'max_norm']
  """
  if text in ('', 'none'):
    return ()
  return tuple(_parse_one(field, part) for part in text.split('+'))


def parse_sweep(field: str, text: str) -> list[tuple[Spec, ...]]:
  """Read a defense whose strength may be several.

  Args:
    field: where the text comes from, for the messages.
    text: as `parse` takes it, or with `STRENGTH=VALUE|VALUE`.

  Returns:
    The defenses at each strength; by default those that a sweep visits.

  Raises:
    ConfigError: as `parse`, or if a strength is there twice.
  """
  first, plus, others = text.partition('+')
  name, *settings = first.split(':')
  check_name(field, name, DEFENSES)
  defense = DEFENSES[name]
  values, rest = None, []
  for setting in settings:
    key, _, value = setting.partition('=')
    if key == defense.strength:
      if values is not None:
        raise ConfigError(field, text, f'{key} once, several values as 1|2')
      values = value.split('|')
    else:
      rest.append(setting)
  if values is None:
    values = [repr(value) for value in defense.strengths]
  found = [
    parse(
      field, ':'.join([name, f'{defense.strength}={x}', *rest]) + plus + others
    )
    for x in values
  ]
  if len({specs[0].strength for specs in found}) < len(found):
    raise ConfigError(field, text, 'each strength once')
  return found


def _parse_one(field: str, text: str) -> Spec:
  """Read one defense."""
  name, *settings = text.split(':')
  check_name(field, name, DEFENSES)
  defense = DEFENSES[name]
  middle = defense.strengths[len(defense.strengths) // 2]
  numbers = {defense.strength: middle, **defense.numbers}
  given: dict[str, float] = {}
  for setting in settings:
    key, equals, value = setting.partition('=')
    if not equals or key not in numbers:
      known = ', '.join(numbers)
      example = f'{name}:{defense.strength}={middle:g}'
      expected = f'{name} with any of {known}, as {example}'
      raise ConfigError(field, text, expected)
    if key in given:
      raise ConfigError(field, text, f'{key} once')
    given[key] = _number(field, text, key, value)
  numbers |= given
  for key, value in numbers.items():
    expected = _unless_fitting(defense, key, value)
    if expected:
      raise ConfigError(field, text, expected)
  return Spec(name, numbers)


def _number(field: str, text: str, key: str, value: str) -> float:
  """Read a number; Python would read 1_0 as ten."""
  try:
    if '_' in value:
      raise ValueError(value)
    return float(value)
  except ValueError as error:
    raise ConfigError(field, text, f'a number for {key}') from error


def _unless_fitting(defense: Defense, key: str, value: float) -> str:
  """Return what was expected of a number, nothing if it is that."""
  if key in defense.switches:
    return '' if value in (0, 1) else f'0 or 1 for {key}'
  low, high = 0.0, math.inf
  if key == defense.strength:
    low, high = defense.within
  if key in defense.counts:
    low = defense.counts[key]
    if not float(value).is_integer():
      return f'a whole number for {key}, {low} or more'
  if math.isnan(value) or not low <= value <= high:
    return f'{key} between {low:g} and {high:g}'
  if math.isinf(value) and not (
    key == defense.strength and defense.off == value
  ):
    return f'a finite number for {key}'
  return ''


def check(
  field: str,
  specs: Sequence[Spec],
  *,
  num_classes: int,
  server_has_state: bool,
  floating_inputs: bool,
  several_parties: bool = False,
) -> None:
  """Raise `ConfigError` if defenses do not fit the problem or each other.

  Args:
    field: where the defenses are named, for the message.
    specs: the defenses.
    num_classes: of the problem; 0 for real targets.
    server_has_state: whether the label party's part keeps batch statistics.
    floating_inputs: whether inputs can be mixed: images or numbers.
    several_parties: whether several parties send smashed data.
  """
  names = {one.name for one in specs}
  defenses = [one.defense for one in specs]
  target = 'class' if num_classes else 'real'
  private = names & {'dp_sgd', 'dp_message'}
  expected = {
    'a defense that is defined for real targets'
    if target == 'real'
    else 'real targets (--target=real)': any(
      target not in one.targets for one in defenses
    ),
    f'data of two classes (--classes picks them), not {num_classes}': any(
      one.two_classes for one in defenses
    )
    and num_classes != 2,
    'a server that does not mix examples as batch normalisation does: '
    '--norm=group, or a later cut': bool(private) and server_has_state,
    'no loss across examples beside differential privacy, which bounds '
    'each': bool(private) and any(one.mixes_examples for one in defenses),
    'inputs that can be mixed: images or numbers': 'mixup' in names
    and not floating_inputs,
    'labels that are drawn before they are mixed (per_use=0)': 'mixup' in names
    and any(one.numbers.get('per_use', 0) for one in specs),
    f'fewer labels than the {num_classes} classes': any(
      one.defense.second_top and one.strength >= num_classes for one in specs
    ),
    'several parties, as experiments.parties has them': any(
      one.of_parties for one in defenses
    )
    and not several_parties,
    'each defense once': len(names) < len(specs),
    'one defense at most that replaces the labels': sum(
      one.replaces_labels for one in defenses
    )
    > 1,
  }
  for text, wrong in expected.items():
    if wrong:
      shown = '+'.join(one.text(strength=True) for one in specs)
      raise ConfigError(field, shown, text)
