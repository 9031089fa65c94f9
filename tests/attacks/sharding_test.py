"""Attacks on rows that lie on eight devices, in a process that has eight."""

import os
import subprocess
import sys

_PROGRAM = """
import jax
import jax.numpy as jnp
import numpy as np
from splitjax import attacks

mesh = jax.make_mesh((8,), ('rows',), axis_types=(jax.sharding.AxisType.Auto,))
rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('rows'))
rng = np.random.default_rng(0)
truth = rng.integers(0, 20, 1600)
means = rng.normal(size=(20, 12))
points = np.float32(means[truth] + 0.5 * rng.normal(size=(1600, 12)))
labels = jnp.arange(20)
aux = np.float32(means)
for num_clusters in (3, 20):  # Few and many targets take different paths.
  fns = {
    'kmeans': lambda x: attacks.kmeans(x, aux[:num_clusters]),
    'nearest': lambda x: attacks.nearest_labels(
      x, aux[:num_clusters], labels[:num_clusters]
    ),
    'cluster': lambda x: attacks.cluster_labels(
      jax.random.key(0), x, aux[:num_clusters], labels[:num_clusters],
      num_classes=num_clusters,
    ),
  }
  for name, fn in fns.items():
    one = fn(jnp.asarray(points))
    eight = fn(jax.device_put(points, rows))
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5),
      one, eight,
    )
    if name == 'nearest':
      assert len(eight.sharding.device_set) == 8
      text = jax.jit(fn).lower(jax.device_put(points, rows)).compile().as_text()
      assert 'all-gather' not in text, 'the points were gathered'
print('equal')
"""


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
