"""Attacks by name: what each reads, knows beside it, and can be set to."""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import inspect
import types
import typing
from typing import Any, NamedTuple

from splitjax import attacks
from splitjax.attacks import heads_on_views
from splitjax.attacks import on_views
from splitjax.attacks import strongest_on_views
from splitjax.records.intermediates import ATTACKED
from splitjax.records.intermediates import Name

CLASS, REAL = 'class', 'real'  # Kinds of targets.

_GRADIENTS = (Name.CUT_GRADS,)
_OWN = (Name.SMASHED, Name.EXTRACTED)  # What the attacker's networks make.
_FEATURES = (*_OWN, Name.UNTRAINED_SMASHED, Name.RAW_INPUTS)


class Setup(NamedTuple):
  """What an attack's being defined depends on.

  Attributes:
    num_classes: of the problem; 0 for real targets.
    cut_widths: how many numbers of a sample cross each cut.
    project_to: what is wider is recorded through a projection; 0 for none.
    u_shaped: whether the attacker is the server in the middle.
    intermediates: what is attacked, beside the baselines.
  """

  num_classes: int
  cut_widths: Sequence[int]
  project_to: int
  u_shaped: bool = False
  intermediates: tuple[str, ...] = ATTACKED

  @property
  def target(self) -> str:
    """The kind of target."""
    return CLASS if self.num_classes else REAL


@dataclasses.dataclass(frozen=True)
class Attack:
  """An attack by name.

  Attributes:
    fn: `(key, view, **settings) -> AttackResult`.
    kernels: whose keyword arguments are its settings.
    reads: the intermediates that it is defined for.
    targets: the kinds of targets that it is defined for.
    two_classes: whether it is defined for two classes only.
    logits: whether it is defined only for a cut that the logits cross.
    granted: what it knows beside a view: fields of `viewing.Own`.
    optional: what it uses beside if it is there.
    share_fn: `(key, view) -> shared`: what is done once for all draws of known
      samples, and given to `fn` as a third argument; None if nothing is.
  """

  fn: on_views.AttackFn
  kernels: tuple[Callable[..., Any], ...] = ()
  reads: tuple[Name, ...] = ATTACKED
  targets: tuple[str, ...] = (CLASS,)
  two_classes: bool = False
  logits: bool = False
  granted: tuple[Name, ...] = ()
  optional: tuple[Name, ...] = ()
  share_fn: Callable[..., Any] | None = None

  @functools.cached_property
  def settings(self) -> dict[str, type]:
    """The type of every hyperparameter that can be set, by name."""
    found: dict[str, type] = {}
    for kernel in self.kernels:
      found |= _settings_of(kernel)
    return found

  def lacks(self, setup: Setup) -> str:
    """Return, in words, what a problem lacks for the attack to be defined.

    Args:
      setup: what the problem is like.

    Returns:
      Nothing, if it lacks nothing.
    """
    num_classes, widths = setup.num_classes, list(setup.cut_widths)
    if setup.target not in self.targets:
      return {
        CLASS: 'real targets (--target=real)',
        REAL: 'classes: it is not defined for real targets',
      }[setup.target]
    if Name.EXTRACTOR in self.granted and setup.u_shaped:
      return 'one cut: with two the attacker has no inputs'
    if self.two_classes and num_classes != 2:
      return f'data of two classes (--classes picks them), not {num_classes}'
    if self.logits and set(widths) != {num_classes}:
      return (
        f'a cut that the {num_classes} logits cross, after the last layer with '
        f'weights; {widths} numbers do'
      )
    reads_sent = Name.SENT in self.granted and Name.CUT_GRADS in self.reads
    attacked = Name.CUT_GRADS in setup.intermediates
    if reads_sent and attacked and 0 < setup.project_to < max(widths):
      return (
        f'what crosses to be recorded whole: --project_to=0 or at least '
        f'{max(widths)}'
      )
    return ''


def _settings_of(kernel: Callable[..., Any]) -> dict[str, type]:
  """Return the types of a kernel's keyword arguments that have plain values."""
  hints = typing.get_type_hints(kernel)
  found = {}
  for name, parameter in inspect.signature(kernel).parameters.items():
    default = parameter.default
    if isinstance(default, bool | int | float | str | tuple):
      found[name] = type(default)
    elif default is None and hints.get(name) == (int | None):
      found[name] = int
  return found


def _scores(fn: on_views.ScoreFn, text: str) -> Attack:
  """Make an entry for an attack that scores gradients of two classes."""
  attack = on_views.by_score(fn, text)
  return Attack(attack, reads=_GRADIENTS, two_classes=True)


def _heads(
  fn: on_views.AttackFn, kernel: Callable[..., Any], *granted: Name
) -> Attack:
  """Make an entry for an attack that trains a head."""
  reads = _FEATURES if granted == (Name.FEATURES,) else _OWN
  return Attack(fn, (kernel,), reads, granted=granted)


def _matching(
  fn: on_views.AttackFn, *kernels: Callable[..., Any], **others: Any
) -> Attack:
  """Make an entry for an attack that fits a top to gradients."""
  known: dict[str, Any] = {'granted': (Name.SENT,)} | others
  return Attack(fn, kernels, _GRADIENTS, **known)


_CLUSTER = (attacks.cluster_labels,)
_TRANSFER = attacks.transfer_labels
ATTACKS = types.MappingProxyType(
  {
    'strongest': Attack(
      strongest_on_views.strongest,
      targets=(CLASS, REAL),
      granted=(Name.FEATURES, Name.PASSES),
      optional=(Name.SENT,),
      share_fn=strongest_on_views.share,
    ),
    'distance': Attack(on_views.distance, (attacks.nearest_labels,)),
    'clustering': Attack(on_views.clustering, _CLUSTER),
    'clustering_paper': Attack(on_views.clustering_paper, _CLUSTER),
    'clustering_hungarian': Attack(on_views.clustering_hungarian, _CLUSTER),
    'online': Attack(on_views.online, reads=_GRADIENTS, granted=(Name.ONLINE,)),
    'spectral': Attack(on_views.spectral),
    'norm': _scores(
      attacks.norm_scores,
      'Take the length of the gradient: how wrong the model is.',
    ),
    'direction': _scores(
      attacks.direction_scores,
      'Take the cosine to the known samples of the second class.',
    ),
    'inner_product': _scores(
      attacks.inner_product_scores,
      'Take the inner product with the known samples of the second class.',
    ),
    'direct': Attack(on_views.direct, reads=_GRADIENTS, logits=True),
    'transfer': _heads(
      heads_on_views.transfer, _TRANSFER, Name.FEATURES, Name.CUT_GRADS
    ),
    'transfer_hidden': _heads(
      heads_on_views.transfer_hidden, _TRANSFER, Name.FEATURES, Name.CUT_GRADS
    ),
    'transfer_tuned': _heads(
      heads_on_views.transfer_tuned,
      attacks.tuned_transfer_labels,
      Name.CUT_GRADS,
      Name.EXTRACTOR,
    ),
    'transfer_similarity': _heads(
      heads_on_views.transfer_similarity, _TRANSFER, Name.FEATURES
    ),
    'model_completion': _heads(
      heads_on_views.model_completion, attacks.completion_labels, Name.FEATURES
    ),
    'model_completion_tuned': _heads(
      heads_on_views.model_completion_tuned,
      attacks.tuned_completion_labels,
      Name.EXTRACTOR,
    ),
    'unsplit': _matching(on_views.unsplit, attacks.unsplit_labels),
    'exploit': _matching(
      on_views.exploit,
      attacks.exploit_labels,
      granted=(Name.SENT, Name.SHARES),
    ),
    'learning_based': _matching(
      on_views.learning_based,
      attacks.learning_based_labels,
      attacks.learning_based_targets,
      targets=(CLASS, REAL),
    ),
    'gramssat': _matching(on_views.gramssat, attacks.gramssat_labels),
    'gramssat_gradients': _matching(
      on_views.gramssat_gradients, attacks.gramssat_labels
    ),
    'nearest': Attack(
      on_views.nearest, (attacks.nearest_labels,), targets=(REAL,)
    ),
    'ridge': Attack(on_views.ridge, targets=(REAL,), optional=(Name.SENT,)),
  }
)

# What is run where nothing else is asked for, by kind of target.
DEFAULTS = types.MappingProxyType(
  {
    CLASS: ('strongest', 'distance', 'clustering', 'clustering_paper'),
    REAL: ('strongest', 'nearest', 'ridge', 'learning_based'),
  }
)
