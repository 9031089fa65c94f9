"""Many runs as one program, on one device or many, in one process or many.

A *run* is one call of a pure function; its arguments are one entry of the runs'
first axis: a key, a learning rate, a defense's strength, an auxiliary draw. In
shape descriptions `P` is the number of runs.
"""

from collections.abc import Callable, Sequence
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from splitjax import compilation
from splitjax import meeting
from splitjax.errors import ConfigError

PyTree = Any

AXIS = 'runs'  # Name of the mesh's axis.
_WAIT_SECONDS = 300  # For the other processes, as JAX does.


def grid(*axes: PyTree) -> tuple[PyTree, ...]:
  """Return all combinations of the entries of several axes.

  Args:
    *axes: pytrees; the leaves of each have a first axis of one length.

  Returns:
    Pytrees of the same structures, with leaves `[P, ...]`, where `P` is the
    product of these lengths. The last axis varies fastest.

  Example:
    >>> seeds, rates = grid(jnp.array([1, 2]), jnp.array([0.5, 0.25, 0.0]))
    >>> seeds.tolist(), rates.tolist()
    ([1, 1, 1, 2, 2, 2], [0.5, 0.25, 0.0, 0.5, 0.25, 0.0])
  """
  sizes = [len(jax.tree.leaves(axis)[0]) for axis in axes]
  indices = jnp.unravel_index(jnp.arange(math.prod(sizes)), sizes)
  return tuple(
    jax.tree.map(lambda x, i=index: x[i], axis)
    for axis, index in zip(axes, indices, strict=True)
  )


def make_mesh() -> jax.sharding.Mesh | None:
  """Return a mesh of all devices of all processes, to share runs.

  Returns:
    The mesh, with one axis named `AXIS`; None if there is only one device.
  """
  if jax.device_count() == 1:
    return None
  return jax.make_mesh(
    (jax.device_count(),), (AXIS,), (jax.sharding.AxisType.Auto,)
  )


def pad(runs: PyTree, mesh: jax.sharding.Mesh | None) -> PyTree:
  """Repeat the last run until all devices have equally many runs.

  Args:
    runs: arguments of the runs, a pytree with leaves `[P, ...]`.
    mesh: mesh from `make_mesh`.

  Returns:
    A pytree with leaves `[Q, ...]`, whose first `P` entries are those of
    `runs`; `Q` is a multiple of the number of devices.

  Example:
    >>> pad(jnp.arange(3), None).tolist()
    [0, 1, 2]
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
  """Apply a function to every run; to be called under `jax.jit`.

  The result equals that of `jax.vmap(fn)(runs)`, up to rounding.

  Args:
    fn: function of one run. Arrays that it closes over are copied to every
      device.
    runs: arguments of the runs, a pytree with leaves `[P, ...]`. With a mesh,
      `P` must be a multiple of the number of devices; `pad` makes it one.
    at_once: number of runs that a device computes side by side; all by default.
    mesh: mesh of the devices that share the runs, from `make_mesh`; one device
      computes all runs if it is None.

  Returns:
    Results of all runs, a pytree with leaves `[P, ...]`, sharded like the runs.

  Raises:
    ValueError: if `P` is not a multiple of the number of devices.

  Example:
    >>> map_runs(lambda x: x + 1, jnp.arange(3), at_once=2).tolist()
    [1, 2, 3]
  """
  size = len(jax.tree.leaves(runs)[0])
  if mesh is not None and size % mesh.size:
    raise ValueError(
      f'runs must be a multiple of the {mesh.size} devices, got {size}: pad '
      'them.'
    )

  def local_fn(runs: PyTree) -> PyTree:
    # A batch of one is slower than what has no axis of runs, as in lax.map
    # without a batch size: the convolutions of a network above all.
    size = len(jax.tree.leaves(runs)[0])
    if size == 1:
      found = fn(jax.tree.map(lambda x: x[0], runs))
      return jax.tree.map(lambda x: jnp.asarray(x)[None], found)
    if at_once is None or at_once >= size:
      return jax.vmap(fn)(runs)
    return jax.lax.map(fn, runs, batch_size=at_once if at_once > 1 else None)

  if mesh is None:
    return local_fn(runs)
  spec = jax.sharding.PartitionSpec(AXIS)
  return jax.shard_map(
    local_fn, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
  )(runs)


def on_every_device(tree: PyTree, mesh: jax.sharding.Mesh | None) -> PyTree:
  """Gather sharded arrays, so that every process can read them.

  To be called under `jax.jit`.

  Args:
    tree: arrays to gather, a pytree.
    mesh: mesh from `make_mesh`; nothing is done if it is None.

  Returns:
    The pytree, with all arrays on every device.
  """
  if mesh is None:
    return tree
  everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  return jax.lax.with_sharding_constraint(tree, everywhere)


def is_writer() -> bool:
  """Return whether this process is process 0, which writes and prints.

  Example:
    >>> is_writer()
    True
  """
  return jax.process_index() == 0


def agree(known: Sequence[bool]) -> list[bool]:
  """Return to all processes what process 0 knows.

  Args:
    known: truth values; every process must give equally many.

  Returns:
    The truth values of process 0.

  Example:
    >>> agree([True, False])
    [True, False]
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
  """Set up devices and processes; to be called before any array is made.

  Several processes work together either if `distributed` is true, and the
  cluster (a TPU pod, SLURM) tells JAX about them, or if `coordinator_address`,
  `num_processes` and `process_id` are all given. All processes must run the
  same program.

  Args:
    distributed: whether to ask the cluster for the other processes.
    coordinator_address: HOST:PORT of process 0.
    num_processes: number of processes, at least 1.
    process_id: index of this process, from 0.
    cpu_devices: number of devices that the CPU counts as; one by default.
    compilation_cache: folder for `compilation.keep`; nothing by default.

  Raises:
    ConfigError: if the arguments of several processes do not fit together, the
      cluster does not tell, or the processes do not meet.
  """
  if compilation_cache is not None:
    compilation.keep(compilation_cache)
  if cpu_devices is not None:
    jax.config.update('jax_num_cpu_devices', cpu_devices)
  by_hand = {
    'coordinator_address': coordinator_address,
    'num_processes': num_processes,
    'process_id': process_id,
  }
  given: dict[str, Any] = {k: x for k, x in by_hand.items() if x is not None}
  if not given and distributed:
    _join_cluster()
  if given:
    _check_by_hand(by_hand, given, distributed)
    meeting.meet(
      given['coordinator_address'],
      num_processes=given['num_processes'],
      process_id=given['process_id'],
      seconds=_WAIT_SECONDS,
    )
    try:
      jax.distributed.initialize(**given)
    except (RuntimeError, ValueError) as error:
      expected = f'HOST:PORT at which JAX can join processes: {error}'
      raise ConfigError(
        'coordinator_address', coordinator_address, expected
      ) from error


def _join_cluster() -> None:
  """Join the processes of a cluster that tells JAX about them."""
  try:
    jax.distributed.initialize()
  except (RuntimeError, ValueError) as error:
    expected = f'a cluster that says what it is: {error}'
    raise ConfigError('distributed', True, expected) from error


def _check_by_hand(
  by_hand: dict[str, Any], given: dict[str, Any], distributed: bool
) -> None:
  """Raise ConfigError if arguments of processes do not fit together.

  Args:
    by_hand: arguments of processes, by name.
    given: those that are not None.
    distributed: whether to ask a cluster, too.
  """
  if len(given) < len(by_hand) or distributed:
    field, value = next(iter(given.items()))
    expected = f'all of {", ".join(by_hand)}, without distributed'
    raise ConfigError(field, value, expected)
  if given['num_processes'] < 1:
    raise ConfigError('num_processes', given['num_processes'], 'at least 1')
  if not 0 <= given['process_id'] < given['num_processes']:
    expected = f'less than num_processes={given["num_processes"]}, from 0'
    raise ConfigError('process_id', given['process_id'], expected)
