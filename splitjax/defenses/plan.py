"""From the text of `--defense` to what is drawn, trained with and promised."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from splitjax.defenses import guarantees
from splitjax.defenses.catalog import DEFENSES
from splitjax.defenses.defense import Defense
from splitjax.defenses.defense import Facts
from splitjax.training import protection
from splitjax.training.countering import Channel
from splitjax.training.countering import Counter
from splitjax.training.protection import Protection

PyTree = Any
OWN = 'own'  # What results call a defense that came as an object.


class Spec(NamedTuple):
  """A defense and its numbers; those not named have their defaults.

  Attributes:
    name: of the defense, a key of `DEFENSES`.
    numbers: the strength and the other numbers, by name.
  """

  name: str
  numbers: Mapping[str, float]

  @property
  def defense(self) -> Defense:
    """The defense's entry in the catalog."""
    return DEFENSES[self.name]

  @property
  def strength(self) -> float:
    """How strong it is."""
    return self.numbers[self.defense.strength]

  @property
  def off(self) -> bool:
    """Whether it defends nothing."""
    return self.strength == self.defense.off

  @property
  def extra_outputs(self) -> int:
    """How many outputs the network gets beside those for the targets."""
    return int(self.numbers.get(self.defense.extra_outputs or '', 0))

  def text(self, *, strength: bool) -> str:
    """Write it as the flag would say it, without numbers at their defaults.

    Args:
      strength: whether to write the strength.

    Returns:
      The text.
    """
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
    facts: what the problem is like.
    own: a defense of the user's own beside them, if any.
  """

  specs: tuple[Spec, ...]
  facts: Facts
  own: Protection | None = None

  @property
  def name(self) -> str:
    """What the results call it: all but the strength of the first."""
    if not self.specs:
      return 'none' if self.own is None else OWN
    first, *others = self.specs
    texts = [one.text(strength=True) for one in others]
    return '+'.join([first.text(strength=False), *texts])

  @property
  def text(self) -> str:
    """All of it, the strength too, as the flag would say it."""
    texts = [one.text(strength=True) for one in self.specs]
    return '+'.join(texts) or self.name

  @property
  def strength(self) -> float:
    """The strength of the first defense, 0 if there is none."""
    return self.specs[0].strength if self.specs else 0.0

  @property
  def defended(self) -> bool:
    """Whether a defense is named, be it off."""
    return bool(self.specs) or self.own is not None

  @property
  def off(self) -> bool:
    """Whether nothing is defended."""
    return self.own is None and all(one.off for one in self.specs)

  @property
  def averaged(self) -> str | None:
    """How to average over passes, if what crosses is drawn anew in each.

    Which defense is at work is no secret. A defense that draws labels decides;
    of one of the user's own, it is assumed that it draws.
    """
    units = [
      one.defense.averaged
      for one in self.specs
      if one.defense.averaged and one.numbers.get('per_use', 1)
    ]
    return max(units, default=None if self.own is None else 'pass')

  @property
  def counters(self) -> tuple[Counter, ...]:
    """What an attacker who knows the defenses undoes in their gradients."""
    found = [x for one in self._active for x in one.defense.counters]
    return tuple(dict.fromkeys(found))

  @property
  def channel(self) -> Channel | None:
    """The mechanism that labels go through, if one alone draws them."""
    drawing = [one for one in self._active if one.defense.replaces_labels]
    if len(drawing) != 1 or drawing[0].defense.channel_fn is None:
      return None
    return drawing[0].defense.channel_fn(self.facts, drawing[0].numbers)

  @property
  def fresh_labels(self) -> bool:
    """Whether labels are drawn anew at every use."""
    return any(one.numbers.get('per_use', 0) for one in self._active)

  @property
  def delta(self) -> float:
    """The delta with which an epsilon is promised, 0 where none has one."""
    noisy = [one for one in self._active if one.name in guarantees.WITH_DELTA]
    return len(noisy) * self.facts.delta

  @property
  def num_merged(self) -> int:
    """How many labels are left where classes are merged; 0 elsewhere."""
    left = [int(one.strength) for one in self._active if one.defense.second_top]
    return left[0] if left and left[0] < self.facts.num_classes else 0

  @property
  def _active(self) -> list[Spec]:
    """The defenses that defend something."""
    return [one for one in self.specs if not one.off]

  @property
  def extra_outputs(self) -> int:
    """How many outputs the network gets beside those for the targets."""
    return sum(one.extra_outputs for one in self.specs)

  @property
  def has_guarantee(self) -> bool:
    """Whether anything is known without an attack."""
    return any(one.defense.guarantee_fn is not None for one in self.specs)

  @functools.cached_property
  def strengths(self) -> tuple[PyTree, ...]:
    """What the program is given, from which `protect` makes the defenses."""
    # Cached: to find the noise for an epsilon takes up to seconds.
    return tuple(
      one.defense.prepare(self.facts, one.numbers) for one in self.specs
    )

  def protect(self, strengths: Sequence[PyTree]) -> Protection:
    """Make the defenses at strengths that may be traced.

    Those that are off are left out. Their functions do nothing then, but some
    of them compile to another program, whose rounding may differ.

    Args:
      strengths: one for each defense, from `strengths`.

    Returns:
      All defenses as one.
    """
    active = [
      one.defense.protect_fn(self.facts, one.numbers, traced)
      for one, traced in zip(self.specs, strengths, strict=True)
      if not one.off
    ]
    own = [] if self.own is None else [self.own]
    return protection.compose([*active, *own])

  @property
  def relabel_fn(self) -> Callable[..., jax.Array] | None:
    """The second stage of a defense in two stages, if there is one.

    A function `(key, labels, logits, strengths) -> labels`.
    """
    for index, one in enumerate(self.specs):
      fn = one.defense.relabel_fn
      if fn is not None and not one.off:
        return functools.partial(_relabel, fn, self.facts, index)
    return None

  def guarantees(self, monitored: PyTree) -> dict[str, np.ndarray]:
    """Return what is known without an attack, by name.

    Args:
      monitored: what `Protection.monitor` noted, `[S, T]`.

    Returns:
      Figures `[S, 1]`, each described in `guarantees.PROMISES`. `epsilon` is
      of a label in all that is sent: the least that a defense promises, since
      the others only see what it released; infinite if none does.
    """
    found: dict[str, Any] = {}
    for one, traced in zip(self.specs, self.strengths, strict=True):
      fn = one.defense.guarantee_fn
      if fn is None:
        continue
      for name, value in fn(self.facts, one.numbers, traced, monitored).items():
        both = name == 'epsilon' and name in found
        found[name] = min(value, found[name]) if both else value
    self._compose(found)
    return {
      name: np.reshape(np.asarray(value, np.float64), (-1, 1))
      for name, value in found.items()
    }

  def _compose(self, found: dict[str, Any]) -> None:
    """Correct figures for what other defenses do beside."""
    active = {
      one.name: index for index, one in enumerate(self.specs) if not one.off
    }
    # These look at labels, or at gradients that others have changed.
    alone = self.own is None and len(active) == 1
    if 'auc_bound' in found and not alone:
      found.update(auc_bound=1.0, detection_error_bound=0.0)
    if 'update_epsilon' in found and self.relabel_fn is not None:
      # Two stages use a sample twice as often.
      found.update(update_epsilon=math.inf, update_epsilon_if_poisson=math.inf)
    both = {'dp_message', 'dp_sgd'}
    if 'message_epsilon' in found and (self.own or set(active) - both):
      found['message_epsilon'] = math.inf
    elif both == set(active):
      message = self.specs[active['dp_message']].numbers
      update = self.strengths[active['dp_sgd']]
      sent = guarantees.sent_epsilon(self.facts, message, update)
      found['epsilon'] = min(found['epsilon'], sent)


def _relabel(
  fn: Callable[..., jax.Array],
  facts: Facts,
  index: int,
  key: jax.Array,
  labels: jax.Array,
  logits: jax.Array,
  strengths: Sequence[PyTree],
) -> jax.Array:
  """Draw labels with the strength of the defense that has a second stage."""
  return fn(facts, key, labels, logits, strengths[index])
