"""Tables and texts in files of your own, as a `Dataset`."""

from collections.abc import Sequence
import os
import pathlib
from typing import Any

from splitjax.data import csv_files
from splitjax.data import csv_formats
from splitjax.data import dataset as dataset_lib
from splitjax.data import parquet_files
from splitjax.data import partition as partition_lib
from splitjax.data import roles as roles_lib
from splitjax.data import table_sets
from splitjax.data import text as text_lib
from splitjax.data.table_sets import File

NUM_BUCKETS = 256

Path = str | os.PathLike


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
  encoding: str | None = None,
  escape: str | None = None,
  comment: str = '',
  skip_lines: int | None = None,
  decimal: str | None = None,
  thousands: str | None = None,
  drop_columns: Sequence[str | int] = (),
  categorical_columns: Sequence[str | int] = (),
  numeric_columns: Sequence[str | int] = (),
  num_buckets: int = NUM_BUCKETS,
  num_train: int | None = None,
  num_test: int | None = None,
  classes: Sequence[str] = (),
  vocabulary_size: int = text_lib.VOCABULARY_SIZE,
  max_tokens: int = text_lib.MAX_TOKENS,
) -> dataset_lib.Dataset:
  """Read a table, or a column of texts, and a column of labels.

  Columns are given by name or by position, from the end if it is negative. A
  column is numbers if nine in ten of its values are, with a point or a comma
  before decimals, marks between thousands, or signs of currencies or percent;
  what is no number there is missing. Numbers come first and are standardised
  with the statistics of the training part; a missing number becomes the median.
  All other columns, and `categorical_columns`, are hashed into category ids; a
  missing value gets the id 0. Missing are '', '?', 'NA', 'N/A', 'NaN', 'null'
  and the like, in any case, and among numbers also 'None', '-' and the like.
  Rows without a label are dropped. A label keeps its spelling, but for integers
  written as 1.0 in places. The classes are chosen before anything is split.

  Args:
    path: a text file, or one in an archive of gzip, bzip2, xz, zip or tar.
    label_column: column of the labels.
    seed: seed of the random split and of the random subsets.
    target: what the labels are: 'class', values of any kind, whose sorted
      distinct values are the classes; or 'real', finite numbers, which are
      standardised with the statistics of the training part.
    text_column: column of the texts; all other columns are then left out.
    test_path: file with the test part, of the format and with the columns of
      `path`. By default a fifth of the rows is held out at random, stratified
      by class if the labels are classes.
    delimiter: one character, or 'whitespace'; by default it is recognised.
    quote: one character, or '' for none; by default it is recognised.
    header: whether the first line names the columns, which are called '0', '1',
      ... if not; by default it is recognised.
    encoding: name of a codec; by default it is recognised.
    escape: the character before a quote inside a value, or '' if it is doubled;
      by default a backslash is recognised.
    comment: the character that begins lines that are comments; '' for none.
    skip_lines: how many lines stand before the table; by default those that
      begin with '#' or have fewer fields are recognised.
    decimal: the mark before decimals, '.' or ','; by default it is recognised.
    thousands: the mark between thousands; by default it is recognised.
    drop_columns: columns to leave out, such as row ids.
    categorical_columns: columns of numbers that are codes.
    numeric_columns: columns that are numbers whatever they hold.
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
    with `vocabulary_size`; `notes` say what was dropped, filled and cut, and
    how the file was read.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if an argument does not fit the file, or the file is no table.
  """
  read = lambda path, **kwargs: csv_formats.recognise_format(
    path,
    delimiter=delimiter,
    quote=quote,
    encoding=encoding,
    escape=escape,
    comment=comment,
    skip_lines=skip_lines,
    label_column=label_column,
    **kwargs,
  )
  found = read(path, header=header)
  files = [_read_csv(path, found)]
  if test_path is not None:
    # A file of its own may have lines before the table, or another encoding.
    files.append(_read_csv(test_path, read(test_path, header=found.header)))
  return _make_dataset(
    files,
    partition_lib.Draw(seed, num_train, num_test, tuple(classes)),
    table_sets.Encoding(
      num_buckets, decimal, thousands, vocabulary_size, max_tokens
    ),
    target,
    label_column=label_column,
    text_column=text_column,
    drop_columns=drop_columns,
    categorical_columns=categorical_columns,
    numeric_columns=numeric_columns,
  )


def load_parquet(
  path: Path,
  *,
  label_column: str | int,
  seed: int,
  target: str = 'class',
  text_column: str | int | None = None,
  test_path: Path | None = None,
  decimal: str | None = None,
  thousands: str | None = None,
  drop_columns: Sequence[str | int] = (),
  categorical_columns: Sequence[str | int] = (),
  numeric_columns: Sequence[str | int] = (),
  num_buckets: int = NUM_BUCKETS,
  num_train: int | None = None,
  num_test: int | None = None,
  classes: Sequence[str] = (),
  vocabulary_size: int = text_lib.VOCABULARY_SIZE,
  max_tokens: int = text_lib.MAX_TOKENS,
) -> dataset_lib.Dataset:
  """Read a table, or a column of texts, from a Parquet file.

  Columns of numbers are numbers as they are; those of strings are read as
  `load_csv` reads them, and those of other single values as their text.

  Args:
    path: a `.parquet` file.
    label_column: as of `load_csv`, like all arguments below.
    seed: seed of the random split and of the random subsets.
    target: what the labels are, 'class' or 'real'.
    text_column: column of the texts.
    test_path: Parquet file with the test part.
    decimal: the mark before decimals in strings.
    thousands: the mark between thousands in strings.
    drop_columns: columns to leave out.
    categorical_columns: columns of numbers that are codes.
    numeric_columns: columns that are numbers whatever they hold.
    num_buckets: how many ids a categorical column has.
    num_train: how many training samples to draw.
    num_test: how many test samples to draw.
    classes: names or numbers of the classes to keep.
    vocabulary_size: for texts, the bound of the token ids.
    max_tokens: for texts, the length at which they are cut.

  Returns:
    The data set, as `load_csv` returns it.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if an argument does not fit the file, or it is damaged.
  """
  files = [parquet_files.read_parquet(path)]
  if test_path is not None:
    files.append(parquet_files.read_parquet(test_path))
  return _make_dataset(
    files,
    partition_lib.Draw(seed, num_train, num_test, tuple(classes)),
    table_sets.Encoding(
      num_buckets, decimal, thousands, vocabulary_size, max_tokens
    ),
    target,
    label_column=label_column,
    text_column=text_column,
    drop_columns=drop_columns,
    categorical_columns=categorical_columns,
    numeric_columns=numeric_columns,
  )


def _read_csv(path: Path, csv_format: csv_formats.CsvFormat) -> File:
  """Return the columns of a file, and how it was read."""
  columns = csv_files.read_columns(path, csv_format)
  name = pathlib.Path(path).name
  return File(path, columns, (f'{name}: {csv_format.describe()}',))


def _make_dataset(
  files: Sequence[File],
  draw: partition_lib.Draw,
  encoding: table_sets.Encoding,
  target: str,
  **columns: Any,
) -> dataset_lib.Dataset:
  """Make a data set of the columns of files, which have these roles."""
  roles = roles_lib.assign_roles(list(files[0].columns), **columns)
  _check_columns(files)
  name = _stem(files[0].path)
  return table_sets.make_dataset(
    name, files, roles, draw, encoding, target=target
  )


def _check_columns(files: Sequence[File]) -> None:
  """Raise if the table of the test part has other columns."""
  if len(files) == 1:
    return
  names, found = (list(file.columns) for file in files)
  if set(found) != set(names):
    raise ValueError(
      'test_path must have the columns of path, '
      f'{roles_lib.list_names(names)}; got {roles_lib.list_names(found)}.'
    )


def _stem(path: Path) -> str:
  """Return a file's name without the suffixes that are known."""
  name = pathlib.Path(path).name
  for suffix in (
    '.gz',
    '.xz',
    '.bz2',
    '.zip',
    '.tar',
    '.csv',
    '.tsv',
    '.txt',
    '.parquet',
  ):
    name = name.removesuffix(suffix)
  return name
