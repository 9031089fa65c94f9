"""What a regression run is asked to measure: a configuration and its flags."""

from collections.abc import Sequence
import dataclasses

from absl import flags

from experiments import catalog
from experiments import common
from experiments import regressors
from splitjax import data

_DATASETS = {'diabetes': data.load_diabetes}


@dataclasses.dataclass(frozen=True)
class Config:
  """What the results depend on; the fields are the flags of these names."""

  dataset: str = 'diabetes'
  hidden_sizes: tuple[int, ...] = (32, 32)
  cut: int | None = None  # Before the head.
  epochs: int = 30
  batch_size: int = 32
  learning_rate: float = 0.01
  optimizer: str = 'sgd'
  recorded_epoch: int = 1
  defense: tuple[str, ...] = ('none',)
  strengths: tuple[float, ...] = (0.5, 1.0, 2.0)
  num_extra: int = 4
  num_aux: tuple[int, ...] = (5, 10, 20)
  num_aux_draws: int = 5
  num_seeds: int = 5
  seed: int = 0


def check(config: Config) -> tuple[Config, data.RegressionDataset]:
  """Completes a configuration, and loads its data.

  Args:
    config: to be checked.

  Returns:
    The configuration with its defaults filled in, and the data set.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  common.check_name('dataset', config.dataset, _DATASETS)
  common.check_name('optimizer', config.optimizer, catalog.OPTIMIZERS)
  common.check_positive('learning_rate', config.learning_rate)
  for size in config.hidden_sizes or (0,):
    common.check_range('hidden_sizes', size, 1, 4096, 'widths')
  num_layers = 4 + 2 * len(config.hidden_sizes)
  cut = config.cut
  if cut is None:
    cut = num_layers - 3
  common.check_range('cut', cut, 1, num_layers - 1, 'a layer inside the model')
  common.check_range(
    'recorded_epoch',
    config.recorded_epoch,
    1,
    config.epochs,
    'one of the epochs',
  )
  for name in config.defense or ('',):
    common.check_name('defense', name, regressors.DEFENSES)
  for strength in config.strengths or (0.0,):
    common.check_positive('strengths', strength)
  for name in ('defense', 'strengths', 'num_aux'):
    values = getattr(config, name)
    if len(set(values)) < len(values):
      text = ','.join(str(value) for value in values)
      raise common.FlagError(name, text, 'each value once')
  dataset = _DATASETS[config.dataset](seed=config.seed)
  num_samples = len(dataset.train_targets)
  common.check_range(
    'batch_size',
    config.batch_size,
    1,
    num_samples,
    'at most the training samples',
  )
  for num in config.num_aux or (0,):
    common.check_range(
      'num_aux', num, 3, num_samples - 2, 'known samples, of which two are left'
    )
  # What is defended is shown beside what is not.
  names = tuple(dict.fromkeys(('none', *config.defense)))
  num_aux = tuple(sorted(config.num_aux))
  return dataclasses.replace(
    config, cut=cut, defense=names, num_aux=num_aux
  ), dataset


class _Numbers(flags.ArgumentParser):
  """Numbers with commas between."""

  def __init__(self, type_fn: type):
    super().__init__()
    self._type_fn = type_fn

  def parse(self, argument: str | Sequence[float]) -> tuple[float, ...]:
    """The numbers of a text, or those that are numbers already."""
    if not isinstance(argument, str):
      return tuple(argument)
    try:
      return tuple(self._type_fn(x) for x in argument.split(',') if x)
    except ValueError as error:
      kind = {int: 'whole numbers', float: 'numbers'}[self._type_fn]
      raise ValueError(f'expected {kind} with commas between') from error


def define_flags() -> None:
  """Defines the flags; not on import, as other binaries have some of them."""
  default = Config()
  numbers = lambda type_fn: (_Numbers(type_fn), flags.ListSerializer(','))
  for name, type_fn, text in (
    ('hidden_sizes', int, 'Widths of the hidden layers.'),
    ('strengths', float, 'Of the defenses: how large the extra entries are.'),
    ('num_aux', int, 'How many samples the attacker knows, in all; 3 or more.'),
  ):
    parser, serializer = numbers(type_fn)
    flags.DEFINE(
      parser, name, getattr(default, name), text, serializer=serializer
    )
  for name, text in (
    ('dataset', f'One of: {", ".join(_DATASETS)}.'),
    ('optimizer', f'One of: {", ".join(catalog.OPTIMIZERS)}.'),
  ):
    flags.DEFINE_string(name, getattr(default, name), text)
  flags.DEFINE_list(
    'defense',
    list(default.defense),
    f'Any of: {", ".join(regressors.DEFENSES)}; beside what is undefended.',
  )
  flags.DEFINE_float(
    'learning_rate', default.learning_rate, 'Learning rate of both parties.'
  )
  for name, low, text in (
    ('cut', 1, 'How many layers the client holds; all but the head, if none.'),
    ('epochs', 1, 'Passes over the training data.'),
    ('batch_size', 1, 'Samples of a training step.'),
    ('recorded_epoch', 1, 'The pass whose gradients are recorded.'),
    ('num_extra', 1, 'Extra entries of a defended label.'),
    ('num_aux_draws', 1, 'Draws of the known samples, for each seed.'),
    ('num_seeds', 1, 'How many models are trained.'),
    ('seed', 0, 'Seed of everything that is drawn.'),
  ):
    flags.DEFINE_integer(name, getattr(default, name), text, lower_bound=low)


def config_of_flags() -> Config:
  """The configuration that the command line asks for."""
  values = {
    field.name: flags.FLAGS[field.name].value
    for field in dataclasses.fields(Config)
  }
  return Config(**values | {'defense': tuple(values['defense'])})
