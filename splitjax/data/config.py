"""Which data a configuration names: fields, and where each has a meaning."""

import dataclasses

from splitjax.data.dataset import Dataset
from splitjax.options import option


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """Which data; see the help of each field."""

  dataset: str | Dataset = option(
    'digits',
    'One of: digits, breast_cancer, diabetes; or tfds:NAME, a set of '
    'tensorflow-datasets; or a table or texts of your own: csv:PATH, '
    'parquet:PATH or npz:PATH.',
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
    None,
    'Between columns: a character, or whitespace; by default it is recognised.',
  )
  quote: str | None = option(
    None, 'Around values; by default it is recognised.'
  )
  escape: str | None = option(
    None,
    'Before a quote inside a value; by default a backslash is recognised, '
    'empty for none.',
  )
  comment: str = option('', 'What begins lines that are comments.')
  skip_lines: int | None = option(
    None,
    'Lines before the table; by default those with fewer fields.',
    low=0,
  )
  header: bool | None = option(
    None,
    'Whether the first line names the columns; by default it is recognised.',
  )
  encoding: str | None = option(
    None,
    'Of the characters, as utf-8 or latin-1; by default it is recognised.',
  )
  decimal: str | None = option(
    None, 'Before decimals, a point or a comma; by default it is recognised.'
  )
  thousands: str | None = option(
    None, 'Between thousands; by default it is recognised.'
  )
  drop_columns: tuple[str, ...] = option(
    (), 'Columns not to be used: ids, for one.'
  )
  categorical_columns: tuple[str, ...] = option(
    (), 'Numeric columns that are codes.'
  )
  numeric_columns: tuple[str, ...] = option(
    (), 'Columns that are numbers; what is none there is missing.'
  )
  num_buckets: int = option(
    256,
    'Ids that the values of a categorical column are hashed to.',
    low=2,
    high=2**24,
  )
  vocabulary_size: int = option(
    8192,
    'Ids that the words of texts are hashed to.',
    low=2,
    high=2**24,
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
_WORDS = ('vocabulary_size', 'max_tokens')
_TEXTS = ('label_column', 'text_column', *_WORDS)
_TABLES = (
  'decimal',
  'thousands',
  'drop_columns',
  'categorical_columns',
  'numeric_columns',
  'num_buckets',
)
# Which fields mean something, by where the data come from.
FIELDS: dict[str, tuple[str, ...]] = {
  'object': ('dataset', 'target'),
  'embedded': (*_ANY, 'image_size'),
  'tfds': (*_ANY, *_TEXTS, 'data_dir', 'image_size', *_TABLES[2:]),
  'csv': (
    *_ANY,
    *_TEXTS,
    *_TABLES,
    'test_path',
    'delimiter',
    'quote',
    'escape',
    'comment',
    'skip_lines',
    'header',
    'encoding',
  ),
  'parquet': (*_ANY, *_TEXTS, *_TABLES, 'test_path'),
  'npz': (*_ANY, 'label_column', 'text_column'),
}
# Which of them mean something, by what the inputs turn out to be.
_KINDS = {
  'texts': _WORDS,
  'images': ('image_size',),
  'a table': _TABLES,
}


def find_idle(config: DataConfig, dataset: Dataset) -> str | None:
  """Return a field that is set and does nothing with the data that it names.

  Args:
    config: which data.
    dataset: what was read.

  Returns:
    The name of the first such field; None if there is none.
  """
  kind = kind_of(dataset)
  idle = {
    one for other, some in _KINDS.items() if other != kind for one in some
  }
  if kind == 'a table' and not dataset.category_sizes:
    idle.add('num_buckets')
  for field in dataclasses.fields(DataConfig):
    if field.name in idle and getattr(config, field.name) != field.default:
      return field.name
  return None


def kind_of(dataset: Dataset) -> str:
  """Return what the inputs of a data set are, in words."""
  if dataset.vocabulary_size is not None:
    return 'texts'
  return 'images' if dataset.train_inputs.ndim == 4 else 'a table'
