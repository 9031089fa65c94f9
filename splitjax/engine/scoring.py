"""Figures of predictions, by kind of target: only here truth meets attacks."""

from collections.abc import Sequence

import numpy as np

from splitjax import metrics
from splitjax.data.dataset import Dataset
from splitjax.engine.observed import Observed
from splitjax.engine.observed import ids_of
from splitjax.engine.sources import Source
from splitjax.engine.targets import Target
from splitjax.results import Cell

Measures = dict[str, np.ndarray]


def score(
  dataset: Dataset,
  labels: np.ndarray,
  scores: np.ndarray | None,
  truth: np.ndarray,
  scored: np.ndarray | None = None,
) -> Measures:
  """Measure predictions against the truth.

  Args:
    dataset: whose labels they are.
    labels: predicted classes or real targets, `[S, R, N]`.
    scores: how much more likely class 1 is, `[S, R, N]`, if there are any.
    truth: the true labels, of a shape that broadcasts with `labels`.
    scored: which of them count, in the same way; all by default.

  Returns:
    Figures by name, `[S, R]`.
  """
  if dataset.is_real:
    return metrics.measure_targets(labels, truth, scored)
  confusion = metrics.confusion_matrices(
    labels, truth, scored, num_classes=dataset.num_classes
  )
  measures = metrics.measure_all(confusion)
  if scores is not None:
    auc = metrics.auc(scores, truth, scored)
    measures |= {'auc': auc, 'auc_either_way': np.maximum(auc, 1 - auc)}
  return measures


def score_model(
  dataset: Dataset, phase: str, observed: Sequence[Observed]
) -> Measures:
  """Measure the models' own answers to a part of the data.

  Args:
    dataset: the data set.
    phase: 'training' or 'inference'.
    observed: what was observed of each seed.

  Returns:
    Figures by name, `[S, 1]`.
  """
  logits = np.stack([one.logits[phase] for one in observed])[:, None]
  truth = dataset.labels_by_id[ids_of(dataset, phase)]
  if dataset.is_real:
    measures = score(dataset, dataset.in_units(logits[..., 0]), None, truth)
  else:
    scores = None
    if dataset.num_classes == 2:
      scores = logits[..., 1] - logits[..., 0]
    measures = score(dataset, logits.argmax(-1), scores, truth)
  diverged = np.array([[float(one.diverged)] for one in observed])
  return measures | ({'diverged': diverged} if diverged.any() else {})


def score_guess(dataset: Dataset, cell: Cell, source: Source) -> Measures:
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
  return measures


def score_mean(dataset: Dataset, target: Target) -> Measures:
  """Measure the mean of the known targets as a prediction of all.

  Args:
    dataset: the data set, of real targets.
    target: a view with the known targets, and the truth.

  Returns:
    Figures by name, `[S, R]`.
  """
  means = target.view.aux_labels.mean(-1, keepdims=True)
  predictions = np.broadcast_to(means, target.scored.shape)
  return score(dataset, predictions, None, target.truth, target.scored)


def num_scored_of(dataset: Dataset, cell: Cell) -> int:
  """Return how many samples a reference of a cell is measured on.

  Those that the attacker knows do not count where it guesses; a model is
  measured on all samples.
  """
  num = len(ids_of(dataset, cell.phase))
  if cell.attack == 'model' or cell.phase != 'training':
    return num
  return num - cell.setting.num_aux * (dataset.num_classes or 1)
