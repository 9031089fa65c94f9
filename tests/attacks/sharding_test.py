"""Attacks on rows that lie on eight devices, in a process that has eight."""

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from splitjax import attacks

mesh = jax.make_mesh((8,), ('rows',), axis_types=(jax.sharding.AxisType.Auto,))
rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('rows'))
rng = np.random.default_rng(0)
truth = rng.integers(0, 20, 1600)
means = rng.normal(size=(20, 12))
points = np.float32(means[truth] + 0.5 * rng.normal(size=(1600, 12)))
labels = jnp.arange(20)
aux = np.float32(means)
fns = {
  # Few and many targets take different paths.
  'few': lambda x: attacks.kmeans(x, aux[:3]),
  'many': lambda x: attacks.cluster_labels(
    jax.random.key(0), x, aux, labels, num_classes=20
  ),
  'nearest': lambda x: attacks.nearest_labels(x, aux, labels),
}
for name, fn in fns.items():
  on_eight = jax.device_put(points, rows)
  compiled = jax.jit(fn).lower(on_eight).compile()
  eight = compiled(on_eight)
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5),
    fn(jnp.asarray(points)), eight,
  )
assert len(eight.sharding.device_set) == 8
assert 'all-gather' not in compiled.as_text(), 'vectors were gathered'

explicit = jax.make_mesh(
  (8,), ('rows',), axis_types=(jax.sharding.AxisType.Explicit,)
)
rows = jax.sharding.NamedSharding(explicit, jax.sharding.PartitionSpec('rows'))
try:
  attacks.nearest_labels(jax.device_put(points, rows), aux, labels)
except ValueError as error:
  assert 'vectors must be sharded over automatic axes' in str(error), error
else:
  raise AssertionError('no error')
print('equal')
"""


@pytest.mark.slow
def test_rows_on_eight_devices_give_what_one_gives():
  flags = '--xla_force_host_platform_device_count=8'
  environment = os.environ | {
    'XLA_FLAGS': f'{flags} --xla_backend_optimization_level=0',
    'JAX_PLATFORMS': 'cpu',
  }
  done = subprocess.run(
    [sys.executable, '-c', _PROGRAM],
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.stdout.strip().endswith('equal'), done.stderr
