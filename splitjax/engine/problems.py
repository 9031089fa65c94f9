"""What a binary is asked to measure: a configuration, looked up and checked."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from experiments import catalog
from experiments import common
from splitjax import data
from splitjax.attacks import catalog as attack_catalog
from splitjax.data import sets
from splitjax.defenses import defense as defending
from splitjax.defenses import plan as defense_plan
from splitjax.engine import programs
from splitjax.models import networks
from splitjax.records import recording
from splitjax.results import report
from splitjax.training import shapes
from splitjax.training import split


@dataclasses.dataclass(frozen=True)
class Config(sets.DataConfig):
  """What the results depend on; the fields are the flags of these names."""

  model: str = 'mlp'
  norm: str | None = None  # 'batch', where there is a normalisation.
  dtype: str = 'float32'
  cuts: tuple[int, ...] = ()  # The architecture's main cut.
  epochs: int = 60
  batch_size: int = 32
  learning_rate: float = 0.05
  optimizer: str = 'sgd'
  augment: bool = False
  defense: str = 'none'
  malicious_client: bool = False
  intermediates: tuple[str, ...] = ('cut_grads', 'smashed')
  attacks: tuple[str, ...] = ('distance', 'clustering', 'clustering_paper')
  center_smashed: bool = False
  project_to: int = 4096
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
  plan: defense_plan.Plan

  @property
  def setting(self) -> report.Setting:
    """The setting of what depends on no single cut."""
    return report.Setting(
      dataset=self.dataset.name,
      model=self.config.model
      + ('+malicious_client' if self.config.malicious_client else ''),
      cut='-'.join(str(cut) for cut in self.model.cuts),
      defense=self.plan.name,
      strength=self.plan.strength,
      epochs=self.config.epochs,
      batch_size=self.config.batch_size,
      learning_rate=self.config.learning_rate,
      num_aux=self.config.num_aux,
    )

  @property
  def read(self) -> tuple[str, ...]:
    """What is attacked, with the no-leak baseline of smashed data."""
    read = self.config.intermediates
    return (*read, 'untrained_smashed') if 'smashed' in read else read

  @property
  def granted(self) -> frozenset[str]:
    """What some attack knows beside a view, fields of `viewing.Own`."""
    attacks = [attack_catalog.ATTACKS[name] for name in self.config.attacks]
    return frozenset(name for attack in attacks for name in attack.granted)

  @property
  def references(self) -> tuple[str, ...]:
    """What is known without an attack, see `measuring.REFERENCES`."""
    # Some are noted while the gradients are recorded.
    known = self.plan.has_guarantee and 'cut_grads' in self.config.intermediates
    return ('model', 'majority', 'chance', *(['guarantee'] if known else []))

  @property
  def num_epochs(self) -> int:
    """All passes of a training, those of a first stage included."""
    stages = 1 if self.plan.relabel_fn() is None else 2
    return stages * self.config.epochs

  def recipe(self, *, baseline: bool = True, **changes) -> programs.Recipe:
    """How to train.

    Args:
      baseline: whether to keep what untrained clients make of the data.
      **changes: other values of the recipe's fields.

    Returns:
      The recipe.
    """
    read = self.read if baseline else self.config.intermediates
    read += tuple({'cut_grads', 'sent', 'online'} & self.granted)
    read += ('client',) if 'extractor' in self.granted else ()
    recipe = programs.Recipe(
      optimizer_fn=catalog.OPTIMIZERS[self.config.optimizer],
      num_epochs=self.config.epochs,
      batch_size=self.config.batch_size,
      read=read,
      width=self.config.project_to,
      augment_fn=data.crop_and_flip if self.config.augment else None,
      protect_fn=self.plan.protect,
      may_diverge=not self.plan.off,
      relabel_fn=self.plan.relabel_fn(),
      num_classes=self.dataset.num_classes,
      # Of the two-party split the client, of the U-shaped the server.
      malicious_part=len(self.model.cuts) - 1
      if self.config.malicious_client
      else None,
    )
    return dataclasses.replace(recipe, **changes)


def check(
  config: Config, *, cuts: Sequence[int] | str | None = None
) -> Problem:
  """Looks up what a configuration names, before any long work starts.

  Args:
    config: to be checked.
    cuts: instead of the configuration's one or two; 'all' for every one.

  Returns:
    The problem.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  common.check_name('model', config.model, catalog.MODELS)
  common.check_name('optimizer', config.optimizer, catalog.OPTIMIZERS)
  if config.attacks != ('all',):
    _check_names('attacks', config.attacks, attack_catalog.ATTACKS)
  _check_names('intermediates', config.intermediates, recording.INTERMEDIATES)
  common.check_positive('learning_rate', config.learning_rate)
  dataset = sets.load(config, config.seed)
  options = networks.options_of(
    config.model, dataset, norm=config.norm, dtype=config.dtype
  )
  layers = networks.make_layers(config.model, options)
  if cuts == 'all':
    cuts = range(1, len(layers))
  u_shaped = cuts is None and len(config.cuts) == 2
  if cuts is None:
    cuts = config.cuts or (catalog.MODELS[config.model].main_cut,)
    if len(cuts) > 2:
      text = ','.join(str(cut) for cut in cuts)
      raise common.FlagError('cuts', text, 'one cut, or two')
  networks.check_cuts(cuts, layers, config.model)
  model = split.SplitModel(layers, cuts)
  networks.check_inputs('model', config.model, model, dataset.train_inputs[:1])
  found = attack_catalog.find_attacks(
    config.attacks,
    dataset.num_classes,
    shapes.cut_widths(model, dataset.train_inputs[:1]),
    config.project_to,
    u_shaped,
  )
  config = dataclasses.replace(config, attacks=found)
  if config.augment and dataset.train_inputs.ndim != 4:
    raise common.FlagError('augment', True, 'a data set of images')
  common.check_range(
    'batch_size',
    config.batch_size,
    1,
    len(dataset.train_labels),
    'at most the training samples',
  )
  check_num_aux(config.num_aux, dataset)
  config = dataclasses.replace(config, cuts=tuple(cuts))
  specs = defense_plan.parse('defense', config.defense)
  plan = make_plan(specs, config, dataset, model)
  if plan.specs and plan.off:
    common.warn(f'--defense={config.defense} defends nothing at that strength')
  return Problem(config, dataset, model, plan)


def make_plan(
  specs: Sequence[defense_plan.Spec],
  config: Config,
  dataset: data.Dataset,
  model: split.SplitModel,
  flag: str = 'defense',
) -> defense_plan.Plan:
  """Defenses in a problem.

  Args:
    specs: the defenses.
    config: how to train.
    dataset: what is trained on.
    model: what is trained.
    flag: where the defenses are named, for the messages.

  Returns:
    The defenses, checked.

  Raises:
    common.FlagError: if they do not fit the problem or each other.
  """
  server = shapes.server_part(model, dataset.train_inputs[:1])
  defense_plan.check(
    flag,
    specs,
    num_classes=dataset.num_classes,
    server_has_state=server.has_state,
    floating_inputs=catalog.kind_of(dataset) in ('image', 'numbers'),
  )
  sizes = np.bincount(dataset.train_labels, minlength=dataset.num_classes)
  facts = defending.Facts(
    prior=tuple((sizes / sizes.sum()).tolist()),
    num_samples=len(dataset.train_labels),
    batch_size=config.batch_size,
    epochs=config.epochs,
    microbatch=server.examples_at_once,
  )
  return defense_plan.Plan(tuple(specs), facts)


def check_num_aux(
  num_aux: int, dataset: data.Dataset, flag: str = 'num_aux'
) -> None:
  """Raises `FlagError` if a class has too few samples for the attacker."""
  smallest = int(np.bincount(dataset.train_labels).min())
  common.check_range(
    flag,
    num_aux,
    1,
    smallest - 1,
    'fewer than the training samples of the smallest class',
  )


def _check_names(flag: str, names: Sequence[str], accepted) -> None:
  for name in names or ('',):
    common.check_name(flag, name, accepted)
  if len(set(names)) < len(names):
    raise common.FlagError(flag, ','.join(names), 'each name once')
