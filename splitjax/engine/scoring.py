"""Figures of predictions, by kind of target: only here truth meets attacks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from splitjax import metrics
from splitjax.data.dataset import Dataset
from splitjax.engine.observed import Observed
from splitjax.engine.observed import ids_of
from splitjax.engine.sources import Source
from splitjax.engine.targets import Target
from splitjax.metrics import Figure
from splitjax.results import Cell

Measures = dict[str, np.ndarray]


class Answers(NamedTuple):
  """What was answered, and what is true.

  Attributes:
    labels: predicted classes or real targets, `[S, R, N]`.
    truth: the true labels, `[S, 1, N]` or `[N]`.
    scored: which of them count, `[S, R, N]`.
    scores: how much more likely class 1 is, `[S, R, N]`, if there are any.
    confidence: how sure each answer is, `[S, R, N]`, if that is known.
  """

  labels: np.ndarray
  truth: np.ndarray
  scored: np.ndarray
  scores: np.ndarray | None = None
  confidence: np.ndarray | None = None


class Figures(NamedTuple):
  """How good answers are.

  Attributes:
    measures: by name, `[S, R]`.
    deleted: the same without each group of samples, `[G, S, R]`, for intervals;
      not all measures have it.
  """

  measures: Measures
  deleted: Measures


def score(
  num_classes: int | None, answers: Answers, sample_ids: np.ndarray
) -> Figures:
  """Measure predictions against the truth.

  Args:
    num_classes: number of classes; None for real targets.
    answers: what was predicted, and what is true.
    sample_ids: which samples they are, `[S, N]`.

  Returns:
    Figures `[S, R]`, and the same without each group of samples.
  """
  groups = metrics.assign_groups(sample_ids)
  labels, truth, scored = answers[:3]
  if num_classes is None:
    measure_fn = lambda mask: metrics.measure_targets(labels, truth, mask)
    deleted = metrics.deleted(measure_fn, scored, groups[:, None])
    return Figures(measure_fn(scored), deleted)
  counted = (labels, truth, scored)
  confusion = metrics.confusion_matrices(*counted, num_classes=num_classes)
  measures = metrics.measure_all(confusion) | _measure_scores(answers)
  if answers.confidence is not None:
    measures['coverage_at_99'] = metrics.coverage_at(
      answers.confidence, labels == truth, scored
    )
  if not metrics.enough(scored, groups[:, None]):
    return Figures(measures, {})
  each = [
    metrics.measure_all(one)
    for one in metrics.deleted_confusions(
      *counted, groups, num_classes=num_classes
    )
  ]
  deleted = {name: np.stack([one[name] for one in each]) for name in each[0]}
  scores_fn = lambda mask: _measure_scores(answers._replace(scored=mask))
  deleted |= metrics.deleted(scores_fn, scored, groups[:, None])
  return Figures(measures, deleted)


def _measure_scores(answers: Answers) -> Measures:
  """Return the measures of how likely class 1 is said to be."""
  if answers.scores is None:
    return {}
  auc = metrics.auc(answers.scores, answers.truth, answers.scored)
  return {'auc': auc, 'auc_either_way': np.maximum(auc, 1 - auc)}


def recalls(
  num_classes: int, answers: Answers, sample_ids: np.ndarray
) -> tuple[Figure, ...]:
  """Measure how many of each class are found.

  Args:
    num_classes: number of classes, `C`.
    answers: what was predicted, and what is true.
    sample_ids: which samples they are, `[S, N]`.

  Returns:
    The recall of each class, `C` figures; NaN in a trial that has none of it.
  """
  groups = metrics.assign_groups(sample_ids)
  counted = answers[:3]

  def of(confusion: np.ndarray) -> np.ndarray:
    sizes = confusion.sum(-1)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.where(sizes > 0, hits / np.maximum(sizes, 1), np.nan)

  whole = of(metrics.confusion_matrices(*counted, num_classes=num_classes))
  deleted = None
  if metrics.enough(answers.scored, groups[:, None]):
    parts = metrics.deleted_confusions(
      *counted, groups, num_classes=num_classes
    )
    deleted = np.stack([of(one) for one in parts])
  return tuple(
    Figure(whole[..., c], None if deleted is None else deleted[..., c])
    for c in range(num_classes)
  )


def guesses(
  num_classes: int,
  truth: np.ndarray,
  scored: np.ndarray,
  sample_ids: np.ndarray,
) -> dict[str, dict[str, Figure]]:
  """Measure what guessing gives in given trials.

  Args:
    num_classes: number of classes.
    truth: the true classes, `[S, 1, N]`.
    scored: which of them count, `[S, R, N]`.
    sample_ids: which samples they are, `[S, N]`.

  Returns:
    Figures of 'majority', the largest class for all, and of 'chance', each
    class equally often.
  """
  groups = metrics.assign_groups(sample_ids)
  labels = np.broadcast_to(truth, scored.shape)
  counted = (labels, truth, scored)
  whole = metrics.confusion_matrices(*counted, num_classes=num_classes)
  parts: list[np.ndarray] = []
  if metrics.enough(scored, groups[:, None]):
    parts = list(
      metrics.deleted_confusions(*counted, groups, num_classes=num_classes)
    )
  found = {}
  for name, measure_fn in {
    'majority': lambda x: metrics.measure_all(metrics.majority_confusion(x)),
    'chance': metrics.measure_chance,
  }.items():
    each = [measure_fn(one) for one in parts]
    found[name] = {
      measure: Figure(
        values, np.stack([one[measure] for one in each]) if each else None
      )
      for measure, values in measure_fn(whole).items()
    }
  return found


def score_model(
  dataset: Dataset,
  phase: str,
  observed: Sequence[Observed],
  counted: np.ndarray | None = None,
) -> Figures:
  """Measure the models' own answers to a part of the data.

  Args:
    dataset: the data set.
    phase: 'training' or 'inference'.
    observed: what was observed of each seed.
    counted: ids of the samples that count; all by default.

  Returns:
    Figures by name, `[S, 1]`.
  """
  logits = np.stack([one.logits[phase] for one in observed])[:, None]
  ids = ids_of(dataset, phase)
  truth = dataset.labels_by_id[ids]
  scores = None
  if dataset.is_real:
    labels = dataset.in_units(logits[..., 0])
  else:
    labels = logits.argmax(-1)
    if dataset.num_classes == 2:
      scores = logits[..., 1] - logits[..., 0]
  scored = np.ones(labels.shape, bool)
  if counted is not None:
    scored &= np.isin(ids, counted)
  found = score(
    num_classes_of(dataset),
    Answers(labels, truth, scored, scores),
    np.broadcast_to(ids, (len(labels), len(ids))),
  )
  diverged = np.array([[float(one.diverged)] for one in observed])
  if not diverged.any():
    return found
  return found._replace(measures=found.measures | {'diverged': diverged})


def score_guess(dataset: Dataset, cell: Cell, source: Source) -> Figures:
  """Measure what guessing gives: the majority class, or any class at random.

  Of the training set, the samples that the attacker knows do not count; in
  every trial these are as many of each class.

  Args:
    dataset: the data set, of classes.
    cell: its attack is 'majority' or 'chance'.
    source: says how many trials there are.

  Returns:
    Figures by name, `[1, S R]`.
  """
  phase, num_classes = cell.phase, dataset.num_classes
  ids = source.counted_ids(dataset, phase)
  labels = dataset.labels_by_id[ids]
  sizes = np.bincount(labels, minlength=num_classes)
  sizes = sizes - (cell.setting.num_aux if phase == 'training' else 0)
  num_trials = sum(len(one.ids) for one in source.auxiliary)
  guess_fn = metrics.measure_chance
  if cell.attack == 'majority':
    guess_fn = lambda x: metrics.measure_all(metrics.majority_confusion(x))

  def measure(sizes: np.ndarray) -> Measures:
    shape = (1, num_trials, num_classes, num_classes)
    return guess_fn(np.broadcast_to(np.diag(sizes), shape))

  measures = measure(sizes)
  if num_classes == 2:  # Equal scores for all, or random ones.
    measures['auc'] = np.full((1, num_trials), 0.5)
  groups = metrics.assign_groups(ids)
  each = [
    measure(
      np.maximum(
        sizes - np.bincount(labels[groups == group], minlength=num_classes), 0
      )
    )
    for group in range(groups.max() + 1)
  ]
  deleted = {name: np.stack([one[name] for one in each]) for name in each[0]}
  return Figures(measures, deleted)


def score_mean(dataset: Dataset, target: Target) -> Figures:
  """Measure the mean of the known targets as a prediction of all.

  Args:
    dataset: the data set, of real targets.
    target: a view with the known targets, and the truth.

  Returns:
    Figures by name, `[S, R]`.
  """
  means = target.view.aux_labels.mean(-1, keepdims=True)
  predictions = np.broadcast_to(means, target.scored.shape)
  answers = Answers(predictions, target.truth, target.scored)
  return score(None, answers, np.asarray(target.view.sample_ids))


def num_classes_of(dataset: Dataset) -> int | None:
  """Return the number of classes; None for real targets."""
  return None if dataset.is_real else dataset.num_classes


def num_scored_of(dataset: Dataset, cell: Cell, source: Source) -> int:
  """Return how many samples a reference of a cell is measured on.

  Those that the attacker knows do not count where it guesses; a model is
  measured on all samples.
  """
  num = len(source.counted_ids(dataset, cell.phase))
  if cell.attack == 'model' or cell.phase != 'training':
    return num
  return num - cell.setting.num_aux * (dataset.num_classes or 1)
