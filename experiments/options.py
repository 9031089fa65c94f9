"""Flags made from the fields of a configuration, and those of the machine."""

from collections.abc import Sequence
import os
from typing import Any

from absl import flags
import jax

from splitjax import compilation
from splitjax import engine
from splitjax import options
from splitjax import parallel

_DISTRIBUTED = flags.DEFINE_boolean(
  'distributed',
  False,
  'Whether this process is one of several that run together, found out from '
  'the cluster (a TPU pod, SLURM). All get the same flags.',
)
_COORDINATOR = flags.DEFINE_string(
  'coordinator_address',
  None,
  'HOST:PORT of process 0, where no cluster says it; with --num_processes and '
  '--process_id.',
)
_NUM_PROCESSES = flags.DEFINE_integer(
  'num_processes',
  None,
  'How many processes run together.',
  lower_bound=1,
  upper_bound=options.LARGEST,
)
_PROCESS_ID = flags.DEFINE_integer(
  'process_id',
  None,
  'Which of them this is, from 0.',
  lower_bound=0,
  upper_bound=options.LARGEST,
)
_CPU_DEVICES = flags.DEFINE_integer(
  'cpu_devices',
  None,
  'How many devices to make of the CPU, which share the trainings: as many as '
  'it has cores, if memory allows. One by default.',
  lower_bound=1,
  upper_bound=1024,
)
_CACHE = flags.DEFINE_string(
  'compilation_cache',
  None,
  'Folder in which compiled programs are kept for the next run; splitjax in '
  '$XDG_CACHE_HOME or ~/.cache by default, and none if empty.',
)


class _Numbers(flags.ArgumentParser):
  """Several values of one type, with commas between."""

  def __init__(self, kind: type) -> None:
    super().__init__()
    self._kind = kind

  def parse(self, argument: str | Sequence[Any]) -> tuple[Any, ...]:
    """Return the values of a text, or those that were parsed already."""
    if not isinstance(argument, str):
      return tuple(argument)
    try:
      found = tuple(self._kind(x) for x in argument.split(',') if x)
    except ValueError as error:
      kind = {int: 'whole numbers', float: 'numbers'}[self._kind]
      raise ValueError(f'expected {kind} with commas between') from error
    largest = max(map(abs, found), default=0)
    if self._kind is int and largest > options.LARGEST:
      raise ValueError(f'expected at most {options.LARGEST}')
    return found


def define_flags(
  default: engine.Config, values: flags.FlagValues = flags.FLAGS
) -> None:
  """Define a flag for every field of a configuration.

  Args:
    default: the configuration that no flags mean.
    values: where they are defined.
  """
  for one in options.options_of(default):
    bounds = {'lower_bound': one.low, 'upper_bound': one.high}
    named = {'name': one.name, 'default': one.default, 'help': one.text}
    if one.several and one.kind is str:
      named['default'] = list(one.default)
      flags.DEFINE_list(**named, flag_values=values)
    elif one.several:
      flags.DEFINE(
        _Numbers(one.kind),
        **named,
        flag_values=values,
        serializer=flags.ListSerializer(','),
      )
    elif one.kind is bool:
      flags.DEFINE_boolean(**named, flag_values=values)
    elif one.kind is int:
      flags.DEFINE_integer(**named, **bounds, flag_values=values)
    elif one.kind is float:
      flags.DEFINE_float(**named, flag_values=values)
    else:
      flags.DEFINE_string(**named, flag_values=values)


def config_of_flags(
  default: engine.Config, values: flags.FlagValues = flags.FLAGS
) -> engine.Config:
  """Return the configuration that the command line asks for."""
  fields: dict[str, Any] = {
    one.name: values[one.name].value for one in options.options_of(default)
  }
  return type(default)(**fields)


def start_machine() -> None:
  """Set up devices and processes as the flags say, before any array is made."""
  compilation.keep(_CACHE.value)
  parallel.start(
    distributed=_DISTRIBUTED.value,
    coordinator_address=_COORDINATOR.value,
    num_processes=_NUM_PROCESSES.value,
    process_id=_PROCESS_ID.value,
    cpu_devices=_CPU_DEVICES.value,
  )
  try:
    jax.devices()
  except (AssertionError, RuntimeError) as error:  # JAX raises either.
    platforms = os.environ.get('JAX_PLATFORMS', '')
    expected = f'a device that is there: {str(error).partition("(")[0]}'
    message = f'JAX_PLATFORMS={platforms}: expected {expected}'
    raise flags.Error(message.rstrip(': ')) from error
