"""A configuration, looked up and checked before any long work starts."""

from collections.abc import Callable, Sequence
import dataclasses
import functools

import numpy as np

from splitjax.attacks.catalog import Setup
from splitjax.attacks.choice import Choice
from splitjax.attacks.choice import find_attacks
from splitjax.data import sets
from splitjax.data.dataset import Dataset
from splitjax.defenses import parsing
from splitjax.defenses.plan import Plan
from splitjax.defenses.plan import Spec
from splitjax.engine.canaries import Canaries
from splitjax.engine.config import Config
from splitjax.engine.fitting import check_inputs
from splitjax.engine.fitting import check_num_aux
from splitjax.engine.fitting import check_settings
from splitjax.engine.fitting import fit_model
from splitjax.engine.fitting import make_plan
from splitjax.errors import ConfigError
from splitjax.errors import check_distinct
from splitjax.errors import check_name
from splitjax.errors import check_positive
from splitjax.errors import check_range
from splitjax.models import catalog as models
from splitjax.models.layering import Layer
from splitjax.records.intermediates import EXCHANGED
from splitjax.records.intermediates import Name
from splitjax.results import Setting
from splitjax.training import shapes
from splitjax.training.optimizers import OPTIMIZERS
from splitjax.training.protection import Protection
from splitjax.training.split import Model
from splitjax.training.split import SplitModel

LayersFn = Callable[[Dataset], tuple[Layer, ...]]
ModelFn = Callable[[Dataset, LayersFn], Model]

# How many samples an attacker of real targets knows by default.
_REAL_AUX = 10


@dataclasses.dataclass(frozen=True)
class Problem:
  """A configuration that was checked, with what its names stand for.

  Attributes:
    config: the configuration, defaults filled in.
    dataset: what is trained on.
    model: what is trained, and where it is cut.
    plan: the defenses.
    attacks: what is run against it.
    notes: what the user should be warned of, a sentence each.
    is_whole: whether what crosses is recorded whole.
    canaries: samples whose labels coins chose, if any.
  """

  config: Config
  dataset: Dataset
  model: Model
  plan: Plan
  attacks: tuple[Choice, ...]
  notes: tuple[str, ...] = ()
  is_whole: bool = True
  canaries: Canaries | None = None

  @property
  def model_name(self) -> str:
    """What the results call the network."""
    name = self.config.model
    return name if isinstance(name, str) else models.OWN

  @property
  def setting(self) -> Setting:
    """The setting of what depends on no single cut."""
    config = self.config
    assert config.num_aux is not None  # `check` filled it in.
    return Setting(
      dataset=self.dataset.name,
      model=self.model_name
      + ('+malicious_client' if config.malicious_client else ''),
      cut='-'.join(str(cut) for cut in dict.fromkeys(self.model.cuts)),
      defense=self.plan.name,
      strength=self.plan.strength,
      epochs=config.epochs,
      batch_size=config.batch_size,
      learning_rate=config.learning_rate,
      recorded_epoch=config.recorded_epoch,
      num_aux=config.num_aux,
    )

  @property
  def read(self) -> tuple[str, ...]:
    """What is attacked, with the no-leak baseline of smashed data."""
    read = self.config.intermediates
    return (*read, Name.UNTRAINED_SMASHED) if Name.SMASHED in read else read

  @property
  def granted(self) -> frozenset[Name]:
    """What some attack knows beside a view: fields of `viewing.Own`."""
    return frozenset(
      name for choice in self.attacks for name in choice.attack.granted
    )

  @property
  def optional(self) -> frozenset[Name]:
    """What some attack uses if it is there, and that can be recorded."""
    if not self.is_whole:
      return frozenset()
    return frozenset(
      name for choice in self.attacks for name in choice.attack.optional
    )

  @property
  def references(self) -> tuple[str, ...]:
    """What is known without an attack: keys of `references.REFERENCES`."""
    guesses = ('mean',) if self.dataset.is_real else ('majority', 'chance')
    # Some guarantees are noted while the gradients are recorded.
    known = self.plan.has_guarantee and Name.CUT_GRADS in (
      self.config.intermediates
    )
    return ('model', *guesses, *(['guarantee'] if known else []))

  @property
  def trained_labels(self) -> np.ndarray:
    """The labels of each network, before any defense, `[S, N]`."""
    labels = np.tile(self.dataset.train_labels, (self.config.num_seeds, 1))
    if self.canaries is not None:
      labels[:, self.canaries.ids] = self.canaries.labels
    return labels

  @property
  def num_epochs(self) -> int:
    """All passes of a training, those of a first stage included."""
    stages = 1 if self.plan.relabel_fn is None else 2
    return stages * self.config.epochs


def check(
  config: Config,
  *,
  cuts: Sequence[int] | str | None = None,
  model_fn: ModelFn | None = None,
) -> Problem:
  """Look up what a configuration names, before any long work starts.

  Args:
    config: the configuration.
    cuts: cuts to use instead of the configuration's one or two; 'all' for
      every one.
    model_fn: makes a model of a data set and a function from a data set to the
      layers for it; one that is cut at `cuts` by default.

  Returns:
    The problem.

  Raises:
    ConfigError: naming the field, its value and what was expected.
  """
  _check_names(config)
  dataset = sets.load(config, config.seed)
  specs, own = _defenses_of(config)
  layers_fn = functools.partial(_layers_of, config, specs=specs)
  if model_fn is None:
    layers = layers_fn(dataset)
    model: Model = SplitModel(layers, cuts_of(config, cuts, layers))
  else:
    model = model_fn(dataset, layers_fn)
  if any(one.defense.second_top for one in specs):
    if cuts is not None:
      shown = '+'.join(one.name for one in specs)
      expected = 'a defense that leaves the layers after every cut as they are'
      raise ConfigError('defense', shown, expected)
    model = fit_model(model, specs, dataset)
  check_inputs('model', name_of(config), model, dataset.train_inputs[:1])
  num_aux = config.num_aux
  if num_aux is None:
    num_aux = _REAL_AUX if dataset.is_real else 1
  config = dataclasses.replace(config, num_aux=num_aux, cuts=model.cuts)
  _check_numbers(config, dataset)
  setup = Setup(
    num_classes=dataset.num_classes,
    cut_widths=shapes.cut_widths(model, dataset.train_inputs[:1]),
    project_to=config.project_to,
    u_shaped=cuts is None and model_fn is None and len(model.cuts) == 2,
    intermediates=config.intermediates,
  )
  found, lacking = find_attacks(config.attacks, setup)
  for choice in found:
    check_settings(choice, setup)
  config = dataclasses.replace(config, attacks=tuple(x.text for x in found))
  plan = make_plan(specs, config, dataset, model, own=own)
  notes = [f'{text}: it does not apply' for text in lacking]
  if plan.specs and plan.off:
    notes.append(f'--defense={plan.text} defends nothing at that strength')
  return Problem(
    config,
    dataset,
    model,
    plan,
    found,
    tuple(notes),
    is_whole=setup.project_to == 0 or max(setup.cut_widths) <= setup.project_to,
  )


def with_attacks(problem: Problem, names: Sequence[str]) -> Problem:
  """Return a problem with other attacks, which must apply to it."""
  widths = shapes.cut_widths(problem.model, problem.dataset.train_inputs[:1])
  setup = Setup(problem.dataset.num_classes, widths, problem.config.project_to)
  found, _ = find_attacks(names, setup)
  config = dataclasses.replace(problem.config, attacks=tuple(names))
  return dataclasses.replace(problem, config=config, attacks=found)


def _check_names(config: Config) -> None:
  """Raise `ConfigError` if a name is not one of those accepted."""
  if isinstance(config.model, str):
    check_name('model', config.model, models.MODELS)
  check_name('optimizer', config.optimizer, OPTIMIZERS)
  for name in config.intermediates or ('',):
    check_name('intermediates', name, EXCHANGED)
  check_distinct('intermediates', config.intermediates)
  check_positive('learning_rate', config.learning_rate)


def _check_numbers(config: Config, dataset: Dataset) -> None:
  """Raise `ConfigError` if a number does not fit the data."""
  if config.augment and dataset.train_inputs.ndim != 4:
    raise ConfigError('augment', True, 'a data set of images')
  check_range(
    'recorded_epoch', config.recorded_epoch, 1, config.epochs, 'an epoch'
  )
  check_range(
    'batch_size',
    config.batch_size,
    1,
    len(dataset.train_labels),
    'at most the training samples',
  )
  assert config.num_aux is not None
  check_num_aux(config.num_aux, dataset)


def name_of(config: Config) -> str:
  """Return what messages call the network."""
  return config.model if isinstance(config.model, str) else models.OWN


def _defenses_of(
  config: Config,
) -> tuple[tuple[Spec, ...], Protection | None]:
  """Return the defenses by name, and the user's own one."""
  if isinstance(config.defense, Protection):
    return (), config.defense
  return parsing.parse('defense', config.defense), None


def _layers_of(
  config: Config, dataset: Dataset, specs: Sequence[Spec]
) -> tuple[Layer, ...]:
  """Return the layers of the network."""
  if not isinstance(config.model, str):
    for field in ('norm', 'hidden_sizes'):
      value = getattr(config, field)
      if value:
        raise ConfigError(field, value, 'none with layers of your own')
    if len(config.model) < 2:
      raise ConfigError('model', len(config.model), 'two layers or more')
    return config.model
  options = models.options_of(
    config.model,
    dataset,
    norm=config.norm,
    dtype=config.dtype,
    hidden_sizes=config.hidden_sizes,
    extra_outputs=sum(one.extra_outputs for one in specs),
  )
  return models.make_layers(config.model, options)


def cuts_of(
  config: Config, cuts: Sequence[int] | str | None, layers: Sequence[Layer]
) -> tuple[int, ...]:
  """Return where the network is cut."""
  if cuts == 'all':
    return tuple(range(1, len(layers)))
  if cuts is None:
    cuts = config.cuts or (models.main_cut(config.model, len(layers)),)
    if len(cuts) > 2:
      raise ConfigError('cuts', config.cuts, 'one cut, or two')
  found = tuple(int(cut) for cut in cuts)
  models.check_cuts(found, len(layers), name_of(config))
  return found
