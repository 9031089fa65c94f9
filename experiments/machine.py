"""What a binary is told of the machine: processes and compiled programs."""

from collections.abc import Sequence

from absl import flags
import jax
from jax.experimental import multihost_utils
import numpy as np

_DISTRIBUTED = flags.DEFINE_boolean(
  'distributed',
  False,
  'Whether this process is one of several that run together, found out from '
  'the cluster (a TPU pod, SLURM). All get the same flags.',
)
_COORDINATOR = flags.DEFINE_string(
  'coordinator_address',
  None,
  'The same where nothing tells: HOST:PORT of process 0, with --num_processes '
  'and --process_id.',
)
_NUM_PROCESSES = flags.DEFINE_integer(
  'num_processes', None, 'How many processes run together.', lower_bound=1
)
_PROCESS_ID = flags.DEFINE_integer(
  'process_id', None, 'Which of them this is, from 0.', lower_bound=0
)
_CPU_DEVICES = flags.DEFINE_integer(
  'cpu_devices',
  None,
  'How many devices to make of the CPU, which share the trainings: as many as '
  'it has cores, if memory allows. One by default.',
  lower_bound=1,
)
_CACHE = flags.DEFINE_string(
  'compilation_cache',
  None,
  'Folder in which compiled programs are kept for the next run.',
)


def start() -> None:
  """Does what the flags say, before any array is made.

  Raises:
    flags.Error: if the flags of processes do not go together.
  """
  if _CACHE.value is not None:
    jax.config.update('jax_compilation_cache_dir', _CACHE.value)
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)
  if _CPU_DEVICES.value is not None:
    jax.config.update('jax_num_cpu_devices', _CPU_DEVICES.value)
  by_hand = {
    flag.name: flag.value
    for flag in (_COORDINATOR, _NUM_PROCESSES, _PROCESS_ID)
  }
  missing = [name for name, value in by_hand.items() if value is None]
  if len(missing) < len(by_hand):
    if missing or _DISTRIBUTED.value:
      names = ', '.join(f'--{name}' for name in by_hand)
      raise flags.Error(f'expected all of {names}, without --distributed')
    if by_hand['process_id'] >= by_hand['num_processes']:
      raise flags.Error(
        f'--process_id={by_hand["process_id"]}: expected less than '
        f'--num_processes={by_hand["num_processes"]}'
      )
    jax.distributed.initialize(**by_hand)
  elif _DISTRIBUTED.value:
    try:
      jax.distributed.initialize()
    except (RuntimeError, ValueError) as error:
      raise flags.Error(
        f'--distributed=True: expected a cluster that says what it is: {error}'
      ) from error


def writes() -> bool:
  """Whether this process is the one that writes and prints."""
  return jax.process_index() == 0


def agree(known: Sequence[bool]) -> list[bool]:
  """What process 0 knows, for all."""
  if jax.process_count() == 1:
    return list(known)
  return multihost_utils.broadcast_one_to_all(np.array(known)).tolist()
