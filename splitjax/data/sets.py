"""From a configuration's fields to a data set: the catalog of sources."""

from collections.abc import Callable
import dataclasses
from typing import Any

import jax
import numpy as np

from splitjax import data
from splitjax.data import config as config_lib
from splitjax.data import images as images_lib
from splitjax.data.config import DataConfig as DataConfig
from splitjax.data.dataset import TARGETS
from splitjax.data.dataset import Dataset
from splitjax.errors import ConfigError

# Sets that come with a package: name -> `(*, seed, classes) -> Dataset`.
EMBEDDED: dict[str, Callable[..., Dataset]] = {
  'digits': data.load_digits,
  'breast_cancer': data.load_breast_cancer,
  'diabetes': data.load_diabetes,
}
_OTHERS = 'tfds:NAME, csv:PATH, parquet:PATH or npz:PATH'


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
  if source != 'object' and (idle := config_lib.find_idle(config, found)):
    kind = config_lib.kind_of(found)
    lacking = ' without categories' if idle == 'num_buckets' else ''
    expected = f'no such flag: the inputs of {found.name} are {kind}{lacking}'
    raise ConfigError(idle, getattr(config, idle), expected)
  return found


def _source_of(config: DataConfig) -> tuple[str, str]:
  """Return where the data come from, and what they are called there."""
  if isinstance(config.dataset, Dataset):
    return 'object', config.dataset.name
  source, colon, name = config.dataset.partition(':')
  if not colon:
    if source not in EMBEDDED:
      expected = f'one of {", ".join(EMBEDDED)}, or {_OTHERS}'
      raise ConfigError('dataset', source, expected)
    return 'embedded', source
  if source not in _LOADERS or source == 'embedded':
    raise ConfigError('dataset', config.dataset, _OTHERS)
  if not name:
    raise ConfigError('dataset', config.dataset, f'a name or a path: {_OTHERS}')
  return source, name


def _arguments_of(config: DataConfig, source: str) -> dict[str, Any]:
  """Return the fields that mean something, and refuse others that are set."""
  found = {}
  for field in dataclasses.fields(DataConfig):
    value = getattr(config, field.name)
    if field.name in config_lib.FIELDS[source]:
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
    field = _field_of(config, str(error))
    value = name_of(config) if field == 'dataset' else getattr(config, field)
    expected = f'flags that fit the data: {error}'
    raise ConfigError(field, value, expected) from error
  except OSError as error:
    if error.filename is None:
      expected = f'a set that is there: {error}'
    elif isinstance(error, FileNotFoundError):
      expected = 'a file that is there'
    else:
      expected = f'a file that can be read ({error.strerror})'
    is_test = error.filename and str(error.filename) == config.test_path
    field = 'test_path' if is_test else 'dataset'
    raise ConfigError(field, getattr(config, field), expected) from error
  except MemoryError as error:
    expected = 'data that fit in memory; see num_train, image_size'
    raise ConfigError('dataset', name_of(config), expected) from error


def _field_of(config: DataConfig, message: str) -> str:
  """Return the field that a message begins with, or whose file it names."""
  first = message.partition(' ')[0]
  if first in {field.name for field in dataclasses.fields(DataConfig)}:
    return first
  test_path = config.test_path
  return (
    'test_path' if test_path and message.startswith(test_path) else 'dataset'
  )


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
  dataset = EMBEDDED[name](seed=seed, classes=classes)
  dataset = _subset(dataset, num_train, num_test, seed)
  if image_size is None or dataset.train_inputs.ndim != 4:
    return dataset  # `load` refuses a size of what are no images.
  resized: dict[str, Any] = {}
  for part in ('train_inputs', 'test_inputs'):
    images = getattr(dataset, part)
    images_lib.check_memory(len(images), image_size, images.shape[3])
    resized[part] = _resize(images, image_size)
  return dataclasses.replace(dataset, **resized)


def _subset(
  dataset: Dataset, num_train: int | None, num_test: int | None, seed: int
) -> Dataset:
  """Draw samples from both parts."""
  parts: dict[str, Any] = {}
  for part, num in (('train', num_train), ('test', num_test)):
    labels = getattr(dataset, f'{part}_labels')
    draw = data.random_subset if dataset.is_real else data.stratified_subset
    of: Any = len(labels) if dataset.is_real else labels
    rows = draw(of, num, seed=seed, argument=f'num_{part}')
    parts[f'{part}_inputs'] = getattr(dataset, f'{part}_inputs')[rows]
    parts[f'{part}_labels'] = labels[rows]
  return dataclasses.replace(dataset, **parts)


def _resize(images: np.ndarray, size: int) -> np.ndarray:
  """Resize images `[N, H, W, C]` to a square."""
  shape = (len(images), size, size, images.shape[3])
  return np.asarray(jax.image.resize(images, shape, 'bilinear'))


def _with_labels(load_fn: Callable[..., Dataset]) -> Callable[..., Dataset]:
  """Return a loader of files, which must have a column of labels."""

  def load_file(
    path: str, *, label_column: str | None, target: str | None, **kwargs: Any
  ) -> Dataset:
    if label_column is None:
      raise ConfigError(
        'label_column', '', 'the column of the labels, by name or position'
      )
    return load_fn(
      path, label_column=label_column, target=target or 'class', **kwargs
    )

  return load_file


_LOADERS: dict[str, Callable[..., Dataset]] = {
  'embedded': _load_embedded,
  'tfds': data.load_tfds,
  'csv': _with_labels(data.load_csv),
  'parquet': _with_labels(data.load_parquet),
  'npz': data.load_npz,
}
