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
from splitjax.errors import ConfigError

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


@pytest.mark.parametrize('at_once', [None, 1, 5])
def test_a_single_run_is_no_batch_of_one(at_once):
  """What runs is what `fn` compiles to alone, to the last bit."""
  shapes = []

  def one(x):
    shapes.append(x.shape)
    return {'out': jax.lax.conv(x, jnp.ones((1, 1, 3, 3)), (1, 1), 'SAME')}

  runs = jax.random.normal(jax.random.key(0), (1, 1, 1, 4, 4))
  many = lambda x: parallel.map_runs(one, x, at_once=at_once)
  jax.make_jaxpr(many)(runs)
  assert shapes == [(1, 1, 4, 4)]
  found = jax.jit(many)(runs)['out']
  assert found.shape == (1, 1, 1, 4, 4)
  np.testing.assert_array_equal(found[0], jax.jit(one)(runs[0])['out'])


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


@pytest.mark.slow
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


_PAIR = {'coordinator_address': 'a:1', 'num_processes': 2}


@pytest.mark.parametrize(
  ('given', 'field', 'message'),
  [
    ({'process_id': 0}, 'process_id', 'all of coordinator_address, num_proc'),
    (_PAIR, 'coordinator_address', 'all of coordinator_address, num_proc'),
    (
      {**_PAIR, 'process_id': 0, 'distributed': True},
      'coordinator_address',
      'without distributed',
    ),
    ({**_PAIR, 'process_id': 2}, 'process_id', 'less than num_processes=2'),
    ({**_PAIR, 'process_id': -1}, 'process_id', 'less than num_processes=2'),
    (
      {**_PAIR, 'num_processes': 0, 'process_id': 0},
      'num_processes',
      'at least 1',
    ),
  ],
)
def test_arguments_of_processes_must_fit_together(given, field, message):
  with pytest.raises(ConfigError, match=message) as caught:
    parallel.start(**given)
  assert (caught.value.field, caught.value.value) == (field, given[field])


def test_a_cluster_that_does_not_tell_is_an_error(monkeypatch):
  def initialize():
    raise ValueError('no address')

  monkeypatch.setattr(jax.distributed, 'initialize', initialize)
  with pytest.raises(ConfigError, match='says what it is: no address'):
    parallel.start(distributed=True)


def test_processes_by_hand_are_joined(monkeypatch):
  joined, met = [], []
  monkeypatch.setattr(
    parallel.meeting, 'meet', lambda address, **_: met.append(address)
  )
  monkeypatch.setattr(
    jax.distributed, 'initialize', lambda **kwargs: joined.append(kwargs)
  )
  pair = {**_PAIR, 'process_id': 0}
  parallel.start(**pair)
  assert (met, joined) == (['a:1'], [pair])


_STARTED = """
import sys
from splitjax import parallel

parallel.start(cpu_devices=3, compilation_cache=sys.argv[1])
import jax

assert jax.device_count() == 3
assert jax.config.jax_compilation_cache_dir == sys.argv[1]
print('started')
"""


def test_start_makes_devices_and_keeps_programs(tmp_path):
  """In a process of its own: it changes settings of all of JAX."""
  found = subprocess.run(
    [sys.executable, '-c', _STARTED, str(tmp_path)],
    capture_output=True,
    text=True,
    env={
      **os.environ,
      'PYTHONPATH': os.path.dirname(os.path.dirname(__file__)),
    },
  )
  assert found.stdout == 'started\n', found.stderr


def test_one_process_writes_and_agrees_with_itself():
  assert parallel.is_writer()
  assert parallel.agree([True, False]) == [True, False]
