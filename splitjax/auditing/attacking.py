"""Attacks on what is audited, place by place."""

from collections.abc import Iterator
import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from splitjax import metrics
from splitjax.attacks.choice import Choice
from splitjax.auditing.material import Run
from splitjax.auditing.preparing import Prepared
from splitjax.engine import keys
from splitjax.engine import scoring
from splitjax.engine.progress import Progress
from splitjax.engine.targets import grant
from splitjax.engine.trials import predict
from splitjax.engine.trials import stack_views
from splitjax.metrics import Figure
from splitjax.records import viewing
from splitjax.records.intermediates import INTERMEDIATES
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.records.intermediates import granted_with
from splitjax.records.viewing import View

_BASELINES = {
  Name.RAW_INPUTS: 'inputs',
  Name.UNTRAINED_SMASHED: 'untrained_smashed',
}
Figures = dict[str, Figure]


@dataclasses.dataclass(frozen=True)
class Place:
  """Where something is read.

  Attributes:
    phase: in training or in inference.
    name: the intermediate.
    num_passes: passes of gradients that are read; 0 for what is no gradient.
  """

  phase: Phase
  name: Name
  num_passes: int = 0

  @property
  def leaks(self) -> bool:
    """Whether what is read here is leakage; else it is a baseline."""
    return INTERMEDIATES[self.name].leaks

  @property
  def title(self) -> str:
    """What reports call it."""
    title = INTERMEDIATES[self.name].title
    if self.num_passes == 1:
      return f'{title}, first pass'
    return f'{title}, {self.num_passes} passes' if self.num_passes else title


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
  """

  place: Place
  attack: str
  figures: Figures
  confusion: np.ndarray | None
  recall: tuple[Figure, ...] | None
  labels: np.ndarray
  num_scored: int


class Target(NamedTuple):
  """What is attacked in a place, and what only the measures may see."""

  view: View
  truth: np.ndarray
  scored: np.ndarray
  ids: np.ndarray


def places_of(prepared: Prepared) -> list[Place]:
  """List the places that there is anything to read in."""
  run = prepared.runs[0]
  found = []
  if run.passes:
    found.append(Place(Phase.TRAINING, Name.CUT_GRADS, 1))
    if len(run.passes) > 1:
      found.append(Place(Phase.TRAINING, Name.CUT_GRADS, len(run.passes)))
  for phase, arrays in (
    (Phase.TRAINING, run.arrays),
    (Phase.INFERENCE, run.test_arrays),
  ):
    if 'smashed' in arrays:
      found.append(Place(phase, Name.SMASHED))
    found += [
      Place(phase, name)
      for name, array in _BASELINES.items()
      if array in arrays
    ]
  return found


def target_of(prepared: Prepared, place: Place) -> Target:
  """Return what is read in a place.

  Args:
    prepared: what is attacked.
    place: where.

  Returns:
    A view with a leading axis of runs, and the truth.
  """
  views = [_view(prepared, place, index) for index in range(len(prepared.runs))]
  test = place.phase == Phase.INFERENCE
  truth = prepared.test_labels if test else prepared.labels
  ids = prepared.test_rows if test else prepared.ids
  return Target(
    stack_views(views),
    np.stack(truth)[:, None],
    np.stack([viewing.scored_mask(one) for one in views]),
    np.stack(ids),
  )


def _view(prepared: Prepared, place: Place, index: int) -> View:
  """Return the view of an attacker of one run."""
  run, rows = prepared.runs[index], prepared.rows[index]
  known = prepared.auxiliary[index]
  own: dict[str, Any] = {
    'aux_rows': known.ids.astype(np.int32),
    'new_samples': place.phase == Phase.INFERENCE,
  }
  received = _passes(run, rows, place)
  if received is not None:
    own['passes'] = received
  array = _BASELINES.get(place.name, 'smashed')
  if place.num_passes == 1:
    assert received is not None
    vectors = np.asarray(received.vectors)[0]
    own['passes'] = received.replace(vectors=None)
  elif place.num_passes:
    assert received is not None
    vectors = _mean(np.asarray(received.vectors))
  else:
    vectors = run.arrays[array].vectors(rows)
    own['features'] = vectors
  sample_ids, found = np.arange(len(rows)), vectors
  if place.phase == Phase.INFERENCE:
    found = run.test_arrays[array].vectors(prepared.test_rows[index])
    sample_ids = len(rows) + np.arange(len(found))
  if prepared.num_classes:
    counts = np.bincount(prepared.labels[index], minlength=prepared.num_classes)
    own['shares'] = (counts / len(rows)).astype(np.float32)
  fields: dict[str, Any] = {
    'vectors': found,
    'aux_vectors': vectors[known.ids],
    'aux_labels': known.labels,
    'sample_ids': sample_ids.astype(np.int32),
    'aux_ids': known.ids.astype(np.int32),
  }
  return viewing.View(
    **fields,
    num_classes=prepared.num_classes or 0,
    own=viewing.Own(**own),
  )


def _passes(run: Run, rows: np.ndarray, place: Place) -> viewing.Passes | None:
  """Return the gradients that an attacker of a place has, None without."""
  passes = run.passes[: place.num_passes] if place.num_passes else run.passes
  if not passes or not (place.num_passes or place.name == Name.SMASHED):
    return None
  found = [one.vectors(rows) for one in passes]
  arrays: dict[str, Any] = {
    'vectors': found[0][None] if len(found) == 1 else np.stack(found),
    'steps': run.steps[: len(passes)][:, rows],
  }
  return viewing.Passes(**arrays)


def _mean(passes: np.ndarray) -> np.ndarray:
  """Return each sample's mean direction over passes, `[N, D]`."""
  total = np.zeros(passes.shape[1:], np.float32)
  for one in passes:
    lengths = np.linalg.norm(one, axis=1, keepdims=True)
    total += one / np.where(lengths > 0, lengths, 1)
  return total / len(passes)


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
  found = predict(
    chosen.fn,
    keys.of_place(key, place.phase, place.name),
    grant(target.view, chosen.attack.granted),
    share_fn=chosen.attack.share_fn,
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
