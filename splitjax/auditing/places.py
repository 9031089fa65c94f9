"""Where something is read, and what an attacker sees there."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from splitjax.auditing.material import Run
from splitjax.auditing.preparing import Prepared
from splitjax.engine.trials import stack_views
from splitjax.records import viewing
from splitjax.records.intermediates import INTERMEDIATES
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.records.viewing import View

_BASELINES = {
  Name.RAW_INPUTS: 'inputs',
  Name.UNTRAINED_SMASHED: 'untrained_smashed',
}


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
  scored = np.stack([viewing.scored_mask(one) for one in views])
  if prepared.canaries is not None and not test:
    for mask, rows in zip(scored, prepared.canaries.rows, strict=True):
      mask[:, rows] = False
  return Target(
    stack_views(views), np.stack(truth)[:, None], scored, np.stack(ids)
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
  sample_ids, found = np.arange(len(rows)), None
  if place.num_passes == 1:
    assert received is not None
    vectors = np.asarray(received.vectors)[0]
    own['passes'] = received.replace(vectors=None)
    if len(run.passes) == 1 and 'smashed' in run.arrays:
      sent = run.arrays['smashed'].vectors(rows)
      if sent.shape == vectors.shape:
        own['sent'] = sent
  elif place.num_passes:
    assert received is not None
    vectors = _mean(np.asarray(received.vectors))
  elif place.phase == Phase.INFERENCE:
    test, test_rows = run.test_arrays[array], prepared.test_rows[index]
    # Of one scale, since they are compared.
    largest = max(run.arrays[array].largest(rows), test.largest(test_rows))
    own['features'] = vectors = run.arrays[array].vectors(rows, largest)
    found = test.vectors(test_rows, largest)
    sample_ids = len(rows) + np.arange(len(found))
  else:
    own['features'] = vectors = run.arrays[array].vectors(rows)
  if prepared.num_classes:
    labels = prepared.labels[index]
    if prepared.canaries is not None:  # Not even the sum of the coins is told.
      labels = np.delete(labels, prepared.canaries.rows[index])
    counts = np.bincount(labels, minlength=prepared.num_classes)
    own['shares'] = (counts / len(labels)).astype(np.float32)
  fields: dict[str, Any] = {
    'vectors': vectors if found is None else found,
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
