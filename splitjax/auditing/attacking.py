"""Attacks on what is audited, place by place."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from splitjax import metrics
from splitjax.attacks.choice import Choice
from splitjax.auditing.places import Place
from splitjax.auditing.places import Target
from splitjax.auditing.places import places_of
from splitjax.auditing.places import target_of
from splitjax.auditing.preparing import Prepared
from splitjax.engine import keys
from splitjax.engine import scoring
from splitjax.engine.progress import Progress
from splitjax.engine.targets import grant
from splitjax.engine.trials import predict
from splitjax.metrics import Figure
from splitjax.metrics import Guessed
from splitjax.records.intermediates import INTERMEDIATES
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.records.intermediates import granted_with
from splitjax.records.viewing import View

Figures = dict[str, Figure]


class Read(NamedTuple):
  """What an attack reads in a place.

  Attributes:
    place: the place.
    attack: the attack, as the option says it.
    figures: measures by name.
    confusion: counts over all trials, `[C, C]`; None for real targets.
    recall: recall of each class, `[C]` figures; None likewise.
    labels: what the first trial read, `[N]`.
    num_scored: samples that a trial scores.
    guessed: how often canaries were guessed right, if there are any.
  """

  place: Place
  attack: str
  figures: Figures
  confusion: np.ndarray | None
  recall: tuple[Figure, ...] | None
  labels: np.ndarray
  num_scored: int
  guessed: Guessed | None = None


def can_run(place: Place, chosen: Choice, view: View) -> str:
  """Return, in words, what a place lacks for an attack; nothing if nothing."""
  attack = chosen.attack
  if place.name not in attack.reads:
    return f'it does not read {INTERMEDIATES[place.name].title}'
  needed = frozenset(attack.granted) & granted_with(place.name)
  own = view.own
  missing = [
    name
    for name in needed - {Name.PASSES, Name.FEATURES}
    if own is None or getattr(own, name) is None
  ]
  if missing:
    titles = ' and '.join(INTERMEDIATES[x].title for x in sorted(missing))
    return f'it needs {titles}'
  return ''


def read_all(
  prepared: Prepared,
  attacks: tuple[Choice, ...],
  key: jax.Array,
  progress: Progress,
) -> Iterator[Read | tuple[str, str]]:
  """Run every attack in every place.

  Args:
    prepared: what is attacked.
    attacks: the attacks.
    key: random key of the attacks.
    progress: told of every attack.

  Yields:
    What each attack reads; or which could not run, and why.
  """
  for place in places_of(prepared):
    target = target_of(prepared, place)
    for chosen in attacks:
      lacking = can_run(place, chosen, target.view)
      if lacking:
        progress.advance()
        yield f'{chosen.text} on {place.title}', lacking
        continue
      progress.start(f'{place.phase}: {chosen.text} on {place.title}')
      yield _read(prepared, place, chosen, target, key)
      progress.advance()


def _read(
  prepared: Prepared,
  place: Place,
  chosen: Choice,
  target: Target,
  key: jax.Array,
) -> Read:
  """Run one attack, and measure what it reads."""
  attack, canaries = chosen.attack, prepared.canaries
  if place.phase != Phase.TRAINING or not place.leaks:
    canaries = None
  found = predict(
    chosen.fn,
    keys.of_place(key, place.phase, place.name),
    grant(target.view, [*attack.granted, *attack.optional]),
    share_fn=attack.share_fn,
    asked=None if canaries is None else canaries.asked,
  )
  answers = scoring.Answers(
    found.labels, target.truth, target.scored, found.scores, found.confidence
  )
  num_classes = prepared.num_classes
  num_scored = int(target.scored[0, 0].sum())
  measures, deleted = scoring.score(num_classes, answers, target.ids)
  if num_classes is None:
    # What is worse than the mean of the targets explains nothing.
    for one in (measures, deleted):
      if 'r2' in one:
        one['r2'] = np.maximum(one['r2'], 0)
  figures = {
    name: Figure(values, deleted.get(name)) for name, values in measures.items()
  }
  if num_classes is None:
    return Read(
      place, chosen.text, figures, None, None, found.labels[0, 0], num_scored
    )
  confusion = metrics.confusion_matrices(
    found.labels, target.truth, target.scored, num_classes=num_classes
  )
  recalls = scoring.recalls(num_classes, answers, target.ids)
  return Read(
    place,
    chosen.text,
    figures,
    confusion.sum(axis=(0, 1)),
    recalls,
    found.labels[0, 0],
    num_scored,
    None if canaries is None else canaries.judge(found),
  )


def guesses(prepared: Prepared, phase: Phase) -> dict[str, Figures]:
  """Return what guessing gives in the same trials.

  Args:
    prepared: what is attacked; of classes.
    phase: which samples are guessed.

  Returns:
    Figures of the majority class and of chance.
  """
  place = next(x for x in places_of(prepared) if x.phase == phase)
  target = target_of(prepared, place)
  num_classes = prepared.num_classes
  assert num_classes is not None
  return scoring.guesses(num_classes, target.truth, target.scored, target.ids)
