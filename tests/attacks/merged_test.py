import jax
import jax.numpy as jnp
import numpy as np

from splitjax import attacks
from splitjax.attacks import groupings
from splitjax.attacks.groupings import Grouping


def _classes(spread=0.3):
  """Returns inputs of four classes, of which 0 and 2, 1 and 3 are merged."""
  rng = np.random.default_rng(0)
  labels = np.arange(80) % 4
  means = np.array([[0.0, 0], [0, 0.5], [4, 0], [4, 0.5]])
  inputs = means[labels] + spread * rng.normal(size=(80, 2))
  return jnp.asarray(inputs), labels


def _grouping(groups, num_groups=2):
  costs = 1 - jax.nn.one_hot(groups, num_groups)
  return Grouping(jnp.asarray(groups), costs, jnp.float32(1))


def test_groups_and_inputs_together_read_what_neither_does():
  inputs, labels = _classes()
  aux_rows = jnp.arange(4)
  found = attacks.read_merged(
    _grouping(1 - labels % 2), inputs, aux_rows, labels[:4], num_classes=4
  )
  np.testing.assert_array_equal(found.labels, labels)
  np.testing.assert_array_equal(jnp.argmax(found.logits, axis=1), labels)
  assert groupings.CANDIDATES[found.chosen] == 'merged'
  alone = attacks.cluster_labels(
    jax.random.key(0), inputs, inputs[:4], labels[:4], num_classes=4
  ).labels
  assert np.mean(alone == labels) < 0.95


def test_a_label_is_always_of_the_group():
  inputs, labels = _classes(spread=9.0)
  groups = labels % 2
  found = attacks.read_merged(
    _grouping(groups), inputs, jnp.arange(4), labels[:4], num_classes=4
  )
  np.testing.assert_array_equal(np.asarray(found.labels) % 2, groups)


def test_a_group_without_a_known_class_may_be_of_any():
  inputs, labels = _classes()
  groups = np.where(np.arange(80) < 70, labels % 2, 2)
  found = attacks.read_merged(
    _grouping(groups, 3), inputs, jnp.arange(4), labels[:4], num_classes=4
  )
  assert np.isfinite(found.logits).all()
  assert np.mean(found.labels == labels) > 0.9


def test_a_draw_at_a_time_equals_vmap():
  inputs, labels = _classes(spread=1.0)
  rows = jnp.array([[0, 1, 2, 3], [8, 9, 10, 11]])
  read = lambda rows: (
    attacks.read_merged(
      _grouping(labels % 2), inputs, rows, jnp.arange(4), num_classes=4
    ).labels
  )
  both = jax.vmap(read)(rows)
  for one, found in zip(rows, both, strict=True):
    np.testing.assert_array_equal(read(one), found)
