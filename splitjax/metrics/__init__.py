"""Predictions and truth to numbers: the only room that sees both."""

from splitjax.metrics.canaries import Guessed as Guessed
from splitjax.metrics.canaries import judge_guesses as judge_guesses
from splitjax.metrics.canaries import num_testing as num_testing
from splitjax.metrics.canaries import weigh_answers as weigh_answers
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
from splitjax.metrics.coverage import coverage_at as coverage_at
from splitjax.metrics.intervals import DIFFERENCE as DIFFERENCE
from splitjax.metrics.intervals import REAL as REAL
from splitjax.metrics.intervals import SHARE as SHARE
from splitjax.metrics.intervals import bounds_of as bounds_of
from splitjax.metrics.intervals import interval as interval
from splitjax.metrics.intervals import population as population
from splitjax.metrics.intervals import simultaneous as simultaneous
from splitjax.metrics.jackknife import assign_groups as assign_groups
from splitjax.metrics.jackknife import deleted as deleted
from splitjax.metrics.jackknife import deleted_confusions as deleted_confusions
from splitjax.metrics.jackknife import enough as enough
from splitjax.metrics.leakage import FAIL as FAIL
from splitjax.metrics.leakage import INCONCLUSIVE as INCONCLUSIVE
from splitjax.metrics.leakage import PASS as PASS
from splitjax.metrics.leakage import Figure as Figure
from splitjax.metrics.leakage import Judgement as Judgement
from splitjax.metrics.leakage import Leakage as Leakage
from splitjax.metrics.leakage import judge as judge
from splitjax.metrics.leakage import judged_by as judged_by
from splitjax.metrics.leakage import needed as needed
from splitjax.metrics.one_run import epsilon_lower as epsilon_lower
from splitjax.metrics.regression import measure_targets as measure_targets

__all__ = [
  'DIFFERENCE',
  'FAIL',
  'Figure',
  'Guessed',
  'INCONCLUSIVE',
  'Judgement',
  'Leakage',
  'PASS',
  'REAL',
  'SHARE',
  'accuracy',
  'ari',
  'assign_groups',
  'auc',
  'balanced_accuracy',
  'bounds_of',
  'confusion_matrices',
  'coverage_at',
  'deleted',
  'deleted_confusions',
  'enough',
  'epsilon_lower',
  'f1',
  'interval',
  'judge',
  'judge_guesses',
  'judged_by',
  'macro_f1',
  'majority_confusion',
  'measure_all',
  'measure_chance',
  'measure_targets',
  'needed',
  'num_testing',
  'oracle_accuracy',
  'population',
  'simultaneous',
  'weigh_answers',
]
