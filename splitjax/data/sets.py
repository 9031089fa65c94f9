"""From the flags that name a data set to the data set."""

import dataclasses

import jax
import numpy as np

from experiments import catalog
from experiments import common
from splitjax import data


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """Which data; the fields are the flags of these names."""

  dataset: str = 'digits'
  data_dir: str | None = None
  label_column: str | None = None
  text_column: str | None = None
  test_path: str | None = None
  delimiter: str | None = None
  quote: str | None = None
  header: bool | None = None
  drop_columns: tuple[str, ...] = ()
  categorical_columns: tuple[str, ...] = ()
  num_buckets: int = 256
  vocabulary_size: int = 8192
  max_tokens: int = 64
  image_size: int | None = None
  num_train: int | None = None
  num_test: int | None = None
  classes: tuple[str, ...] = ()


_ANY = ('dataset', 'num_train', 'num_test', 'classes')
_TEXTS = ('label_column', 'text_column', 'vocabulary_size', 'max_tokens')
# Which flags mean something, by where the data come from.
_FIELDS = {
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


def load(config: DataConfig, seed: int) -> data.Dataset:
  """Loads the data set that a configuration names.

  Args:
    config: which data.
    seed: of splits and subsets.

  Returns:
    The data set.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  source, colon, name = config.dataset.partition(':')
  if not colon:
    source, name = 'embedded', config.dataset
    if name not in catalog.DATASETS:
      accepted = ', '.join(catalog.DATASETS)
      raise common.FlagError(
        'dataset', name, f'one of {accepted}, or tfds:NAME, or csv:PATH'
      )
  elif source not in _FIELDS or source == 'embedded':
    raise common.FlagError('dataset', config.dataset, 'tfds:NAME or csv:PATH')
  kwargs = {'seed': seed}
  for field in dataclasses.fields(DataConfig):
    value = getattr(config, field.name)
    if field.name in _FIELDS[source]:
      kwargs[field.name] = value
    elif value != field.default:
      raise common.FlagError(
        field.name, value, f'no such flag with --dataset={config.dataset}'
      )
  del kwargs['dataset']
  try:
    return _LOADERS[source](name, **kwargs)
  except ValueError as error:
    raise common.FlagError(
      'dataset', config.dataset, f'flags that fit the data: {error}'
    ) from error
  except FileNotFoundError as error:
    if error.filename is None:
      expected = f'a set that is there: {error}'
    else:
      expected = 'a file that is there'
    missing_test = error.filename and str(error.filename) == config.test_path
    flag = 'test_path' if missing_test else 'dataset'
    raise common.FlagError(flag, getattr(config, flag), expected) from error


def _load_embedded(name, *, seed, image_size, num_train, num_test, classes):
  dataset = catalog.DATASETS[name](seed=seed)
  chosen = data.find_classes(dataset.class_names, classes)
  parts = {
    'name': data.name_of(name, dataset.class_names, chosen),
    'class_names': tuple(dataset.class_names[index] for index in chosen),
  }
  for part, num in (('train', num_train), ('test', num_test)):
    rows, labels = data.draw_subset(
      getattr(dataset, f'{part}_labels'),
      chosen,
      num,
      seed=seed,
      argument=f'num_{part}',
    )
    inputs = getattr(dataset, f'{part}_inputs')[rows]
    if image_size is not None:
      if inputs.ndim != 4:
        raise ValueError(f'image_size is for images, got {image_size}.')
      shape = (len(inputs), image_size, image_size, inputs.shape[3])
      inputs = np.asarray(jax.image.resize(inputs, shape, 'bilinear'))
    parts |= {f'{part}_inputs': inputs, f'{part}_labels': labels}
  return dataclasses.replace(dataset, **parts)


def _load_csv(path, *, label_column, **kwargs):
  if label_column is None:
    raise common.FlagError(
      'label_column', '', 'the column of the classes, by name or position'
    )
  return data.load_csv(path, label_column=label_column, **kwargs)


_LOADERS = {
  'embedded': _load_embedded,
  'tfds': data.load_tfds,
  'csv': _load_csv,
}
