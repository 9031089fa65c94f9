"""Passes of a source, each row tagged with the id of its sample."""

import jax
import numpy as np
import pytest

from splitjax.defenses import parsing
from splitjax.defenses.defense import Facts
from splitjax.defenses.plan import Plan
from splitjax.engine.observed import Observed
from splitjax.engine.sources import Source
from splitjax.models import mlp
from splitjax.records.recording import Record
from splitjax.training.split import SplitModel

MODEL = SplitModel(mlp(3, hidden_sizes=(4, 4)), (3, 5))
EPOCHS, BATCH = (2, 3, 5), 4
# Ids are no rows: they start late and leave gaps.
IDS = 100 + 3 * np.arange(10)
FACTS = Facts(prior=(0.5, 0.3, 0.2), num_samples=10, batch_size=4, epochs=5)
READ = ['cut_grads', 'smashed', 'untrained_smashed', 'extracted', 'raw_inputs']


def _plan(text):
  return Plan(parsing.parse('defense', text), FACTS)


def _tags(ids, epoch, cut, seed):
  """Vectors of shape `[2, 2]` that say what they are of."""
  ids = np.asarray(ids)
  columns = (ids, *(np.full(len(ids), x) for x in (epoch, cut, seed)))
  return np.stack(columns, axis=1).astype(np.float32).reshape(-1, 2, 2)


def _observed(seed, paired):
  """Passes in an order of their own, with partners of the same batch."""
  rng = np.random.default_rng(seed)
  cut_grads, pairs = {}, {}
  for epoch in EPOCHS:
    order = rng.permutation(IDS)
    steps = np.arange(len(IDS)) // BATCH
    cut_grads[epoch] = tuple(
      Record('cut_grads', _tags(order, epoch, cut, seed), order, steps, {})
      for cut in range(2)
    )
    partners = np.concatenate(
      [rng.permutation(order[steps == step]) for step in np.unique(steps)]
    )
    pairs[epoch] = order / 1000 + epoch, partners
  if not paired:
    pairs = {}
  return Observed(cut_grads, {}, {}, {}, {}, {}, {}, pairs=pairs)


def _source(plan='none', paired=False, **kwargs):
  observed = [_observed(seed, paired) for seed in range(2)]
  kwargs = {'epoch': 2} | kwargs
  return Source(observed, [], _plan(plan), MODEL, **kwargs)


@pytest.mark.parametrize('cut', [0, 1])
@pytest.mark.parametrize('seed', [0, 1])
@pytest.mark.parametrize('name', READ)
def test_rows_are_of_the_ids_asked_for_in_every_pass(name, seed, cut):
  source = _source(cut=cut, epoch=2, num_passes=2)
  ids = np.random.default_rng(5).permutation(IDS)
  found = source.passes_of(seed, ids, name)
  epochs = (2, 3) if name == 'cut_grads' else EPOCHS
  expected = [_tags(ids, epoch, cut, seed).reshape(10, 4) for epoch in epochs]
  np.testing.assert_array_equal(found.vectors, expected)
  assert found.partners is None and found.weights is None


@pytest.mark.parametrize(
  ('epoch', 'num_passes', 'epochs'), [(2, 1, [2]), (3, 1, [3]), (2, 2, [2, 3])]
)
def test_of_gradients_the_passes_that_are_attacked_are_known_alone(
  epoch, num_passes, epochs
):
  source = _source(epoch=epoch, num_passes=num_passes)
  found = source.passes_of(0, IDS, 'cut_grads')
  np.testing.assert_array_equal(found.vectors[:, 0, 1], epochs)
  whole = source.passes_of(0, IDS, 'smashed')
  np.testing.assert_array_equal(whole.vectors[:, 0, 1], EPOCHS)


@pytest.mark.parametrize('name', ['cut_grads', 'smashed'])
def test_steps_are_those_of_the_batches(name):
  source = _source(epoch=3)
  found = source.passes_of(1, IDS[::-1], name)
  epochs = [3] if name == 'cut_grads' else EPOCHS
  for steps, epoch in zip(found.steps, epochs, strict=True):
    record = source.observed[1].cut_grads[epoch][0]
    expected = dict(zip(record.sample_ids, record.steps, strict=True))
    assert steps.tolist() == [expected[id_] for id_ in IDS[::-1]]


@pytest.mark.parametrize('name', ['cut_grads', 'smashed'])
def test_partners_are_rows_and_weights_belong_to_the_samples(name):
  source = _source('mixup', paired=True, epoch=2, num_passes=2)
  ids = np.random.default_rng(6).permutation(IDS)
  found = source.passes_of(1, ids, name)
  epochs = (2, 3) if name == 'cut_grads' else EPOCHS
  assert found.partners.shape == found.weights.shape == (len(epochs), 10)
  for index, epoch in enumerate(epochs):
    order = source.observed[1].cut_grads[epoch][0].sample_ids
    partner_of = dict(
      zip(order, source.observed[1].pairs[epoch][1], strict=True)
    )
    # The tag of the row that is named is the partner's.
    tags = found.vectors[index, found.partners[index], 0]
    assert tags.tolist() == [partner_of[id_] for id_ in ids]
    np.testing.assert_allclose(found.weights[index], ids / 1000 + epoch)
    # Partners share their batch.
    np.testing.assert_array_equal(
      found.steps[index][found.partners[index]], found.steps[index]
    )


def test_what_is_known_of_the_defense_comes_with_the_passes():
  found = _source('label_dp:epsilon=1:per_use=1').passes_of(0, IDS, 'smashed')
  assert found.fresh_labels and found.counters == ()
  np.testing.assert_allclose(found.channel.probabilities.sum(axis=1), 1)
  found = _source('mixup+max_norm').passes_of(0, IDS, 'smashed')
  assert found.counters == ('pairs', 'lines')
  assert found.channel is None and not found.fresh_labels


def test_seeds_can_be_stacked():
  source = _source('label_dp', paired=True)
  each = [source.passes_of(seed, IDS, 'smashed') for seed in range(2)]
  both = jax.tree.map(lambda *x: np.stack(x), *each)
  np.testing.assert_array_equal(both.vectors[:, 0, 0, 3], [0, 1])
  assert both.channel.probabilities.shape == (2, 3, 3)
