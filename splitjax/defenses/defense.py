"""What a defense is to the experiments: how it is named, drawn and bounded."""

from collections.abc import Callable, Mapping
import dataclasses
import math
from typing import Any, NamedTuple

import jax

from splitjax.training.protection import Protection

PyTree = Any
Numbers = Mapping[str, float]


class Facts(NamedTuple):
  """What a defense may depend on beside its own numbers.

  Attributes:
    prior: the classes' shares of the training set, `[C]`.
    num_samples: of the training set.
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
    """The number of classes, `C`."""
    return len(self.prior)

  @property
  def delta(self) -> float:
    """Of differential privacy, as in the paper."""
    return 1 / self.num_samples


@dataclasses.dataclass(frozen=True)
class Defense:
  """A defense by name.

  Attributes:
    protect_fn: `(facts, numbers, traced) -> Protection`. `numbers` are those of
      the flag, but the strength may differ: that is in `traced`.
    strength: which of the numbers says how strong it is.
    strengths: that a sweep visits; the paper's, where it has them.
    off: the strength at which nothing is defended.
    within: the smallest and the largest strength.
    numbers: the others, with their defaults.
    prepare_fn: `(facts, numbers) -> traced`, outside of the program.
    guarantee_fn: `(facts, numbers, traced, monitored) -> {name: figures [S]}`,
      what is known of the protection without any attack. `monitored` is what
      `Protection.monitor` noted, `[S, T]`.
    relabel_fn: `(facts, key, labels, logits, traced) -> labels`, of a defense
      in two stages.
    two_classes: whether it is defined for two classes only.
    averaged: of one that draws anew at every use, so that an average over the
      passes tells more: how to take it, see `attacks.average_by_sample`.
    mixes_examples: whether a sample's loss depends on others of the batch.
    replaces_labels: whether the training sees other labels than the true ones.
  """

  protect_fn: Callable[[Facts, Numbers, PyTree], Protection]
  strength: str
  strengths: tuple[float, ...]
  off: float = 0.0
  within: tuple[float, float] = (0.0, math.inf)
  numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)
  prepare_fn: Callable[[Facts, Numbers], PyTree] | None = None
  guarantee_fn: Callable[..., dict[str, Any]] | None = None
  relabel_fn: Callable[..., jax.Array] | None = None
  two_classes: bool = False
  averaged: str | None = None
  mixes_examples: bool = False
  replaces_labels: bool = False

  def prepare(self, facts: Facts, numbers: Numbers) -> PyTree:
    """What the program is given of the numbers."""
    if self.prepare_fn is None:
      return {self.strength: numbers[self.strength]}
    return self.prepare_fn(facts, numbers)
