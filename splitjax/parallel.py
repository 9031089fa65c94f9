"""Many runs as one program: vmapped as far as memory allows, and sharded.

A run is what a pure function makes of one entry of the runs' first axis: a key,
a learning rate, strengths of a defense, an auxiliary draw. In shape
descriptions `P` is the number of runs.
"""

from collections.abc import Callable, Sequence
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from splitjax.errors import ConfigError

PyTree = Any

AXIS = 'runs'  # Of the mesh.


def grid(*axes: PyTree) -> tuple[PyTree, ...]:
  """All combinations of several axes, the first the slowest.

  Args:
    *axes: pytrees, the leaves of each with a first axis of its own length.

  Returns:
    The same pytrees, with leaves `[P, ...]` of all combinations.
  """
  sizes = [len(jax.tree.leaves(axis)[0]) for axis in axes]
  indices = jnp.unravel_index(jnp.arange(math.prod(sizes)), sizes)
  return tuple(
    jax.tree.map(lambda x, i=index: x[i], axis)
    for axis, index in zip(axes, indices, strict=True)
  )


def make_mesh() -> jax.sharding.Mesh | None:
  """All devices of all processes in a row, for runs; None if there is one."""
  if jax.device_count() == 1:
    return None
  return jax.make_mesh(
    (jax.device_count(),), (AXIS,), (jax.sharding.AxisType.Auto,)
  )


def pad(runs: PyTree, mesh: jax.sharding.Mesh | None) -> PyTree:
  """Repeats the last run until every device has as many.

  Args:
    runs: leaves `[P, ...]`.
    mesh: of `make_mesh`.

  Returns:
    Leaves `[P', ...]`, of which the first `P` are those given.
  """
  size = len(jax.tree.leaves(runs)[0])
  padded = size if mesh is None else -(-size // mesh.size) * mesh.size
  if padded == size:
    return runs
  index = jnp.minimum(jnp.arange(padded), size - 1)
  return jax.tree.map(lambda x: x[index], runs)


def map_runs(
  fn: Callable[[PyTree], PyTree],
  runs: PyTree,
  *,
  at_once: int | None = None,
  mesh: jax.sharding.Mesh | None = None,
) -> PyTree:
  """Apply a function to every run, to be called under `jax.jit`.

  Equal to `jax.vmap(fn)(runs)`.

  Args:
    fn: of one run. What it closes over is on every device.
    runs: leaves `[P, ...]`; with a mesh, `P` a multiple of its size, see `pad`.
    at_once: how many runs a device takes side by side; all by default.
    mesh: of devices that share the runs, from `make_mesh`.

  Returns:
    Leaves `[P, ...]`, sharded like the runs.

  Raises:
    ValueError: if the runs are not a multiple of the mesh.
  """
  size = len(jax.tree.leaves(runs)[0])
  if mesh is not None and size % mesh.size:
    raise ValueError(
      f'runs must be a multiple of the {mesh.size} devices, got {size}: pad '
      'them.'
    )

  def local_fn(runs: PyTree) -> PyTree:
    size = len(jax.tree.leaves(runs)[0])
    if at_once is None or at_once >= size:
      return jax.vmap(fn)(runs)
    # One by one without the axis that vmap would leave: convolutions of a
    # single network are other, faster programs than those of a batch of one.
    return jax.lax.map(fn, runs, batch_size=at_once if at_once > 1 else None)

  if mesh is None:
    return local_fn(runs)
  spec = jax.sharding.PartitionSpec(AXIS)
  return jax.shard_map(
    local_fn, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
  )(runs)


def on_every_device(tree: PyTree, mesh: jax.sharding.Mesh | None) -> PyTree:
  """Gathers what is sharded, so that every process can read it; under jit."""
  if mesh is None:
    return tree
  everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  return jax.lax.with_sharding_constraint(tree, everywhere)


def is_writer() -> bool:
  """Return whether this process is the one that writes and prints."""
  return jax.process_index() == 0


def agree(known: Sequence[bool]) -> list[bool]:
  """Return what process 0 knows, in all processes.

  Args:
    known: truth values, as many in every process.

  Returns:
    Those of process 0.
  """
  if jax.process_count() == 1:
    return list(known)
  from jax.experimental import multihost_utils  # Needed here alone.

  return multihost_utils.broadcast_one_to_all(np.array(known)).tolist()


def start(
  *,
  distributed: bool = False,
  coordinator_address: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
  cpu_devices: int | None = None,
  compilation_cache: str | None = None,
) -> None:
  """Set up devices and processes; call it before any array is made.

  Args:
    distributed: whether this process is one of several, as the cluster says.
    coordinator_address: HOST:PORT of process 0, where no cluster says it.
    num_processes: how many processes run together, with the address.
    process_id: which of them this is, from 0, with the address.
    cpu_devices: how many devices to make of the CPU.
    compilation_cache: folder that keeps compiled programs for the next run.

  Raises:
    ConfigError: if the arguments of processes do not go together.
  """
  if compilation_cache is not None:
    jax.config.update('jax_compilation_cache_dir', compilation_cache)
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)
  if cpu_devices is not None:
    jax.config.update('jax_num_cpu_devices', cpu_devices)
  by_hand = {
    'coordinator_address': coordinator_address,
    'num_processes': num_processes,
    'process_id': process_id,
  }
  missing = [name for name, value in by_hand.items() if value is None]
  if len(missing) == len(by_hand):
    if distributed:
      _initialize()
    return
  if missing or distributed:
    given = next(name for name in by_hand if name not in missing)
    names = ', '.join(f'--{name}' for name in by_hand)
    expected = f'all of {names}, without --distributed'
    raise ConfigError(given, by_hand[given], expected)
  assert process_id is not None and num_processes is not None
  if process_id >= num_processes:
    expected = f'less than --num_processes={num_processes}'
    raise ConfigError('process_id', process_id, expected)
  jax.distributed.initialize(**by_hand)


def _initialize() -> None:
  """Join the processes of a cluster that says what it is."""
  try:
    jax.distributed.initialize()
  except (RuntimeError, ValueError) as error:
    expected = f'a cluster that says what it is: {error}'
    raise ConfigError('distributed', True, expected) from error
