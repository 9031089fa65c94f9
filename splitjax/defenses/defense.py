"""What an entry of the catalog says of a defense."""

from collections.abc import Callable, Mapping
import dataclasses
import math
from typing import Any, NamedTuple

import jax

from splitjax.training.countering import Channel
from splitjax.training.countering import Counter
from splitjax.training.protection import Protection

PyTree = Any
Numbers = Mapping[str, float]


class Facts(NamedTuple):
  """What a defense may depend on beside its own numbers.

  Attributes:
    prior: the classes' shares of the training set, `[C]`; empty for real
      targets.
    num_samples: size of the training set.
    batch_size: samples of a step.
    epochs: passes over the training set.
    microbatch: examples whose own gradients fit in memory at once.
  """

  prior: tuple[float, ...]
  num_samples: int
  batch_size: int
  epochs: int
  microbatch: int | None = None

  @property
  def num_classes(self) -> int:
    """The number of classes, `C`; 0 for real targets."""
    return len(self.prior)

  @property
  def delta(self) -> float:
    """The delta of differential privacy, as in the paper."""
    return 1 / self.num_samples


ProtectFn = Callable[[Facts, Numbers, PyTree], Protection]


@dataclasses.dataclass(frozen=True)
class Defense:
  """A defense by name.

  Attributes:
    protect_fn: `(facts, numbers, traced) -> Protection`. `numbers` are those of
      the configuration; the strength is taken from `traced`, where it may be an
      array that differs between runs of one program.
    strength: which of the numbers says how strong it is.
    strengths: the strengths that a sweep visits; the paper's, where it has
      them.
    off: the strength at which nothing is defended.
    within: the smallest and the largest strength.
    numbers: the other numbers, with their defaults.
    counts: which of the numbers are whole, and the smallest of each.
    switches: which of the numbers are 0 or 1.
    prepare_fn: `(facts, numbers) -> traced`, computed outside of the program.
    guarantee_fn: `(facts, numbers, traced, monitored) -> {name: figures [S]}`,
      what is known of the protection without any attack. `monitored` is what
      `Protection.monitor` noted, `[S, T]`.
    relabel_fn: `(facts, key, labels, logits, traced) -> labels`, the second
      stage of a defense in two stages.
    targets: the kinds of targets that it is defined for.
    two_classes: whether it is defined for two classes only.
    averaged: how to average over passes where several say more than one, since
      noise is drawn anew or not all is sent: a unit of
      `attacks.average_by_sample`.
    mixes_examples: whether a sample's loss depends on others of the batch.
    replaces_labels: whether the training sees other labels than the true ones.
    counters: what an attacker who knows of it undoes in its gradients.
    channel_fn: `(facts, numbers) -> Channel`, the mechanism that labels go
      through, where it is the same for all samples.
    extra_outputs: which of the numbers says how many outputs the network gets
      beside those for the targets, if one does.
    of_parties: whether it compares several parties.
    second_top: whether the label party has a `models.second_top.SecondTop`.
  """

  protect_fn: ProtectFn
  strength: str
  strengths: tuple[float, ...]
  off: float = 0.0
  within: tuple[float, float] = (0.0, math.inf)
  numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)
  counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
  switches: tuple[str, ...] = ()
  prepare_fn: Callable[[Facts, Numbers], PyTree] | None = None
  guarantee_fn: Callable[..., dict[str, Any]] | None = None
  relabel_fn: Callable[..., jax.Array] | None = None
  targets: tuple[str, ...] = ('class',)
  two_classes: bool = False
  averaged: str | None = None
  mixes_examples: bool = False
  replaces_labels: bool = False
  counters: tuple[Counter, ...] = ()
  channel_fn: Callable[[Facts, Numbers], Channel] | None = None
  extra_outputs: str | None = None
  of_parties: bool = False
  second_top: bool = False

  def prepare(self, facts: Facts, numbers: Numbers) -> PyTree:
    """Return what the program is given of the numbers."""
    if self.prepare_fn is None:
      return {self.strength: numbers[self.strength]}
    return self.prepare_fn(facts, numbers)
