import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import missing
from splitjax.attacks.groupings import CANDIDATES
from splitjax.attacks.groupings import Known
from splitjax.attacks.strongest import similarity_labels

KEY = jax.random.key(0)
NUM, CLASSES = 240, 4


def _sent(seed, *, num_silent=0, informative=True):
  """Gradients of one entry each, one of two of its class, and own inputs."""
  rng = np.random.default_rng(seed)
  truth = np.arange(NUM) % CLASSES
  entry = 2 * truth + rng.integers(0, 2, NUM)
  entry[:CLASSES] = 2 * truth[:CLASSES]  # Known samples show the first alone.
  gradients = np.eye(2 * CLASSES)[entry] * rng.uniform(1, 2, (NUM, 1))
  gradients[truth < num_silent] = 0
  means = 3 * rng.normal(size=(CLASSES, 6)) * informative
  inputs = means[truth] + rng.normal(size=(NUM, 6))
  return truth, gradients.astype('f'), inputs.astype('f')


def _read(gradients, truth, inputs):
  rows = jnp.arange(CLASSES)
  patterns = missing.patterns_of(KEY, gradients[None], num_classes=CLASSES)
  known = (rows, jnp.asarray(truth)[rows])
  alone = similarity_labels(KEY, gradients, *known, num_classes=CLASSES)
  found = missing.read_missing(
    alone, patterns, inputs, *known, num_classes=CLASSES
  )
  others = np.arange(NUM) >= CLASSES
  share = lambda x: np.mean(np.asarray(x.labels == truth)[others])
  return share(alone), share(found), alone, found


@pytest.mark.parametrize('seed', range(2))
def test_inputs_join_the_patterns_of_a_class(seed):
  truth, gradients, inputs = _sent(seed)
  alone, share, _, found = _read(gradients, truth, inputs)
  assert share == 1 > 0.9 > alone
  assert CANDIDATES[found.chosen] == 'inputs'
  np.testing.assert_array_equal(jnp.argmax(found.logits, 1), found.labels)


def test_inputs_tell_the_classes_of_which_nothing_was_sent():
  truth, gradients, inputs = _sent(0, num_silent=2)
  alone, share, _, found = _read(gradients, truth, inputs)
  assert share > 0.95 > 0.8 > alone
  silent = truth < 2
  assert (np.asarray(found.labels)[~silent] == truth[~silent]).all()


def test_inputs_that_tell_no_class_change_nothing():
  truth, gradients, inputs = _sent(0, informative=False)
  _, _, alone, found = _read(gradients, truth, inputs)
  for name in ('labels', 'logits', 'chosen'):
    np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))


def test_gradients_of_several_entries_are_read_alone():
  truth, gradients, inputs = _sent(0)
  several = np.concatenate([gradients] * 3, axis=1)
  _, _, alone, found = _read(several, truth, inputs)
  np.testing.assert_array_equal(found.labels, alone.labels)
  assert CANDIDATES[found.chosen] != 'inputs'


def test_known_samples_that_mislead_by_inputs_name_by_patterns():
  truth, gradients, inputs = _sent(0)
  inputs[[0, 1]] = inputs[[1, 0]]  # Each looks like the other's class.
  _, share, _, found = _read(gradients, truth, inputs)
  assert share == 1
  assert CANDIDATES[found.chosen] == 'inputs'


@pytest.mark.parametrize('num_known', [2, 4])
def test_labels_that_are_held_stay(num_known):
  """Groups that gradients named are kept where inputs agree with them."""
  truth, _, inputs = _sent(0)
  points = missing._around_zero(jnp.asarray(inputs))
  shown = jnp.ones((1, NUM, 1))  # Patterns say nothing.
  known = Known(jnp.arange(num_known), jnp.arange(num_known), CLASSES)
  start = jnp.asarray(np.roll(truth, 1)).at[:CLASSES].set(jnp.arange(CLASSES))
  held = jnp.arange(NUM) % 3 > 0
  logits = missing._fit(shown, points, jnp.ones(NUM), known, start, held)
  found = np.asarray(jnp.argmax(logits, axis=1))
  names = np.asarray(
    [np.bincount(found[start == x]).argmax() for x in range(4)]
  )
  assert (found == names[start])[held].all()


def test_silence_counts_in_the_first_pass_alone():
  truth, gradients, inputs = _sent(1)
  rng = np.random.default_rng(0)
  late = np.where(rng.random((5, NUM, 1)) < 0.8, 0, gradients)
  passes = jnp.asarray(np.concatenate([gradients[None], late]), jnp.float32)
  patterns = missing.patterns_of(KEY, passes, num_classes=CLASSES)
  assert not patterns.silent.any()
  number = int(patterns.groups.max())
  np.testing.assert_array_equal(
    patterns.groups == number, ~np.any(passes != 0, axis=-1)
  )
  rows = jnp.arange(CLASSES)
  known = (rows, jnp.asarray(truth)[rows])
  alone = similarity_labels(KEY, gradients, *known, num_classes=CLASSES)
  found = missing.read_missing(
    alone, patterns, inputs, *known, num_classes=CLASSES
  )
  assert np.mean(found.labels == truth) > 0.99


@pytest.mark.parametrize('num', [3, 8])
def test_independent_coordinates_are_counted(num):
  rng = np.random.default_rng(0)
  points = (
    rng.normal(size=(4000, num)) @ np.linalg.qr(rng.normal(size=(20, num)))[0].T
  )
  found = missing._num_independent(jnp.asarray(points, jnp.float32))
  np.testing.assert_allclose(found, num, rtol=0.1)


def test_agreement_is_above_chance():
  groups = jnp.array([0, 0, 0, 1, 1, 1, 2, 2])  # The last one is silent.
  labels = jnp.array([0, 0, 1, 1, 1, 1, 0, 0])
  # 5 of 6 agree; 4 of 6 are of one class.
  found = missing._agreement(groups, labels, 2, 2)
  np.testing.assert_allclose(found, (5 / 6 - 4 / 6) / (1 - 4 / 6), rtol=1e-6)


def test_nearest_known_leaves_out_labels_out_of_range():
  points = jnp.array([[0.0], [1.0], [9.0], [8.0]])
  known = Known(jnp.array([0, 2]), jnp.array([-1, 1]), 2)
  assert missing._nearest_known(points, known).tolist() == [1, 1, 1, 1]
