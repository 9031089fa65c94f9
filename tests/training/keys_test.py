"""The numbers of a run's keys: others would change seeded results."""

import jax
import numpy as np

from splitjax.training import keys


def _equal(one, other):
  return np.array_equal(jax.random.key_data(one), jax.random.key_data(other))


def test_keys_of_a_run_are_those_of_earlier_results():
  run_key = jax.random.key(3)
  first, second = jax.random.split(run_key)
  assert _equal(keys.init_key(run_key), first)
  assert _equal(keys.epoch_key(run_key, 4), jax.random.fold_in(second, 4))
  assert _equal(keys.labels_key(run_key), jax.random.split(run_key, 3)[2])


def test_no_key_is_used_twice():
  run_key = jax.random.key(0)
  found = [keys.init_key(run_key), keys.labels_key(run_key)]
  found += [keys.canaries_key(run_key)]
  found += [keys.epoch_key(run_key, epoch) for epoch in range(3)]
  data = {tuple(np.asarray(jax.random.key_data(key))) for key in found}
  assert len(data) == 6
