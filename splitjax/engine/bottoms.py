"""Bottoms of parties that differ in architecture and width, by name."""

from collections.abc import Sequence
import dataclasses

from splitjax.data.dataset import Dataset
from splitjax.engine import problems
from splitjax.engine.config import Config
from splitjax.engine.fitting import check_inputs
from splitjax.errors import ConfigError
from splitjax.errors import check_name
from splitjax.models import catalog as models
from splitjax.training.label_party import Layers
from splitjax.training.split_model import SplitModel

_FIELD = 'party_models'


def check(texts: Sequence[str], num_parties: int) -> None:
  """Check names and widths of the parties' models, and how many there are.

  Args:
    texts: a model's name for each party, of those with hidden sizes with its
      widths, as 'mlp:64:32'; empty if all parties have the model of all.
    num_parties: the number of parties, `P`.

  Raises:
    ConfigError: naming the first that cannot be used.
  """
  if texts and len(texts) != num_parties:
    expected = f'{num_parties} models, one for each party, got {len(texts)}'
    raise ConfigError(_FIELD, tuple(texts), expected)
  for text in texts:
    _read(text)


def make(
  config: Config, texts: Sequence[str], datasets: Sequence[Dataset]
) -> tuple[Layers, ...]:
  """Make the bottom of each party.

  Each is cut where `config.cuts` says, or else where its architecture is cut by
  default. What lies above is not used.

  Args:
    config: where the networks are cut, the type of the computation, and the
      normalisation of those that have one.
    texts: a model for each party, as `check` takes them.
    datasets: the features of each party.

  Returns:
    Layers of each party.

  Raises:
    ConfigError: if a network does not fit the features of its party.

  Example:
    >>> from splitjax.data import sets
    >>> digits = sets.load(Config(), seed=0)
    >>> first, second = make(Config(), ['mlp:8', 'conv_net'], [digits, digits])
    >>> len(first), len(second)
    (3, 8)
  """
  return tuple(
    _make_one(config, text, party, dataset)
    for party, (text, dataset) in enumerate(zip(texts, datasets, strict=True))
  )


def _make_one(
  config: Config, text: str, party: int, dataset: Dataset
) -> Layers:
  """Make the bottom of one party."""
  name, widths = _read(text)
  norm = config.norm if models.MODELS[name].normalized else None
  try:
    options = models.options_of(
      name, dataset, norm=norm, dtype=config.dtype, hidden_sizes=widths
    )
  except ConfigError as error:
    if error.field != 'model':
      raise
    expected = f'for party {party} {error.expected}'
    raise ConfigError(_FIELD, text, expected) from error
  layers = models.make_layers(name, options)
  named = dataclasses.replace(config, model=name)
  cuts = problems.cuts_of(named, None, layers)
  example = dataset.train_inputs[:1]
  check_inputs(_FIELD, text, SplitModel(layers, cuts), example)
  return layers[: cuts[0]]


def _read(text: str) -> tuple[str, tuple[int, ...]]:
  """Return the name and the widths of a model, checked."""
  name, *found = text.split(':')
  check_name(_FIELD, name, models.MODELS)
  if found and not models.MODELS[name].has_hidden_sizes:
    raise ConfigError(_FIELD, text, f'{name} without widths')
  if not all(x.isascii() and x.isdecimal() for x in found):
    raise ConfigError(_FIELD, text, f'{name}, or whole widths as {name}:64:32')
  widths = tuple(map(int, found))
  if widths and not 1 <= min(widths) <= max(widths) <= models.LARGEST_WIDTH:
    expected = f'widths, 1 to {models.LARGEST_WIDTH}'
    raise ConfigError(_FIELD, text, expected)
  return name, widths
