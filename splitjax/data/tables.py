"""Tables and texts in files of your own, as a `Dataset`."""

from collections.abc import Sequence
import dataclasses
import difflib
import os
import pathlib

import numpy as np

from splitjax.data import columns as columns_lib
from splitjax.data import csv_files
from splitjax.data import dataset as dataset_lib
from splitjax.data import splitting
from splitjax.data import text as text_lib

NUM_BUCKETS = 256


def load_csv(
  path: str | os.PathLike,
  *,
  label_column: str | int,
  seed: int,
  text_column: str | int | None = None,
  test_path: str | os.PathLike | None = None,
  delimiter: str | None = None,
  quote: str | None = None,
  header: bool | None = None,
  drop_columns: Sequence[str | int] = (),
  categorical_columns: Sequence[str | int] = (),
  num_buckets: int = NUM_BUCKETS,
  num_train: int | None = None,
  num_test: int | None = None,
  classes: Sequence[str] = (),
  vocabulary_size: int = text_lib.VOCABULARY_SIZE,
  max_tokens: int = text_lib.MAX_TOKENS,
) -> dataset_lib.Dataset:
  """Reads a table, or a column of texts, and a column of labels.

  Columns are given by name or by position, from the end if it is negative.
  Numeric columns come first and are standardised with the training part's
  statistics; a missing value is its median. The others, and those in
  `categorical_columns`, are hashed into category ids; 0 is a missing value's.
  Missing are '', '?', 'NA', 'N/A', 'NaN' and 'null', in any case. Rows without
  a label are dropped.

  Args:
    path: a `.csv` or `.tsv` file, or one in `.gz`, `.xz`, `.bz2` or `.zip`.
    label_column: the classes, of any values; sorted, by number if they are.
    seed: of the split and of the subsets.
    text_column: the texts; the other columns are then not used.
    test_path: a file with the same columns, of the same format. By default a
      fifth of the rows is held out, stratified by class.
    delimiter: one character; by default it is recognised.
    quote: one character, or '' for none; by default it is recognised.
    header: whether the first line names the columns, which are '0', '1', ...
      if not; by default it is recognised.
    drop_columns: not to be read: row ids, for one.
    categorical_columns: numbers that are codes.
    num_buckets: how many ids a categorical column has.
    num_train: how many training samples to draw, stratified; default all.
    num_test: the same of the test part.
    classes: to be used, by name or number; all, if none is given.
    vocabulary_size: of texts, as in `text.hash_tokens`.
    max_tokens: of texts, as in `text.hash_tokens`.

  Returns:
    A table `[N, F]` float32 with `category_sizes`, or token ids `[N, L]` int32
    with `vocabulary_size`; `notes` say what was dropped, filled and cut.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if an argument does not fit the file, or the file is no table.
  """
  csv_format = csv_files.recognise_format(
    path,
    delimiter=delimiter,
    quote=quote,
    header=header,
    label_column=label_column,
  )
  read = csv_files.read_columns(path, csv_format)
  roles = _assign_roles(
    list(read), label_column, text_column, drop_columns, categorical_columns
  )
  train, test, class_names, notes = _make_parts(
    read, roles.label, path, test_path, csv_format, seed
  )
  chosen = splitting.find_classes(class_names, classes)
  train = train.subset(chosen, num_train, seed, 'num_train')
  test = test.subset(chosen, num_test, seed, 'num_test')
  if roles.text is None:
    *inputs, sizes, more_notes = columns_lib.encode_table(
      *[part.pick(roles.inputs) for part in (train, test)],
      categorical_columns=roles.categorical,
      num_buckets=num_buckets,
    )
    kind = {'category_sizes': sizes}
  else:
    *inputs, more_notes = text_lib.hash_parts(
      *[part.columns[roles.text] for part in (train, test)],
      vocabulary_size=vocabulary_size,
      max_tokens=max_tokens,
    )
    kind = {'vocabulary_size': vocabulary_size}
  return dataset_lib.Dataset(
    name=splitting.name_of(_stem(path), class_names, chosen),
    train_inputs=inputs[0],
    train_labels=train.labels,
    test_inputs=inputs[1],
    test_labels=test.labels,
    class_names=tuple(class_names[index] for index in chosen),
    notes=notes + more_notes,
    **kind,
  )


@dataclasses.dataclass(frozen=True)
class _Roles:
  """What each column is for, by name."""

  label: str
  text: str | None
  inputs: tuple[str, ...]
  categorical: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Part:
  """Rows with a label: columns of strings `[N]`, and classes `[N]`."""

  columns: dict[str, np.ndarray]
  labels: np.ndarray

  def pick(self, names):
    return {name: self.columns[name] for name in names}

  def take(self, rows):
    columns = {name: values[rows] for name, values in self.columns.items()}
    return _Part(columns, self.labels[rows])

  def subset(self, classes, num, seed, argument):
    rows, labels = splitting.draw_subset(
      self.labels, classes, num, seed=seed, argument=argument
    )
    return dataclasses.replace(self.take(rows), labels=labels)


def _assign_roles(names, label_column, text_column, drop, categorical):
  label = _find('label_column', label_column, names)
  text = None
  if text_column is not None:
    text = _find('text_column', text_column, names)
  drop = [_find('drop_columns', name, names) for name in drop]
  coded = [_find('categorical_columns', name, names) for name in categorical]
  for argument, given in (
    ('text_column', [text]),
    ('drop_columns', drop),
    ('categorical_columns', coded),
  ):
    if label in given:
      raise ValueError(f'{argument} must not be the label, got {label!r}.')
  if text in drop:
    raise ValueError(f'drop_columns must not be the text, got {text!r}.')
  inputs = [name for name in names if name != label and name not in drop]
  if not inputs:
    raise ValueError(
      f'drop_columns and label_column leave no input of {_listed(names)}; '
      'a wrong delimiter makes one column of all.'
    )
  return _Roles(label, text, tuple(inputs), tuple(coded))


def _find(argument, wanted, names):
  """The name of a column that is given by its name or its position."""
  if wanted in names:
    return wanted
  try:
    return names[int(wanted)]
  except (IndexError, ValueError):
    pass
  close = difflib.get_close_matches(str(wanted), names, n=1, cutoff=0.4)
  ordered = close + [name for name in names if name not in close]
  raise ValueError(
    f'{argument} must be a column or its position, of {_listed(ordered)}; got '
    f'{wanted!r}.'
  )


def _listed(names, most=20):
  more = f' and {len(names) - most} more' if len(names) > most else ''
  return ', '.join(map(repr, names[:most])) + more


def _make_parts(read, label, path, test_path, csv_format, seed):
  """Training part, test part, names of the classes, and notes."""
  read, notes = _drop_unlabelled(path, read, label)
  class_names = columns_lib.find_classes(label, read[label])
  to_classes = columns_lib.to_classes
  train = _Part(read, to_classes('label_column', read[label], class_names))
  if test_path is None:
    rows, test_rows = _split(label, class_names, train.labels, seed)
    return train.take(rows), train.take(test_rows), class_names, notes
  test_read = csv_files.read_columns(test_path, csv_format)
  if set(test_read) != set(read):
    raise ValueError(
      f'test_path must have the columns of path, {_listed(list(read))}; got '
      f'{_listed(list(test_read))}.'
    )
  test_read, more_notes = _drop_unlabelled(test_path, test_read, label)
  test_labels = to_classes('test_path', test_read[label], class_names)
  test = _Part(test_read, test_labels)
  return train, test, class_names, notes + more_notes


def _drop_unlabelled(path, columns, label):
  keep = columns[label] != ''
  if keep.all():
    return columns, ()
  if not keep.any():
    raise ValueError(f'label_column {label!r} must have labels in {path}.')
  kept = {name: values[keep] for name, values in columns.items()}
  return kept, (f'{(~keep).sum():,} rows of {path} dropped: no {label}',)


def _split(label, class_names, labels, seed):
  try:
    return splitting.stratified_split(labels, seed=seed)
  except ValueError as error:
    sizes = np.bincount(labels)
    raise ValueError(
      f'label_column {label!r} has too few rows for a test part of a fifth: '
      f'{len(labels)} rows, {len(sizes)} classes, {sizes.min()} of '
      f'{class_names[sizes.argmin()]!r}; give test_path or merge classes.'
    ) from error


def _stem(path):
  name = pathlib.Path(path).name
  for suffix in ('.gz', '.xz', '.bz2', '.zip', '.csv', '.tsv', '.txt'):
    name = name.removesuffix(suffix)
  return name
