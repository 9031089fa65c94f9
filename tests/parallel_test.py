"""Runs as one program, against a loop over them."""

import itertools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import parallel

KEYS = jax.random.split(jax.random.key(0), 3)
RATES = {'rate': jnp.array([0.1, 0.5])}
OFFSETS = jnp.arange(8.0).reshape(4, 2)


def _one(run):
  keys, rates, offset = run
  noise = jax.random.normal(keys, (2,))
  return {'out': rates['rate'] * noise + offset, 'count': jnp.int32(1)}


def _by_loop():
  combinations = itertools.product(KEYS, RATES['rate'], OFFSETS)
  return np.stack(
    [_one((key, {'rate': x}, offset))['out'] for key, x, offset in combinations]
  )


@pytest.mark.parametrize('at_once', [None, 1, 5, 24, 100])
def test_every_combination_is_run_in_order(at_once):
  runs = parallel.grid(KEYS, RATES, OFFSETS)
  found = jax.jit(lambda runs: parallel.map_runs(_one, runs, at_once=at_once))(
    runs
  )
  np.testing.assert_allclose(found['out'], _by_loop(), rtol=1e-6)
  assert found['count'].shape == (24,)


def test_one_by_one_no_axis_of_runs_is_left():
  """A convolution of one network must not become one of a batch of one."""
  shapes = []

  def one(x):
    shapes.append(x.shape)
    return jax.lax.conv(x, jnp.ones((1, 1, 3, 3)), (1, 1), 'SAME')

  runs = jnp.ones((2, 1, 1, 4, 4))
  text = str(
    jax.make_jaxpr(lambda x: parallel.map_runs(one, x, at_once=1))(runs)
  )
  assert 'f32[1,1,4,4]' in text
  assert 'feature_group_count=1' in text
  assert shapes == [(1, 1, 4, 4)]


def test_one_device_has_no_mesh_and_pads_nothing():
  assert jax.device_count() == 1
  assert parallel.make_mesh() is None
  assert parallel.pad(OFFSETS, None) is OFFSETS
  assert parallel.on_every_device(OFFSETS, None) is OFFSETS


_SHARDED = """
import jax
import jax.numpy as jnp
import numpy as np
from splitjax import parallel
from tests_of import parallel_test
from tests_of.engine import trials_test

mesh = parallel.make_mesh()
assert mesh.size == 8
runs = parallel.grid(
  parallel_test.KEYS, parallel_test.RATES, parallel_test.OFFSETS
)
for at_once in (None, 1, 2):
  program = jax.jit(
    lambda runs: parallel.map_runs(
      parallel_test._one, runs, at_once=at_once, mesh=mesh
    )['out']
  )
  found = program(runs)
  assert len(found.sharding.device_set) == 8
  assert found.addressable_shards[0].data.shape == (3, 2)
  np.testing.assert_allclose(found, parallel_test._by_loop(), rtol=1e-6)
gathered = jax.jit(lambda x: parallel.on_every_device(x, mesh))(found)
assert gathered.is_fully_replicated

few = parallel.pad(parallel_test.OFFSETS, mesh)
np.testing.assert_array_equal(few[:4], parallel_test.OFFSETS)
assert len(few) == 8
try:
  parallel.map_runs(lambda x: x, parallel_test.OFFSETS, mesh=mesh)
except ValueError as error:
  assert 'multiple of the 8 devices, got 4' in str(error)
else:
  raise AssertionError('no error')

# An attack on three seeds: as many as a loop, on eight devices.
trials_test.test_all_trials_equal_a_loop()
print('all equal')
"""


def test_eight_devices_give_what_one_gives(tmp_path):
  """In a process of its own: devices are counted when JAX starts."""
  folder = os.path.dirname(__file__)
  (tmp_path / 'tests_of').symlink_to(folder)
  found = subprocess.run(
    [sys.executable, '-c', _SHARDED],
    capture_output=True,
    text=True,
    env={
      **os.environ,
      'XLA_FLAGS': '--xla_force_host_platform_device_count=8 '
      '--xla_backend_optimization_level=0',
      'PYTHONPATH': f'{tmp_path}{os.pathsep}{os.path.dirname(folder)}',
    },
  )
  assert found.stdout.endswith('all equal\n'), found.stderr
