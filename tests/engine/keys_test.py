"""The keys of a run: each used once, and the same for any number of seeds."""

import jax
import numpy as np
import pytest

from splitjax.engine import keys


def _data(*found):
  return [tuple(np.asarray(jax.random.key_data(one))) for one in found]


@pytest.mark.parametrize('real', [False, True])
def test_no_key_of_a_training_is_used_twice(real):
  found = keys.of_training(jax.random.key(0), 5, real_targets=real)
  every = _data(*found.runs, found.sketch, found.halves)
  assert len(set(every)) == 7


@pytest.mark.parametrize('real', [False, True])
def test_a_seed_is_the_same_whatever_their_number(real):
  few, many = (
    keys.of_training(jax.random.key(0), num, real_targets=real).runs
    for num in (2, 9)
  )
  assert _data(*few) == _data(*many[:2])


def test_runs_of_classes_are_those_of_earlier_results():
  runs, sketch, halves = jax.random.split(jax.random.key(7), 3)
  found = keys.of_training(jax.random.key(7), 3)
  assert _data(*found.runs) == _data(*jax.random.split(runs, 3))
  assert _data(found.sketch, found.halves) == _data(sketch, halves)


def test_attacks_on_a_place_have_a_key_of_their_own():
  key = jax.random.key(0)
  places = [('training', 'cut_grads'), ('training', 'smashed')]
  places += [('inference', 'smashed'), ('inference', 'raw_inputs')]
  found = [keys.of_place(key, *place) for place in places]
  assert len(set(_data(*found))) == 4
  assert _data(found[2]) == _data(jax.random.fold_in(key, 4))
