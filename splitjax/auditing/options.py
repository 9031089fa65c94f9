"""What an audit is asked for: one table for the command and for programs."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from splitjax.auditing import truth
from splitjax.errors import ConfigError
from splitjax.errors import check_name
from splitjax.errors import check_range
from splitjax.options import option

# What crosses a cut, or is compared with it: given as arrays or files.
ARRAYS = (
  'cut_grads',
  'smashed',
  'untrained_smashed',
  'inputs',
  'test_smashed',
  'test_untrained_smashed',
  'test_inputs',
)
TEXTS = ('labels', 'test_labels', 'sample_ids', 'steps', 'record')


@dataclasses.dataclass(frozen=True)
class Options:
  """How an audit attacks and judges.

  Attributes:
    limit: leakage that is allowed, in percentage points.
    attacks: attacks by name, or 'default', or 'all'.
    num_aux: labels of each class that the attacker knows; of real targets, in
      all.
    num_aux_draws: draws of these samples in each run.
    level: probability that all intervals of the verdict cover.
    target: 'class', 'real' or 'auto'.
    class_names: names of the classes, in sorted order of the labels.
    max_numbers: how many numbers of the vectors of a run are attacked at most:
      of more samples a random part is taken, and said. 0 takes 33 million, and
      of more than 268 million in all 8 million.
    seed: seed of all draws.
  """

  limit: float = option(5.0, 'Leakage that is allowed, in percentage points.')
  attacks: tuple[str, ...] = option(
    ('default',), 'Attacks by name, with commas between; default; or all.'
  )
  num_aux: int = option(
    1,
    'Labels that the attacker knows: of each class, or of real targets in all '
    '(at least 3, 20 by default).',
    low=1,
  )
  num_aux_draws: int = option(
    20, 'Draws of the known samples in each run.', low=1
  )
  level: float = option(
    0.95, 'Probability that all intervals of the verdict cover.'
  )
  target: str = option(
    truth.AUTO, 'What the labels are: class, real, or auto to see.'
  )
  class_names: tuple[str, ...] = option(
    (), 'Names of the classes, in sorted order of the labels.'
  )
  max_numbers: int = option(
    0,
    'Numbers of vectors of a run that are attacked at most. Of more samples a '
    'random part is taken, and the report says so. 0 takes 33 million, and of '
    'records over 1 GB 8 million, which need less than 1 GB of memory.',
    low=0,
  )
  seed: int = option(0, 'Seed of all draws.', low=0)

  def __post_init__(self) -> None:
    if not 0 <= self.limit < 100:
      raise ConfigError('limit', self.limit, 'points between 0 and 100')
    if not 0.5 <= self.level < 1:
      raise ConfigError('level', self.level, 'a share from 0.5 to below 1')
    check_name('target', self.target, (truth.AUTO, truth.CLASS, truth.REAL))
    for name, high in (('num_aux', 10**6), ('num_aux_draws', 10**4)):
      check_range(name, getattr(self, name), 1, high, 'a number of samples')
    check_range('max_numbers', self.max_numbers, 0, 1 << 40, 'a number')
    check_range('seed', self.seed, 0, 2**32 - 1, 'a seed')


def from_mapping(values: Mapping[str, Any]) -> Options:
  """Return options from plain values, such as a file holds.

  Args:
    values: by name; lists for several values.

  Returns:
    The options.

  Raises:
    ConfigError: if a name is unknown or a value of another type.
  """
  fields = {one.name: one for one in dataclasses.fields(Options)}
  found: dict[str, Any] = {}
  for name, value in values.items():
    if name not in fields:
      raise ConfigError(name, value, f'one of {", ".join(fields)}')
    default = fields[name].default
    if isinstance(default, tuple):
      value = [value] if isinstance(value, str) else value
      if not isinstance(value, list | tuple):
        raise ConfigError(name, value, 'a list')
      found[name] = tuple(map(str, value))
    elif isinstance(default, str):
      found[name] = str(value)
    else:
      found[name] = _number(name, value, type(default))
  return Options(**found)


def _number(name: str, value: Any, kind: type) -> Any:
  """Return a number of a type, or raise."""
  words = {int: 'a whole number', float: 'a number'}[kind]
  try:
    number = kind(value)
    exact = kind is float or number == float(value)
  except (TypeError, ValueError, OverflowError) as error:
    raise ConfigError(name, value, words) from error
  if isinstance(value, bool) or not exact:
    raise ConfigError(name, value, words)
  return number
