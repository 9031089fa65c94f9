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
  dataset: Dataset, answers: Answers, sample_ids: np.ndarray
) -> Figures:
  """Measure predictions against the truth.

  Args:
    dataset: whose labels they are.
    answers: what was predicted, and what is true.
    sample_ids: which samples they are, `[S, N]`.

  Returns:
    Figures `[S, R]`, and the same without each group of samples.
  """
  groups = metrics.assign_groups(sample_ids)
  labels, truth, scored = answers[:3]
  if dataset.is_real:
    measure_fn = lambda mask: metrics.measure_targets(labels, truth, mask)
    deleted = metrics.deleted(measure_fn, scored, groups[:, None])
    return Figures(measure_fn(scored), deleted)
  counted = (labels, truth, scored)
  num_classes = dataset.num_classes
  confusion = metrics.confusion_matrices(*counted, num_classes=num_classes)
  ranked_fn = lambda mask: _measure_ranking(answers._replace(scored=mask))
  measures = metrics.measure_all(confusion) | ranked_fn(scored)
  if not metrics.enough(scored, groups[:, None]):
    return Figures(measures, {})
  each = [
    metrics.measure_all(one)
    for one in metrics.deleted_confusions(
      *counted, groups, num_classes=num_classes
    )
  ]
  deleted = {name: np.stack([one[name] for one in each]) for name in each[0]}
  deleted |= metrics.deleted(ranked_fn, scored, groups[:, None])
  return Figures(measures, deleted)


def _measure_ranking(answers: Answers) -> Measures:
  """Return the measures that depend on the order of the samples."""
  labels, truth, scored, scores, confidence = answers
  measures = {}
  if scores is not None:
    auc = metrics.auc(scores, truth, scored)
    measures |= {'auc': auc, 'auc_either_way': np.maximum(auc, 1 - auc)}
  if confidence is not None:
    right = labels == truth
    measures['coverage_at_99'] = metrics.coverage_at(confidence, right, scored)
  return measures


def score_model(
  dataset: Dataset, phase: str, observed: Sequence[Observed]
) -> Figures:
  """Measure the models' own answers to a part of the data.

  Args:
    dataset: the data set.
    phase: 'training' or 'inference'.
    observed: what was observed of each seed.

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
  found = score(
    dataset,
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
    Figures by name, `[1, S R]`; they do not vary.
  """
  phase, num_classes = cell.phase, dataset.num_classes
  labels = dataset.labels_by_id[ids_of(dataset, phase)]
  sizes = np.bincount(labels, minlength=num_classes)
  sizes = sizes - (cell.setting.num_aux if phase == 'training' else 0)
  num_trials = sum(len(one.ids) for one in source.auxiliary)
  confusion = np.broadcast_to(
    np.diag(sizes), (1, num_trials, num_classes, num_classes)
  )
  if cell.attack == 'majority':
    measures = metrics.measure_all(metrics.majority_confusion(confusion))
  else:
    measures = metrics.measure_chance(confusion)
  if num_classes == 2:  # Equal scores for all, or random ones.
    measures['auc'] = np.full(confusion.shape[:-2], 0.5)
  return Figures(measures, {})


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
  return score(dataset, answers, np.asarray(target.view.sample_ids))


def num_scored_of(dataset: Dataset, cell: Cell) -> int:
  """Return how many samples a reference of a cell is measured on.

  Those that the attacker knows do not count where it guesses; a model is
  measured on all samples.
  """
  num = len(ids_of(dataset, cell.phase))
  if cell.attack == 'model' or cell.phase != 'training':
    return num
  return num - cell.setting.num_aux * (dataset.num_classes or 1)
