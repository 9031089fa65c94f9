import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from splitjax import losses as losses_lib
from splitjax.attacks import grouping
from splitjax.attacks import surrogate


def _draw(*shape, seed=0):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.normal(size=shape), jnp.float32)


@pytest.mark.parametrize('seed', range(5))
def test_names_of_groups_agree_with_most(seed):
  rng = np.random.default_rng(seed)
  groups, labels = rng.integers(0, 5, (2, 12))
  names = np.asarray(grouping.name_groups(groups, labels, 5))
  votes = np.zeros((5, 5))
  np.add.at(votes, (groups, labels), 1)
  best = optimize.linear_sum_assignment(votes, maximize=True)
  assert sorted(names) == list(range(5))
  assert votes[np.arange(5), names].sum() == votes[best].sum()


def test_groups_are_named_by_what_the_top_makes_of_known_samples():
  top, smashed = ((_draw(5, 3), jnp.zeros(3)),), _draw(12, 5, seed=1)
  groups, names = jnp.arange(12) % 3, jnp.array([1, 2, 0])
  cut_grads = surrogate.surrogate_grads(
    top, smashed, groups, losses_lib.cross_entropy
  )
  logits, losses = _draw(7, 3), jnp.ones(2)
  known = grouping.Known(smashed, cut_grads, names[groups])
  prepare = lambda known: grouping.Prepared(
    smashed, cut_grads, known, jnp.ones(7, bool)
  )
  found = jax.jit(grouping.name_labels)(logits, losses, top, prepare(known))
  np.testing.assert_array_equal(found.group_labels, names)
  np.testing.assert_array_equal(found.assignments, np.argmax(logits, axis=1))
  np.testing.assert_array_equal(found.labels, names[found.assignments])
  np.testing.assert_array_equal(np.argmax(found.logits, axis=1), found.labels)
  unknown = grouping.Known(smashed[:0], None, None)
  found = grouping.name_labels(logits, losses, top, prepare(unknown))
  np.testing.assert_array_equal(found.labels, np.argmax(logits, axis=1))
  np.testing.assert_array_equal(found.logits, logits)


SIZES = dict(num_classes=3, num_restarts=1, num_epochs=1, batch_size=1)


def test_known_samples_are_scaled_as_the_record_is():
  smashed, cut_grads = 3 + 2 * _draw(2, 9, 4)
  labels = jnp.arange(2)
  known = grouping.Known(smashed[:2], cut_grads[:2], labels)
  new, _, aux, _ = grouping.prepare(smashed, cut_grads, known, (), **SIZES)
  assert np.abs(np.mean(new, axis=0)).max() < 1e-5
  np.testing.assert_array_equal(aux.smashed, new[:2])
  np.testing.assert_array_equal(aux.cut_grads, cut_grads[:2])
  np.testing.assert_array_equal(aux.labels, labels)
  none = grouping.Known(None, None, None)
  alone, _, aux, _ = grouping.prepare(smashed, cut_grads, none, (), **SIZES)
  np.testing.assert_array_equal(alone, new)
  assert aux.labels is None


def test_bad_arguments_are_named():
  rows, labels = jnp.ones((4, 2)), jnp.arange(4)
  for message, known, change in (
    ('num_classes must be at least 2', (None,) * 3, dict(num_classes=1)),
    ('num_restarts must be', (None,) * 3, dict(num_restarts=0)),
    ('num_epochs must be', (None,) * 3, dict(num_epochs=0)),
    ('must be given together', (rows, rows, None), {}),
    ('must be given together', (None, None, labels), {}),
    ('aux_labels must have shape', (rows, rows, labels[1:]), {}),
    ('aux_cut_grads must have one row', (rows, rows[1:], labels), {}),
  ):
    with pytest.raises(ValueError, match=message):
      grouping.prepare(
        rows, rows, grouping.Known(*known), (), **{**SIZES, **change}
      )
