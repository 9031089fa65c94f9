"""Attacks by name, and for what each is defined."""

from collections.abc import Sequence
import dataclasses

from experiments import common
from splitjax import attacks
from splitjax.attacks import on_views
from splitjax.engine import trials

_GRADIENTS = ('cut_grads',)
_OWN = ('smashed', 'extracted')  # What a network of the attacker's makes.
_FEATURES = (*_OWN, 'untrained_smashed', 'raw_inputs')
ANYTHING = (*_GRADIENTS, *_FEATURES)


@dataclasses.dataclass(frozen=True)
class Attack:
  """An attack by name.

  Attributes:
    fn: what it does.
    reads: the intermediates that it is defined for.
    two_classes: whether it is defined for two classes only.
    logits: whether it is defined for a cut that logits cross, only.
    granted: what it knows beside a view, fields of `viewing.Own`.
  """

  fn: trials.AttackFn
  reads: tuple[str, ...] = ANYTHING
  two_classes: bool = False
  logits: bool = False
  granted: tuple[str, ...] = ()

  def lacks(
    self,
    num_classes: int,
    cut_widths: Sequence[int],
    project_to: int,
    u_shaped: bool = False,
  ) -> str:
    """What a problem lacks for the attack to be defined, in words.

    Args:
      num_classes: of the problem.
      cut_widths: how many numbers cross each cut.
      project_to: what is wider is recorded through a projection; 0 for none.
      u_shaped: whether the attacker is the server in the middle.

    Returns:
      Nothing, if it lacks nothing.
    """
    if 'extractor' in self.granted and u_shaped:
      return 'one cut: with two the attacker has no inputs'
    if self.two_classes and num_classes != 2:
      return f'data of two classes (--classes picks them), not {num_classes}'
    if self.logits and set(cut_widths) != {num_classes}:
      return (
        f'a cut that the {num_classes} logits cross, after the last layer with '
        f'weights; {list(cut_widths)} numbers do'
      )
    if 'sent' in self.granted and 0 < project_to < max(cut_widths):
      return (
        f'what crosses to be recorded whole: --project_to=0 or at least '
        f'{max(cut_widths)}'
      )
    return ''


ATTACKS = {
  'distance': Attack(on_views.distance),
  'clustering': Attack(on_views.clustering),
  'clustering_paper': Attack(on_views.clustering_paper),
  'clustering_hungarian': Attack(on_views.clustering_hungarian),
  'online': Attack(on_views.online, _GRADIENTS, granted=('online',)),
  'spectral': Attack(on_views.spectral),
  'norm': Attack(
    on_views.by_score(
      attacks.norm_scores, 'The length of the gradient: how wrong the model is.'
    ),
    _GRADIENTS,
    two_classes=True,
  ),
  'direction': Attack(
    on_views.by_score(
      attacks.direction_scores,
      'The cosine to the known samples of the second class.',
    ),
    _GRADIENTS,
    two_classes=True,
  ),
  'inner_product': Attack(
    on_views.by_score(
      attacks.inner_product_scores,
      'The inner product with the known samples of the second class.',
    ),
    _GRADIENTS,
    two_classes=True,
  ),
  'direct': Attack(on_views.direct, _GRADIENTS, logits=True),
  'transfer': Attack(
    on_views.transfer, _OWN, granted=('features', 'cut_grads')
  ),
  'transfer_hidden': Attack(
    on_views.transfer_hidden, _OWN, granted=('features', 'cut_grads')
  ),
  'transfer_tuned': Attack(
    on_views.transfer_tuned, _OWN, granted=('cut_grads', 'extractor')
  ),
  'transfer_similarity': Attack(
    on_views.transfer_similarity, _FEATURES, granted=('features',)
  ),
  'model_completion': Attack(
    on_views.model_completion, _FEATURES, granted=('features',)
  ),
  'model_completion_tuned': Attack(
    on_views.model_completion_tuned, _OWN, granted=('extractor',)
  ),
  'unsplit': Attack(on_views.unsplit, _GRADIENTS, granted=('sent',)),
  'exploit': Attack(on_views.exploit, _GRADIENTS, granted=('sent',)),
  'learning_based': Attack(
    on_views.learning_based, _GRADIENTS, granted=('sent',)
  ),
  'gramssat': Attack(on_views.gramssat, _GRADIENTS, granted=('sent',)),
}


def find_attacks(
  names: Sequence[str],
  num_classes: int,
  cut_widths: Sequence[int],
  project_to: int,
  u_shaped: bool = False,
) -> tuple[str, ...]:
  """The attacks named, or of all those that are defined for a problem.

  Args:
    names: of attacks, or 'all' alone: the others are then warned of.
    num_classes: of the problem.
    cut_widths: how many numbers cross each cut.
    project_to: what is wider is recorded through a projection; 0 for none.
    u_shaped: whether the attacker is the server in the middle.

  Returns:
    Their names.

  Raises:
    common.FlagError: if one that is named is not defined for the problem.
  """
  lacking = {
    name: attack.lacks(num_classes, cut_widths, project_to, u_shaped)
    for name, attack in ATTACKS.items()
  }
  if tuple(names) == ('all',):
    for name, expected in lacking.items():
      if expected:
        common.warn(f'{name} does not apply: it needs {expected}')
    return tuple(name for name, expected in lacking.items() if not expected)
  for name in names:
    if lacking[name]:
      raise common.FlagError('attacks', name, lacking[name])
  return tuple(names)
