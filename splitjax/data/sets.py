"""From a configuration's fields to a data set: the catalog of sources."""

from collections.abc import Callable
import dataclasses
import math
from typing import Any

import jax
import numpy as np

from splitjax import checks
from splitjax import data
from splitjax.data.dataset import Dataset
from splitjax.errors import ConfigError
from splitjax.options import option

# Sets that come with a package: name -> `(*, seed) -> Dataset`.
EMBEDDED: dict[str, Callable[..., Dataset]] = {
  'digits': data.load_digits,
  'breast_cancer': data.load_breast_cancer,
  'diabetes': data.load_diabetes,
}
TARGETS = ('class', 'real')


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """Which data; see the help of each field."""

  dataset: str | Dataset = option(
    'digits',
    f'One of: {", ".join(EMBEDDED)}; or tfds:NAME, a set of '
    'tensorflow-datasets; or csv:PATH, a table or texts of your own.',
  )
  target: str | None = option(
    None,
    'What is to be predicted: class, or real for real numbers. By default '
    'classes, but of diabetes real numbers.',
  )
  data_dir: str | None = option(
    None, 'Where tensorflow-datasets has prepared its sets.'
  )
  label_column: str | None = option(
    None,
    'The labels: a column of the file, by name or position, or a feature.',
  )
  text_column: str | None = option(
    None, 'The texts, if it is texts that are classified.'
  )
  test_path: str | None = option(
    None,
    'File with the test part; by default a fifth of the rows is held out.',
  )
  delimiter: str | None = option(
    None, 'Between columns; by default it is recognised.'
  )
  quote: str | None = option(
    None, 'Around values; by default it is recognised.'
  )
  header: bool | None = option(
    None,
    'Whether the first line names the columns; by default it is recognised.',
  )
  drop_columns: tuple[str, ...] = option(
    (), 'Columns not to be used: ids, for one.'
  )
  categorical_columns: tuple[str, ...] = option(
    (), 'Numeric columns that are codes.'
  )
  num_buckets: int = option(
    256, 'Ids that the values of a categorical column are hashed to.', low=2
  )
  vocabulary_size: int = option(
    8192, 'Ids that the words of texts are hashed to.', low=2
  )
  max_tokens: int = option(64, 'Words kept of a text.', low=1)
  image_size: int | None = option(
    None, 'Height and width to resize images to.', low=1
  )
  num_train: int | None = option(
    None,
    'Training samples to draw, by class in proportion; by default all.',
    low=1,
  )
  num_test: int | None = option(
    None, 'Test samples to draw, by class in proportion.', low=1
  )
  classes: tuple[str, ...] = option(
    (), 'Classes to use, by name or number; all by default.'
  )


_ANY = ('dataset', 'target', 'num_train', 'num_test', 'classes')
_TEXTS = ('label_column', 'text_column', 'vocabulary_size', 'max_tokens')
# Which fields mean something, by where the data come from.
_FIELDS = {
  'object': ('dataset', 'target'),
  'embedded': (*_ANY, 'image_size'),
  'tfds': (*_ANY, *_TEXTS, 'data_dir', 'image_size'),
  'csv': (
    *_ANY,
    *_TEXTS,
    'test_path',
    'delimiter',
    'quote',
    'header',
    'drop_columns',
    'categorical_columns',
    'num_buckets',
  ),
}


def load(config: DataConfig, seed: int) -> Dataset:
  """Load the data set that a configuration names.

  Args:
    config: which data.
    seed: seed of splits and subsets.

  Returns:
    The data set.

  Raises:
    ConfigError: naming the field, its value and what was expected.
  """
  source, name = _source_of(config)
  kwargs = _arguments_of(config, source)
  if config.target not in (None, *TARGETS):
    raise ConfigError('target', config.target, f'one of {", ".join(TARGETS)}')
  if isinstance(config.dataset, Dataset):
    found = config.dataset
  else:
    found = _load(config, source, name, seed=seed, **kwargs)
  real = {'real': True, 'class': False, None: found.is_real}[config.target]
  if found.is_real != real:
    kind = 'real numbers' if found.is_real else 'classes'
    expected = f'none or other data: the labels of {found.name} are {kind}'
    raise ConfigError('target', config.target, expected)
  return found


def _source_of(config: DataConfig) -> tuple[str, str]:
  """Return where the data come from, and what they are called there."""
  if isinstance(config.dataset, Dataset):
    return 'object', config.dataset.name
  source, colon, name = config.dataset.partition(':')
  if not colon:
    if source not in EMBEDDED:
      expected = f'one of {", ".join(EMBEDDED)}, or tfds:NAME, or csv:PATH'
      raise ConfigError('dataset', source, expected)
    return 'embedded', source
  if source not in _LOADERS or source == 'embedded':
    raise ConfigError('dataset', config.dataset, 'tfds:NAME or csv:PATH')
  return source, name


def _arguments_of(config: DataConfig, source: str) -> dict[str, Any]:
  """Return the fields that mean something, and refuse others that are set."""
  found = {}
  for field in dataclasses.fields(DataConfig):
    value = getattr(config, field.name)
    if field.name in _FIELDS[source]:
      found[field.name] = value
    elif value != field.default:
      shown = name_of(config)
      raise ConfigError(
        field.name, value, f'no such flag with --dataset={shown}'
      )
  del found['dataset'], found['target']
  return found


def name_of(config: DataConfig) -> str:
  """Return the data set's name as the configuration says it."""
  one = config.dataset
  return one.name if isinstance(one, Dataset) else one


def _load(config: DataConfig, source: str, name: str, **kwargs: Any) -> Dataset:
  """Load a named set; what goes wrong names the field."""
  try:
    return _LOADERS[source](name, target=config.target, **kwargs)
  except ConfigError:
    raise
  except ValueError as error:
    raise ConfigError(
      'dataset', name_of(config), f'flags that fit the data: {error}'
    ) from error
  except FileNotFoundError as error:
    if error.filename is None:
      expected = f'a set that is there: {error}'
    else:
      expected = 'a file that is there'
    missing_test = error.filename and str(error.filename) == config.test_path
    field = 'test_path' if missing_test else 'dataset'
    raise ConfigError(field, getattr(config, field), expected) from error


def _load_embedded(
  name: str,
  *,
  seed: int,
  target: str | None,
  image_size: int | None,
  num_train: int | None,
  num_test: int | None,
  classes: tuple[str, ...],
) -> Dataset:
  """Load an embedded set, and draw from it."""
  del target  # `load` compares it with what was found.
  dataset = _subset(
    EMBEDDED[name](seed=seed), classes, num_train, num_test, seed
  )
  if image_size is None:
    return dataset
  if dataset.train_inputs.ndim != 4:
    raise ValueError(f'image_size is for images, got {image_size}.')
  num_images = len(dataset.train_labels) + len(dataset.test_labels)
  shape = (num_images, image_size, image_size, dataset.train_inputs.shape[3])
  checks.memory('image_size', image_size, 4.0 * math.prod(shape))
  resized: dict[str, Any] = {
    part: _resize(getattr(dataset, part), image_size)
    for part in ('train_inputs', 'test_inputs')
  }
  return dataclasses.replace(dataset, **resized)


def _subset(
  dataset: Dataset,
  classes: tuple[str, ...],
  num_train: int | None,
  num_test: int | None,
  seed: int,
) -> Dataset:
  """Draw samples of some classes from both parts."""
  if dataset.is_real and classes:
    raise ValueError(f'classes are for data of classes, got {classes[0]}.')
  names = dataset.class_names
  chosen = data.find_classes(names, classes)
  parts: dict[str, Any] = {}
  for part, num in (('train', num_train), ('test', num_test)):
    labels = getattr(dataset, f'{part}_labels')
    argument = f'num_{part}'
    if dataset.is_real:
      rows = data.random_subset(len(labels), num, seed=seed, argument=argument)
      drawn = labels[rows]
    else:
      rows, drawn = data.draw_subset(
        labels, chosen, num, seed=seed, argument=argument
      )
    parts[f'{part}_inputs'] = getattr(dataset, f'{part}_inputs')[rows]
    parts[f'{part}_labels'] = drawn
  return dataclasses.replace(
    dataset,
    name=data.name_of(dataset.name, names, chosen),
    class_names=tuple(names[index] for index in chosen),
    **parts,
  )


def _resize(images: np.ndarray, size: int) -> np.ndarray:
  """Resize images `[N, H, W, C]` to a square."""
  shape = (len(images), size, size, images.shape[3])
  return np.asarray(jax.image.resize(images, shape, 'bilinear'))


def _load_csv(
  path: str, *, label_column: str | None, target: str | None, **kwargs: Any
) -> Dataset:
  """Load a file, which must have a column of labels."""
  if label_column is None:
    raise ConfigError(
      'label_column', '', 'the column of the labels, by name or position'
    )
  checks.regular_file('dataset', path)
  if kwargs.get('test_path'):
    checks.regular_file('test_path', kwargs['test_path'])
  return data.load_csv(
    path, label_column=label_column, target=target or 'class', **kwargs
  )


def _load_tfds(name: str, *, target: str | None, **kwargs: Any) -> Dataset:
  """Load a set of tensorflow-datasets."""
  del target  # `load` compares it with what was found.
  return data.load_tfds(name, **kwargs)


_LOADERS: dict[str, Callable[..., Dataset]] = {
  'embedded': _load_embedded,
  'tfds': _load_tfds,
  'csv': _load_csv,
}
