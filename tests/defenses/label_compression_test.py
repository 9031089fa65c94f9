import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from splitjax import losses
from splitjax import models
from splitjax import training
from splitjax.defenses import label_compression
from splitjax.models.second_top import SecondTop
from splitjax.training.protection import Protection

_merge = jax.jit(label_compression.merge)


def _pairs_by_loop(means):
  """Returns disjoint pairs of classes, the nearest first, as LCD makes them."""
  units = means / np.linalg.norm(means, axis=1, keepdims=True)
  distances = 1 - units @ units.T
  np.fill_diagonal(distances, np.inf)
  pairs = set()
  while np.isfinite(distances).any():
    one, other = np.unravel_index(np.argmin(distances), distances.shape)
    pairs.add(frozenset((int(one), int(other))))
    distances[[one, other]] = np.inf
    distances[:, [one, other]] = np.inf
  return pairs


def _groups_of(groups):
  return {
    frozenset(np.flatnonzero(groups == one).tolist())
    for one in np.unique(groups)
  }


@pytest.mark.parametrize('seed', range(5))
def test_half_as_many_labels_are_the_pairs_of_lcd(seed):
  means = np.random.default_rng(seed).normal(size=(10, 7))
  assert _groups_of(_merge(means, 5)) == _pairs_by_loop(means)


@pytest.mark.parametrize('num_groups', [1, 2, 3, 4, 5, 9, 10, 12])
def test_there_are_as_many_groups_as_asked_for(num_groups):
  means = np.random.default_rng(0).normal(size=(10, 7))
  groups = np.asarray(_merge(means, num_groups))
  assert set(groups) == set(range(min(num_groups, 10)))
  firsts = [np.flatnonzero(groups == one)[0] for one in range(groups.max() + 1)]
  assert firsts == sorted(firsts)
  if num_groups in (1, 5, 10):
    assert set(np.bincount(groups)) == {10 // num_groups}


def test_means_of_no_length_are_merged_without_nan():
  groups = _merge(jnp.zeros((4, 3)), 2)
  assert np.sort(np.bincount(groups)).tolist() == [2, 2]


def test_labels_stand_beside_merged_ones():
  smashed = jnp.array([[1.0, 0], [0, 1], [1, 0.1], [0.1, 1], [1, 0]])
  labels = jnp.array([0, 1, 2, 3, 0])
  found = label_compression.compress(
    jax.random.key(0), labels, smashed, num_classes=4, num_labels=2
  )
  np.testing.assert_array_equal(jnp.argmax(found[:, :4], axis=1), labels)
  np.testing.assert_array_equal(
    jnp.argmax(found[:, 4:], axis=1), [0, 1, 0, 1, 0]
  )
  np.testing.assert_array_equal(found.sum(1), 2)


def test_loss_is_of_both_tops_and_the_centre():
  rng = np.random.default_rng(0)
  outputs = jnp.asarray(rng.normal(size=(5, 9)) ** 2)
  labels, fake = jnp.array([0, 1, 2, 2, 1]), jnp.array([0, 1, 1, 1, 1])
  both = jnp.concatenate([jax.nn.one_hot(x, 3) for x in (labels, fake)], 1)
  found = label_compression.loss(
    losses.cross_entropy, outputs, None, both, center_weight=0.3
  )
  expected = losses.cross_entropy(outputs[:, :3], labels)
  expected += losses.cross_entropy(outputs[:, 3:6], fake)
  expected += 0.3 * outputs[jnp.arange(5), 6 + fake]
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  np.testing.assert_array_equal(
    label_compression.answers(outputs), outputs[:, :3]
  )


def test_gradients_depend_on_merged_labels_only():
  # Two labellings that differ within the groups of classes (0, 1) and (2, 3),
  # and are merged alike: what crosses must be equal to the last bit.
  rng = np.random.default_rng(0)
  inputs = jnp.asarray(rng.normal(size=(40, 6)), jnp.float32)
  labels = rng.integers(0, 4, 40)
  others = labels // 2 * 2 + rng.integers(0, 2, 40)
  assert (labels != others).mean() > 0.3
  model = training.SplitModel(models.mlp(4, hidden_sizes=(8,)), cuts=(3,))
  model = model.with_top(lambda top: (SecondTop(top, 4),))

  def first_labels(key, labels, smashed):
    del key
    assert smashed.shape == (40, 8)
    one_hot = lambda x: jax.nn.one_hot(x, 4)
    return jnp.concatenate([one_hot(labels), one_hot(labels // 2)], axis=1)

  protection = Protection(
    first_labels=first_labels,
    loss=functools.partial(label_compression.loss, center_weight=0.1),
    answers=label_compression.answers,
  )
  run = jax.jit(
    lambda labels: training.train(
      jax.random.key(0),
      inputs,
      labels,
      num_epochs=3,
      batch_size=8,
      model=model,
      optimizers=[optax.sgd(0.1)] * 2,
      protection=protection,
      record_fn=lambda exchanges: exchanges[0],
    )
  )
  one, other = run(labels), run(others)
  for first, second in zip(
    jax.tree.leaves((one[0].params[0], one[1].recorded)),
    jax.tree.leaves((other[0].params[0], other[1].recorded)),
    strict=True,
  ):
    np.testing.assert_array_equal(first, second)
  assert np.abs(one[1].recorded.cut_grads).max() > 0
  read = lambda state: (
    training.evaluate(state, inputs, model=model, protection=protection).logits
  )
  assert np.abs(read(one[0]) - read(other[0])).max() > 0.01
