"""Predictions and truth to numbers: the only room that sees both."""

from splitjax.metrics.classification import accuracy as accuracy
from splitjax.metrics.classification import ari as ari
from splitjax.metrics.classification import auc as auc
from splitjax.metrics.classification import (
  balanced_accuracy as balanced_accuracy,
)
from splitjax.metrics.classification import f1 as f1
from splitjax.metrics.classification import macro_f1 as macro_f1
from splitjax.metrics.classification import measure_all as measure_all
from splitjax.metrics.classification import measure_chance as measure_chance
from splitjax.metrics.classification import oracle_accuracy as oracle_accuracy
from splitjax.metrics.confusion import confusion_matrices as confusion_matrices
from splitjax.metrics.confusion import majority_confusion as majority_confusion
from splitjax.metrics.intervals import bootstrap_interval as bootstrap_interval
from splitjax.metrics.regression import measure_targets as measure_targets

__all__ = [
  'accuracy',
  'ari',
  'auc',
  'balanced_accuracy',
  'bootstrap_interval',
  'confusion_matrices',
  'f1',
  'macro_f1',
  'majority_confusion',
  'measure_all',
  'measure_chance',
  'measure_targets',
  'oracle_accuracy',
]
