"""From the text of `--defense` to what is drawn, trained with and promised."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import common
from splitjax.defenses import catalog as defense_catalog
from splitjax.defenses import defense as defending
from splitjax.training import protection

PyTree = Any


class Spec(NamedTuple):
  """A defense and its numbers; those not named have their defaults."""

  name: str
  numbers: Mapping[str, float]

  @property
  def defense(self) -> defending.Defense:
    """The defense of this name."""
    return defense_catalog.DEFENSES[self.name]

  @property
  def strength(self) -> float:
    """How strong it is."""
    return self.numbers[self.defense.strength]

  @property
  def off(self) -> bool:
    """Whether it defends nothing."""
    return self.strength == self.defense.off

  def at(self, strength: float) -> 'Spec':
    """The same at another strength."""
    return Spec(self.name, {**self.numbers, self.defense.strength: strength})

  def text(self, *, strength: bool) -> str:
    """As the flag would say it, without what is as by default."""
    defaults = self.defense.numbers
    parts = [
      f'{name}={value:g}'
      for name, value in self.numbers.items()
      if (strength if name == self.defense.strength else True)
      and value != defaults.get(name)
    ]
    return ':'.join([self.name, *parts])


@dataclasses.dataclass(frozen=True)
class Plan:
  """Defenses that act together, in a problem.

  Attributes:
    specs: the defenses; the strength of the first is the strength of all.
    facts: of the problem.
  """

  specs: tuple[Spec, ...]
  facts: defending.Facts

  @property
  def name(self) -> str:
    """What the results call it: all but the strength of the first."""
    if not self.specs:
      return 'none'
    first, *others = self.specs
    texts = [one.text(strength=True) for one in others]
    return '+'.join([first.text(strength=False), *texts])

  @property
  def strength(self) -> float:
    """That of the first, 0 if there is none."""
    return self.specs[0].strength if self.specs else 0.0

  @property
  def off(self) -> bool:
    """Whether nothing is defended."""
    return all(one.off for one in self.specs)

  @property
  def averaged(self) -> str | None:
    """How to average over passes, if what crosses is drawn anew in each.

    Which defense is at work is no secret. One that draws labels decides.
    """
    units = [
      one.defense.averaged
      for one in self.specs
      if one.defense.averaged and one.numbers.get('per_use', 1)
    ]
    return max(units, default=None)

  @property
  def has_guarantee(self) -> bool:
    """Whether anything is known without an attack."""
    return any(one.defense.guarantee_fn is not None for one in self.specs)

  def at(self, strength: float) -> 'Plan':
    """The same with the first at another strength."""
    first, *others = self.specs
    return dataclasses.replace(self, specs=(first.at(strength), *others))

  def strengths(self) -> tuple[PyTree, ...]:
    """What the program is given, of which it makes `protect`."""
    return self._strengths

  @functools.cached_property
  def _strengths(self):
    # Once: to find the noise for an epsilon takes up to seconds.
    return tuple(
      one.defense.prepare(self.facts, one.numbers) for one in self.specs
    )

  def protect(self, strengths: Sequence[PyTree]) -> protection.Protection:
    """The defenses at strengths that may be traced; without those that are off.

    Their functions do nothing when they are off, either, but some of them make
    another program of nothing, and rounding may differ.
    """
    return protection.compose(
      [
        one.defense.protect_fn(self.facts, one.numbers, traced)
        for one, traced in zip(self.specs, strengths, strict=True)
        if not one.off
      ]
    )

  def relabel_fn(self) -> Callable[..., jax.Array] | None:
    """The second stage of a defense that has one, see `programs.Recipe`."""
    for index, one in enumerate(self.specs):
      if one.defense.relabel_fn is not None and not one.off:
        fn = functools.partial(one.defense.relabel_fn, self.facts)
        return lambda key, labels, logits, strengths, fn=fn, index=index: fn(
          key, labels, logits, strengths[index]
        )
    return None

  def guarantees(self, monitored: PyTree) -> dict[str, np.ndarray]:
    """What is known without an attack, by name.

    Args:
      monitored: what `Protection.monitor` noted, `[S, T]`.

    Returns:
      Figures `[S, 1]`; of several epsilons the sum, since the labels go through
      every one.
    """
    found = {}
    for one, traced in zip(self.specs, self.strengths(), strict=True):
      if one.defense.guarantee_fn is not None:
        own = one.defense.guarantee_fn(
          self.facts, one.numbers, traced, monitored
        )
        for name, value in own.items():
          both = name == 'epsilon' and name in found
          found[name] = value + found[name] if both else value
    return {
      name: np.reshape(np.asarray(value, np.float64), (-1, 1))
      for name, value in found.items()
    }


def parse(flag: str, text: str) -> tuple[Spec, ...]:
  """Reads `NAME:NUMBER=VALUE:...+NAME:...`.

  Args:
    flag: where the text comes from, for the messages.
    text: 'none' or nothing for no defense.

  Returns:
    The defenses; one whose strength is not given has the middle one of those
    that a sweep visits.

  Raises:
    common.FlagError: if something is unknown or out of range.
  """
  if text in ('', 'none'):
    return ()
  return tuple(_parse_one(flag, part) for part in text.split('+'))


def parse_sweep(flag: str, text: str) -> list[tuple[Spec, ...]]:
  """Reads the same where the strength of the first may be several.

  Args:
    flag: where the text comes from, for the messages.
    text: as `parse` takes it, or with `STRENGTH=VALUE|VALUE`.

  Returns:
    The defenses at each strength; by default those that a sweep visits.

  Raises:
    common.FlagError: as `parse`, or if a strength is there twice.
  """
  first, plus, others = text.partition('+')
  name, *settings = first.split(':')
  common.check_name(flag, name, defense_catalog.DEFENSES)
  defense = defense_catalog.DEFENSES[name]
  values = [repr(value) for value in defense.strengths]
  rest = []
  for setting in settings:
    key, _, value = setting.partition('=')
    if key == defense.strength:
      values = value.split('|')
    else:
      rest.append(setting)
  found = [
    parse(
      flag, ':'.join([name, f'{defense.strength}={x}', *rest]) + plus + others
    )
    for x in values
  ]
  if len({specs[0].strength for specs in found}) < len(found):
    raise common.FlagError(flag, text, 'each strength once')
  return found


def _parse_one(flag, text):
  name, *settings = text.split(':')
  common.check_name(flag, name, defense_catalog.DEFENSES)
  defense = defense_catalog.DEFENSES[name]
  middle = defense.strengths[len(defense.strengths) // 2]
  numbers = {defense.strength: middle, **defense.numbers}
  for setting in settings:
    key, equals, value = setting.partition('=')
    if not equals or key not in numbers:
      raise common.FlagError(
        flag,
        text,
        f'{name} with any of {", ".join(numbers)}, as '
        f'{name}:{defense.strength}={middle:g}',
      )
    try:
      numbers[key] = float(value)
    except ValueError as error:
      raise common.FlagError(flag, text, f'a number for {key}') from error
  for key, value in numbers.items():
    low, high = (0.0, math.inf)
    if key == defense.strength:
      low, high = defense.within
    if math.isnan(value) or not low <= value <= high:
      raise common.FlagError(flag, text, f'{key} between {low:g} and {high:g}')
  return Spec(name, numbers)


def check(
  flag: str,
  specs: Sequence[Spec],
  *,
  num_classes: int,
  server_has_state: bool,
  floating_inputs: bool,
) -> None:
  """Raises `FlagError` if the defenses do not fit the problem or each other."""
  text = '+'.join(one.text(strength=True) for one in specs)
  names = {one.name for one in specs}
  if any(one.defense.two_classes for one in specs) and num_classes != 2:
    raise common.FlagError(
      flag,
      text,
      f'data of two classes (--classes picks them), not {num_classes}',
    )
  private = names & {'dp_sgd', 'dp_message'}
  if private and server_has_state:
    raise common.FlagError(
      flag,
      text,
      'a server that does not mix examples as batch normalisation does: '
      '--norm=group, or a later cut',
    )
  if private and any(one.defense.mixes_examples for one in specs):
    raise common.FlagError(
      flag,
      text,
      'no loss across examples beside differential privacy, which bounds each',
    )
  if 'mixup' in names and not floating_inputs:
    raise common.FlagError(
      flag, text, 'inputs that can be mixed: images or numbers'
    )
  if len(names) < len(specs):
    raise common.FlagError(flag, text, 'each defense once')
  if sum(one.defense.replaces_labels for one in specs) > 1:
    raise common.FlagError(
      flag, text, 'one defense at most that replaces the labels'
    )
