"""What a binary is asked to measure: a configuration, looked up and checked."""

import dataclasses
import math

import numpy as np

from experiments import catalog
from experiments import common
from splitjax import data
from splitjax import report
from splitjax import split


@dataclasses.dataclass(frozen=True)
class Config:
  """What the results depend on; the fields are the flags of these names."""

  dataset: str = 'digits'
  model: str = 'mlp'
  cut: int | None = None  # The architecture's main cut.
  epochs: int = 60
  batch_size: int = 32
  learning_rate: float = 0.05
  optimizer: str = 'sgd'
  attacks: tuple[str, ...] = ('distance', 'clustering', 'clustering_paper')
  center_smashed: bool = False
  num_aux: int = 1
  num_aux_draws: int = 10
  num_seeds: int = 5
  seed: int = 0


@dataclasses.dataclass(frozen=True)
class Problem:
  """A configuration that was checked, with what its names stand for."""

  config: Config
  dataset: data.Dataset
  model: split.SplitModel

  @property
  def setting(self) -> report.Setting:
    """The columns that all rows share."""
    return report.Setting(
      self.dataset.name,
      self.config.model,
      '-'.join(str(cut) for cut in self.model.cuts),
    )


def check(config: Config) -> Problem:
  """Looks up what a configuration names, before any long work starts.

  Args:
    config: to be checked.

  Returns:
    The problem.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  common.check_name('dataset', config.dataset, catalog.DATASETS)
  common.check_name('model', config.model, catalog.MODELS)
  common.check_name('optimizer', config.optimizer, catalog.OPTIMIZERS)
  for name in config.attacks or ('',):
    common.check_name('attacks', name, catalog.ATTACKS)
  if len(set(config.attacks)) < len(config.attacks):
    raise common.FlagError(
      'attacks', ','.join(config.attacks), 'each name once'
    )
  if not (math.isfinite(config.learning_rate) and config.learning_rate > 0):
    raise common.FlagError(
      'learning_rate', config.learning_rate, 'a positive number'
    )
  dataset = catalog.DATASETS[config.dataset](seed=config.seed)
  architecture = catalog.MODELS[config.model]
  rank = dataset.train_inputs.ndim - 1
  if architecture.input_rank not in (None, rank):
    fitting = [
      name
      for name, other in catalog.MODELS.items()
      if other.input_rank in (None, rank)
    ]
    raise common.FlagError(
      'model',
      config.model,
      f'a model for inputs of shape {dataset.train_inputs.shape[1:]}: '
      + ', '.join(fitting),
    )
  layers = architecture.make_fn(dataset.num_classes)
  cut = architecture.main_cut if config.cut is None else config.cut
  common.check_range(
    'cut', cut, 1, len(layers) - 1, f'a layer inside {config.model}'
  )
  common.check_range(
    'batch_size',
    config.batch_size,
    1,
    len(dataset.train_labels),
    'at most the training samples',
  )
  smallest = int(np.bincount(dataset.train_labels).min())
  common.check_range(
    'num_aux',
    config.num_aux,
    1,
    smallest - 1,
    'fewer than the training samples of the smallest class',
  )
  config = dataclasses.replace(config, cut=cut)
  return Problem(config, dataset, split.SplitModel(layers, (cut,)))
