"""Tables and texts in files of your own, as a `Dataset`."""

from collections.abc import Sequence
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np

from splitjax.data import columns as columns_lib
from splitjax.data import csv_files
from splitjax.data import dataset as dataset_lib
from splitjax.data import partition as partition_lib
from splitjax.data import roles as roles_lib
from splitjax.data import splitting
from splitjax.data import text as text_lib

NUM_BUCKETS = 256

Path = str | os.PathLike
Columns = dict[str, np.ndarray]


def load_csv(
  path: Path,
  *,
  label_column: str | int,
  seed: int,
  target: str = 'class',
  text_column: str | int | None = None,
  test_path: Path | None = None,
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
  """Read a table, or a column of texts, and a column of labels.

  Columns are given by name or by position, from the end if it is negative.
  Numeric columns come first and are standardised with the statistics of the
  training part; a missing number becomes the median. All other columns, and
  `categorical_columns`, are hashed into category ids; a missing value gets the
  id 0. Missing are '', '?', 'NA', 'N/A', 'NaN' and 'null', in any case. Rows
  without a label are dropped.

  Args:
    path: a `.csv` or `.tsv` file, or one in `.gz`, `.xz`, `.bz2` or `.zip`.
    label_column: column of the labels.
    seed: seed of the random split and of the random subsets.
    target: what the labels are: 'class', values of any kind, whose sorted
      distinct values are the classes; or 'real', finite numbers, which are
      standardised with the statistics of the training part.
    text_column: column of the texts; all other columns are then left out.
    test_path: file with the test part, of the format and with the columns of
      `path`. By default a fifth of the rows is held out at random, stratified
      by class if the labels are classes.
    delimiter: one character; by default it is recognised.
    quote: one character, or '' for none; by default it is recognised.
    header: whether the first line names the columns, which are called '0', '1',
      ... if not; by default it is recognised.
    drop_columns: columns to leave out, such as row ids.
    categorical_columns: columns of numbers that are codes.
    num_buckets: how many ids a categorical column has.
    num_train: how many training samples to draw at random, stratified by class
      if the labels are classes; by default all.
    num_test: how many test samples to draw at random, stratified by class if
      the labels are classes; by default all.
    classes: names or numbers of the classes to keep; empty for all.
    vocabulary_size: for texts, the bound of the token ids.
    max_tokens: for texts, the length at which they are cut.

  Returns:
    A table `[N, F]` float32 with `category_sizes`, or token ids `[N, L]` int32
    with `vocabulary_size`; `notes` say what was dropped, filled and cut.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if an argument does not fit the file, or the file is no table.
  """
  dataset_lib.check_target(target)
  if target == 'real' and classes:
    raise ValueError(
      f"classes must not be given with target='real', got {','.join(classes)}."
    )
  csv_format = csv_files.recognise_format(
    path,
    delimiter=delimiter,
    quote=quote,
    header=header,
    label_column=label_column,
  )
  read = csv_files.read_columns(path, csv_format)
  roles = roles_lib.assign_roles(
    list(read),
    label_column=label_column,
    text_column=text_column,
    drop_columns=drop_columns,
    categorical_columns=categorical_columns,
  )
  files = [_keep_labelled(path, read, roles.label)]
  if test_path is not None:
    test_read = _read_test(test_path, csv_format, list(read))
    files.append(_keep_labelled(test_path, test_read, roles.label))
  draw = partition_lib.Draw(seed, num_train, num_test, tuple(classes))
  divide_fn = _divide_classes if target == 'class' else _divide_targets
  divided = divide_fn(_stem(path), files, roles.label, draw)
  parts = [
    file.take(rows)
    for file, rows in zip((files[0], files[-1]), divided.rows, strict=True)
  ]
  if roles.text is None:
    inputs = _encode_columns(parts, roles, num_buckets)
  else:
    texts = [part[roles.text].tolist() for part in parts]
    inputs = _hash_texts(texts, vocabulary_size, max_tokens)
  read_notes = tuple(note for file in files for note in file.notes)
  notes = read_notes + inputs.pop('notes')
  return dataset_lib.Dataset(**divided.fields, **inputs, notes=notes)


class _File(NamedTuple):
  """The rows of a file that have a label.

  Attributes:
    path: the file.
    columns: all columns, `[N]` strings each.
    rows: numbers of the rows in the file, from 1, `[N]`.
    notes: what was done to the file, for the user.
  """

  path: Path
  columns: Columns
  rows: np.ndarray
  notes: tuple[str, ...]

  def take(self, rows: np.ndarray) -> Columns:
    """Return the columns of some rows, given by their positions."""
    return {name: values[rows] for name, values in self.columns.items()}


def _read_test(
  path: Path, csv_format: csv_files.CsvFormat, names: list[str]
) -> Columns:
  """Return the columns of the test file, or raise if others are expected."""
  read = csv_files.read_columns(path, csv_format)
  if set(read) != set(names):
    raise ValueError(
      'test_path must have the columns of path, '
      f'{roles_lib.list_names(names)}; got {roles_lib.list_names(list(read))}.'
    )
  return read


def _keep_labelled(path: Path, columns: Columns, label: str) -> _File:
  """Return the rows of a file that have a label, and a note on the others."""
  keep = columns[label] != ''
  if not keep.any():
    raise ValueError(f'label_column {label!r} must have labels in {path}.')
  notes = ()
  if not keep.all():
    notes = (f'{(~keep).sum():,} rows of {path} dropped: no {label}',)
    columns = {name: values[keep] for name, values in columns.items()}
  return _File(path, columns, 1 + np.flatnonzero(keep), notes)


def _divide_classes(
  name: str, files: list[_File], label: str, draw: partition_lib.Draw
) -> partition_lib.Partition:
  """Divide rows whose labels are classes."""
  class_names = columns_lib.find_classes(label, files[0].columns[label])
  labels = [
    columns_lib.to_classes(argument, file.columns[label], class_names)
    for argument, file in zip(('label_column', 'test_path'), files)  # noqa: B905
  ]
  if len(files) == 1:
    _check_sizes(label, class_names, labels[0])
  return partition_lib.divide_classes(name, labels, class_names, draw)


def _check_sizes(
  label: str, class_names: Sequence[str], labels: np.ndarray
) -> None:
  """Raise if there are too few rows of a class to hold out a fifth."""
  sizes = np.bincount(labels)
  if not splitting.can_stratify(labels):
    raise ValueError(
      f'label_column {label!r} has too few rows for a test part of a fifth: '
      f'{len(labels)} rows, {len(sizes)} classes, {sizes.min()} of '
      f'{class_names[int(sizes.argmin())]!r}; give test_path or merge classes.'
    )


def _divide_targets(
  name: str, files: list[_File], label: str, draw: partition_lib.Draw
) -> partition_lib.Partition:
  """Divide rows whose labels are real numbers."""
  argument = f'label_column {label!r}'
  targets = [
    columns_lib.to_targets(argument, file.columns[label], file.rows, file.path)
    for file in files
  ]
  return partition_lib.divide_targets(name, targets, draw, argument=argument)


def _encode_columns(
  parts: list[Columns], roles: roles_lib.Roles, num_buckets: int
) -> dict[str, Any]:
  """Return the fields of a `Dataset` that the inputs of a table need."""
  train, test, sizes, notes = columns_lib.encode_table(
    *[{name: part[name] for name in roles.inputs} for part in parts],
    categorical_columns=roles.categorical,
    num_buckets=num_buckets,
  )
  return {
    'train_inputs': train,
    'test_inputs': test,
    'category_sizes': sizes,
    'notes': notes,
  }


def _hash_texts(
  texts: list[list[str]], vocabulary_size: int, max_tokens: int
) -> dict[str, Any]:
  """Return the fields of a `Dataset` that texts need."""
  train, test, notes = text_lib.hash_parts(
    *texts, vocabulary_size=vocabulary_size, max_tokens=max_tokens
  )
  return {
    'train_inputs': train,
    'test_inputs': test,
    'vocabulary_size': vocabulary_size,
    'notes': notes,
  }


def _stem(path: Path) -> str:
  """Return a file's name without the suffixes that are known."""
  name = pathlib.Path(path).name
  for suffix in ('.gz', '.xz', '.bz2', '.zip', '.csv', '.tsv', '.txt'):
    name = name.removesuffix(suffix)
  return name
