"""No attack sees what it is to find."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from splitjax import engine
from splitjax.attacks.catalog import ATTACKS
from splitjax.engine import observing
from splitjax.engine import problems
from splitjax.engine import recipes
from splitjax.engine import targets
from splitjax.engine.progress import SILENT
from splitjax.engine.sources import Source
from splitjax.engine.study import point_of
from splitjax.engine.trials import predict

# Those that take more than some seconds to compile and to fit.
_LONG = ('tuned', 'gramssat', 'unsplit', 'exploit', 'learning', 'completion')
_NAMES = [name for name, one in ATTACKS.items() if 'class' in one.targets]


@functools.cache
def _problem_and_source():
  config = engine.Config(
    dataset='digits',
    classes=('0', '1'),
    num_train=60,
    num_test=20,
    hidden_sizes=(8, 2),
    cuts=(5,),  # The logits cross: every attack applies.
    epochs=1,
    num_seeds=1,
    num_aux_draws=1,
    attacks=('all',),
  )
  problem = problems.check(config)
  recipe = recipes.recipe_of(problem)
  [runs] = observing.observe(
    problem, recipe, [point_of(problem)], jax.random.key(0), SILENT
  )
  auxiliary = targets.draw_auxiliary(problem, 1)
  return problem, Source(runs, auxiliary, problem.plan, problem.model)


def _with_other_truth(problem, source):
  """Permute all labels but those of the auxiliary samples."""
  dataset = problem.dataset
  labels = dataset.train_labels.copy()
  hidden = ~np.isin(dataset.train_ids, source.auxiliary[0].ids)
  labels[hidden] = np.random.default_rng(0).permutation(labels[hidden])
  assert (labels != dataset.train_labels).any()
  tests = np.roll(dataset.test_labels, 1)
  return dataclasses.replace(dataset, train_labels=labels, test_labels=tests)


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(
      name,
      marks=[pytest.mark.slow] if any(x in name for x in _LONG) else [],
    )
    for name in _NAMES
  ],
)
def test_truth_of_scored_samples_changes_no_answer(name):
  problem, source = _problem_and_source()
  attack = ATTACKS[name]
  place = 'cut_grads' if 'cut_grads' in attack.reads else 'smashed'
  answers = []
  for dataset in (problem.dataset, _with_other_truth(problem, source)):
    target = targets.make_target(
      dataset, source, 'training', place, granted=attack.granted
    )
    view = targets.grant(target.view, attack.granted)
    answers.append(predict(attack.fn, jax.random.key(1), view))
    answers.append(target.truth)
  one, truth, other, other_truth = answers
  assert (truth != other_truth).any()
  np.testing.assert_array_equal(one.labels, other.labels)
