"""The active attacker: which part of a model cheats, and how it is named."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments import common
from splitjax.engine import pipeline
from splitjax.engine import problems
from splitjax.engine import summary

HONEST = problems.Config(
  num_train=200, epochs=1, batch_size=100, num_seeds=1, num_aux_draws=1
)


def _clients(config):
  """The parts but the last after two steps, and what the model answers."""
  problem = problems.check(config)
  with common.Progress(1) as progress:
    [[observed]] = pipeline.observe(
      problem, problem.recipe(read=('client',)), jax.random.key(0), progress
    )
  return observed.clients[0], observed.logits['training']


def _equal(one, other):
  pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
  return all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize(('cuts', 'cheating'), [((3,), 0), ((3, 7), 1)])
def test_only_the_attackers_part_is_trained_otherwise(cuts, cheating):
  """In the second step, the first in which a gradient can keep its sign."""
  honest = dataclasses.replace(HONEST, cuts=cuts)
  parts, logits = _clients(honest)
  others, other_logits = _clients(
    dataclasses.replace(honest, malicious_client=True)
  )
  same = [_equal(x, y) for x, y in zip(parts, others, strict=True)]
  assert same == [index != cheating for index in range(len(cuts))]
  assert not np.array_equal(logits, other_logits)


def test_results_say_that_the_attacker_is_active():
  config = dataclasses.replace(HONEST, malicious_client=True)
  problem = problems.check(config)
  assert problem.setting.model == 'mlp+malicious_client'
  facts = summary.facts_of(problem, [], problem.setting, 'accuracy')
  assert any(fact.startswith('ACTIVE attacker') for fact in facts)
  honest = problems.check(HONEST)
  facts = summary.facts_of(honest, [], honest.setting, 'accuracy')
  assert not any('ACTIVE' in fact for fact in facts)
