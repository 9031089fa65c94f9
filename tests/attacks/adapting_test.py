import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import defenses
from splitjax.attacks.adapting import Draws
from splitjax.attacks.adapting import adapt
from splitjax.training.countering import Counter

KEY = jax.random.key(0)


def _passes(seed=0, shape=(2, 12, 5)):
  return np.random.default_rng(seed).normal(size=shape).astype('f')


def _adapt(passes, draws, *counters, num_classes=3):
  return adapt(KEY, passes, draws, counters, num_classes=num_classes)


def test_nothing_known_changes_nothing():
  passes = _passes()
  draws = Draws(np.zeros((2, 12), int))
  assert (_adapt(passes, draws) == passes).all()


def test_row_whose_entries_are_all_alike_was_not_sent():
  passes = _passes()
  passes[1, 3] = -0.2
  found = _adapt(passes, Draws(np.zeros((2, 12), int)))
  assert (found[1, 3] == 0).all()
  passes[1, 3] = 0
  assert (found == passes).all()


@pytest.mark.parametrize('weight', [0.5, 0.99])
def test_batch_means_are_gone(weight):
  gradients = _passes()
  steps = np.array([[0] * 5 + [1] * 7, [1, 0, 2] * 4])
  expected, sent = np.zeros_like(gradients), np.zeros_like(gradients)
  for t in range(2):
    for step in np.unique(steps[t]):
      batch = steps[t] == step
      sent[t, batch] = defenses.gradient_averaging.average(
        None, gradients[t, batch], None, weight=weight
      )
      rows = gradients[t, batch]
      expected[t, batch] = (1 - weight) * (rows - rows.mean(0, keepdims=True))
  found = _adapt(sent, Draws(jnp.asarray(steps)), Counter.BATCH_MEANS)
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_gradients_go_to_the_sample_that_weighs_more():
  passes = _passes(shape=(1, 4, 2))
  draws = Draws(
    np.array([[0, 0, 1, 1]]),
    partners=np.array([[1, 0, 3, 2]]),
    weights=np.array([[0.2, 0.2, 0.9, 0.9]]),
  )
  found = _adapt(passes, draws, Counter.PAIRS)
  assert (found[0] == passes[0][[1, 0, 2, 3]]).all()


def test_lines_are_the_same_for_opposite_gradients():
  passes = _passes(shape=(1, 40, 6))
  signs = np.where(np.arange(40) % 3, 1, -2).astype('f')
  draws = Draws(np.zeros((1, 40), int))
  one = _adapt(passes, draws, Counter.LINES)
  other = _adapt(passes * signs[None, :, None], draws, Counter.LINES)
  assert one.shape == (1, 40, 21)
  products = lambda x: np.asarray(x[0]) @ np.asarray(x[0]).T
  np.testing.assert_allclose(products(one), products(other), atol=1e-3)


def test_inner_products_of_lines_are_squared_cosines():
  passes = _passes(1, shape=(1, 30, 4))
  draws = Draws(np.zeros((1, 30), int))
  found = np.asarray(_adapt(passes, draws, Counter.LINES)[0])
  units = passes[0] / np.linalg.norm(passes[0], axis=1, keepdims=True)
  squares = (units @ units.T) ** 2
  middle = np.eye(30) - 1 / 30
  np.testing.assert_allclose(
    found @ found.T, middle @ squares @ middle, atol=1e-4
  )


def test_of_two_classes_lines_are_left_as_they_are():
  passes = _passes()
  draws = Draws(np.zeros((2, 12), int))
  found = _adapt(passes, draws, Counter.LINES, num_classes=2)
  assert (found == passes).all()
