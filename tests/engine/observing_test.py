"""Trainings with records, and the active attacker's part in them."""

import dataclasses

from flax import linen as nn
import jax
import numpy as np
import pytest

from splitjax import engine
from splitjax.engine import facts
from splitjax.engine import observing
from splitjax.engine import problems
from splitjax.engine import recipes
from splitjax.engine import sketches
from splitjax.engine import sources
from splitjax.engine.progress import SILENT
from splitjax.engine.study import point_of
from splitjax.models import layers
from splitjax.records import viewing

HONEST = engine.Config(
  num_train=200, epochs=1, batch_size=100, num_seeds=1, num_aux_draws=1
)


def _observe(config, **changes):
  problem = problems.check(config)
  recipe = dataclasses.replace(recipes.recipe_of(problem), **changes)
  [[observed]] = observing.observe(
    problem, recipe, [point_of(problem)], jax.random.key(0), SILENT
  )
  return problem, observed


def test_a_seed_is_the_same_whatever_their_number():
  """Alone it is no batch of one: the last bits may differ."""
  problem, alone = _observe(HONEST)
  problem = dataclasses.replace(
    problem, config=dataclasses.replace(problem.config, num_seeds=3)
  )
  [runs] = observing.observe(
    problem,
    recipes.recipe_of(problem),
    [point_of(problem)],
    jax.random.key(0),
    SILENT,
  )
  for one, other in (
    (alone.cut_grads[1][0], runs[0].cut_grads[1][0]),
    (alone.smashed['training'][0], runs[0].smashed['training'][0]),
  ):
    np.testing.assert_array_equal(one.sample_ids, other.sample_ids)
    np.testing.assert_allclose(one.vectors, other.vectors, rtol=1e-4, atol=1e-6)
  assert not np.allclose(
    runs[1].cut_grads[1][0].vectors, alone.cut_grads[1][0].vectors, atol=1e-4
  )


def _clients(config):
  """The parts but the last after two steps, and what the model answers."""
  _, observed = _observe(config, read=frozenset({'client'}))
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
  found = facts.facts_of(problem, [], problem.setting, 'accuracy')
  assert any(fact.startswith('ACTIVE attacker') for fact in found)
  honest = problems.check(HONEST)
  found = facts.facts_of(honest, [], honest.setting, 'accuracy')
  assert not any('ACTIVE' in fact for fact in found)


def test_recipe_keeps_what_attacks_are_granted_and_no_more():
  recipe = lambda **kwargs: recipes.recipe_of(
    problems.check(engine.Config(**kwargs))
  )
  plain = {'cut_grads', 'smashed', 'untrained_smashed'}
  assert recipe(attacks=('distance',)).read == plain
  assert recipe(attacks=('exploit',)).read == plain | {'sent'}
  assert recipe(attacks=('online',)).read == plain | {'online'}
  tuned = recipe(attacks=('model_completion_tuned',)).read
  assert tuned == plain | {'client'}
  smashed = recipe(attacks=('distance',), intermediates=('cut_grads',))
  assert smashed.read == {'cut_grads'}


def test_gradients_answer_the_smashed_data_that_was_sent():
  """Both in the order of the batches, an example a row."""
  config = dataclasses.replace(
    HONEST,
    attacks=('exploit',),
    model=[layers.flatten, nn.Dense(10), jax.nn.log_softmax],
  )
  problem, observed = _observe(config)
  (grads,), (sent,) = observed.cut_grads[1], observed.sent[1]
  np.testing.assert_array_equal(grads.sample_ids, sent.sample_ids)
  assert sorted(grads.sample_ids) == list(problem.dataset.train_ids)
  assert grads.metadata['cut'] == 2  # What crosses are the logits.
  probabilities = jax.nn.softmax(sent.vectors)
  labels = problem.dataset.labels_by_id[sent.sample_ids]
  expected = (probabilities - np.eye(10)[labels]) / 100
  np.testing.assert_allclose(grads.vectors, expected, rtol=1e-3, atol=1e-6)


def _source(config, **kwargs):
  problem = problems.check(config)
  recipe = recipes.recipe_of(problem, recorded_epochs=(1, 2))
  [runs] = observing.observe(
    problem, recipe, [point_of(problem)], jax.random.key(0), SILENT
  )
  source = sources.Source(runs, [], problem.plan, problem.model, **kwargs)
  return problem, source


def test_passes_have_the_rows_asked_for():
  config = dataclasses.replace(HONEST, epochs=2, defense='mixup:alpha=0.5')
  problem, source = _source(config, num_passes=2)
  ids = problem.dataset.train_ids[::-1]
  found = source.passes_of(0, ids, 'cut_grads')
  one = source.observed[0]
  for index, epoch in enumerate((1, 2)):
    record = one.cut_grads[epoch][0]
    rows, _ = viewing.rows_of(ids, record.sample_ids)
    np.testing.assert_array_equal(found.vectors[index], record.vectors[rows])
    np.testing.assert_array_equal(found.steps[index], record.steps[rows])
    weights, partners = one.pairs[epoch]
    np.testing.assert_array_equal(found.weights[index], weights[rows])
    np.testing.assert_array_equal(ids[found.partners[index]], partners[rows])
  assert found.counters == ('pairs',) and found.channel is None


def test_of_smashed_data_all_recorded_passes_are_known():
  config = dataclasses.replace(HONEST, epochs=2, defense='label_dp:per_use=1')
  problem, source = _source(config)
  ids = problem.dataset.train_ids
  assert source.passes_of(0, ids, 'cut_grads').vectors.shape[0] == 1
  found = source.passes_of(0, ids, 'smashed')
  assert found.vectors.shape[0] == 2 and found.fresh_labels
  assert found.channel.probabilities.shape == (10, 10)


def test_records_keep_the_shape_of_the_cut():
  config = dataclasses.replace(
    HONEST, model='conv_net', cuts=(1, 7), project_to=600
  )
  problem, observed = _observe(config)
  kept = sketches.kept_shapes(
    problem.model, problem.dataset.train_inputs[:1], 600
  )
  found = [x.vectors.shape[1:] for x in observed.cut_grads[1]]
  assert found == [tuple(x) for x in kept]
  assert len(found[0]) == 3 and np.prod(found[0]) <= 600
