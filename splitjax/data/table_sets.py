"""From the columns of a table to a `Dataset`."""

from collections.abc import Sequence
import os
from typing import Any, NamedTuple

import numpy as np

from splitjax.data import columns as columns_lib
from splitjax.data import dataset as dataset_lib
from splitjax.data import labels as labels_lib
from splitjax.data import numerals
from splitjax.data import partition as partition_lib
from splitjax.data import row_names
from splitjax.data import splitting
from splitjax.data import text as text_lib
from splitjax.data import text_columns
from splitjax.data.roles import Roles

Columns = dict[str, Any]


class File(NamedTuple):
  """A table as it was read.

  Attributes:
    path: where it was read from.
    columns: a `pyarrow.ChunkedArray` of `N` values for each name.
    notes: how it was read, for the user.
  """

  path: str | os.PathLike
  columns: Columns
  notes: tuple[str, ...] = ()


class Encoding(NamedTuple):
  """How columns become inputs; see `tables.load_csv`."""

  num_buckets: int
  decimal: str | None
  thousands: str | None
  vocabulary_size: int
  max_tokens: int


class _Labels(NamedTuple):
  """Labels of a file: strings `[K]` and the rows that have one, from 0."""

  values: np.ndarray
  rows: np.ndarray


def make_dataset(
  name: str,
  files: Sequence[File],
  roles: Roles,
  draw: partition_lib.Draw,
  encoding: Encoding,
  *,
  target: str = 'class',
) -> dataset_lib.Dataset:
  """Make a data set of one table, of which a fifth is held out, or of two.

  Args:
    name: name of the data set.
    files: the table; or that of the training part and that of the test part.
      Their columns are taken out, which frees their memory.
    roles: what each column is for.
    draw: how samples are split and drawn.
    encoding: how columns become inputs.
    target: what the labels are, 'class' or 'real'.

  Returns:
    The data set; its notes say what was lost, then what was recognised.

  Raises:
    ValueError: if an argument does not fit the table.
  """
  dataset_lib.check_target(target)
  columns_lib.check_marks(encoding.decimal, encoding.thousands)
  if target == 'real' and draw.classes:
    raise ValueError(
      "classes must not be given with target='real', got "
      f'{",".join(draw.classes)}.'
    )
  roles, left_out = row_names.leave_out(files[0].columns, roles)
  labels = [_read_labels(file, roles.label, target) for file in files]
  lost = tuple(
    f'{_num_rows(file) - len(found.rows):,} rows of {file.path} dropped: no '
    f'{roles.label}'
    for file, found in zip(files, labels, strict=True)
    if len(found.rows) < _num_rows(file)
  )
  if target == 'class':
    divided, label_notes = _divide_classes(name, labels, roles.label, draw)
  else:
    divided, label_notes = _divide_targets(
      name, files, labels, roles.label, draw, encoding
    )
  rows = tuple(
    found.rows[chosen]
    for found, chosen in zip((labels[0], labels[-1]), divided.rows, strict=True)
  )
  wanted = roles.inputs if roles.text is None else (roles.text,)
  columns = {one: _take(files, one, rows) for one in wanted}
  for file in files:
    file.columns.clear()
  inputs = _encode(columns, len(rows[0]), roles, encoding)
  read = tuple(note for file in files for note in file.notes)
  notes = (*lost, *inputs.pop('notes'), *label_notes, *left_out, *read)
  return dataset_lib.Dataset(**divided.fields, **inputs, notes=notes)


def _num_rows(file: File) -> int:
  """Return how many rows a table has."""
  return len(next(iter(file.columns.values())))


def _read_labels(file: File, label: str, target: str) -> _Labels:
  """Return the labels of the rows that have one."""
  values = text_columns.to_strings(label, file.columns[label])
  missing = values == ''
  if target == 'real':
    missing = np.array([numerals.is_missing(value) for value in values])
  if missing.all():
    raise ValueError(f'label_column {label!r} must have labels in {file.path}.')
  return _Labels(values[~missing], np.flatnonzero(~missing))


def _divide_classes(
  name: str, labels: list[_Labels], label: str, draw: partition_lib.Draw
) -> tuple[partition_lib.Partition, tuple[str, ...]]:
  """Divide rows whose labels are classes, and say how these are called."""
  values, notes = labels_lib.join_integers([one.values for one in labels])
  class_names = labels_lib.name_classes(values[0])
  for index in range(1, len(values)):
    values[index], more = labels_lib.match_spelling(values[index], class_names)
    notes += more
  if len(class_names) < 2:
    labels_lib.check_classes(label, values[0], class_names)
  wanted = splitting.find_classes(class_names, draw.classes)
  names = tuple(class_names[index] for index in wanted)
  chosen = set(names)
  kept = values
  rows = [np.arange(len(part)) for part in values]
  if draw.classes:
    rows = [
      np.flatnonzero([value in chosen for value in part]) for part in values
    ]
    kept = [part[chosen_rows] for part, chosen_rows in zip(values, rows)]  # noqa: B905
  labels_lib.check_classes(label, kept[0], names)
  numbers = [
    labels_lib.to_classes(argument, part, class_names)
    for argument, part in zip(('label_column', 'test_path'), kept)  # noqa: B905
  ]
  if len(numbers) == 1:
    _check_sizes(label, class_names, numbers[0])
  divided = partition_lib.divide_classes(name, numbers, class_names, draw)
  first, last = divided.rows
  divided = divided._replace(rows=(rows[0][first], rows[-1][last]))
  return divided, (*_label_notes(label, names), *notes)


def _label_notes(label: str, names: Sequence[str]) -> tuple[str, ...]:
  """Return which labels were read, and which look like missing ones."""
  shown = ', '.join(names[:10]) + ', ...' * (len(names) > 10)
  notes = [f'labels: column {label}, classes {shown}']
  doubtful = [name for name in names if numerals.is_missing(name)]
  if doubtful:
    notes.append(f'taken for a class, not for missing: {", ".join(doubtful)}')
  return tuple(notes)


def _check_sizes(
  label: str, class_names: Sequence[str], labels: np.ndarray
) -> None:
  """Raise if there are too few rows of a class to hold out a fifth."""
  if splitting.can_stratify(labels):
    return
  present, sizes = np.unique(labels, return_counts=True)
  raise ValueError(
    f'label_column {label!r} has too few rows for a test part of a fifth: '
    f'{len(labels)} rows, {len(sizes)} classes, {sizes.min()} of '
    f'{class_names[present[sizes.argmin()]]!r}; give test_path, merge classes '
    'or name the others in classes.'
  )


def _divide_targets(
  name: str,
  files: Sequence[File],
  labels: list[_Labels],
  label: str,
  draw: partition_lib.Draw,
  encoding: Encoding,
) -> tuple[partition_lib.Partition, tuple[str, ...]]:
  """Divide rows whose labels are real numbers, read as inputs are."""
  import pyarrow as pa

  texts = [one.values.tolist() for one in labels]
  found = numerals.read_numerals(
    pa.chunked_array([pa.array(part, pa.string()) for part in texts]),
    decimal=encoding.decimal,
    thousands=encoding.thousands,
    force=True,
  )
  assert found is not None  # It was forced.
  argument = f'label_column {label!r}'
  bounds = np.cumsum([len(part) for part in texts])[:-1]
  targets = [
    labels_lib.to_targets(argument, part, one.values, 1 + one.rows, file.path)
    for part, one, file in zip(
      np.split(found.values, bounds), labels, files, strict=True
    )
  ]
  divided = partition_lib.divide_targets(name, targets, draw, argument=argument)
  notes = [f'{remark} recognised in {label}' for remark in found.remarks]
  return divided, (f'labels: column {label}, real numbers', *notes)


def _take(
  files: Sequence[File], name: str, rows: tuple[np.ndarray, ...]
) -> Any:
  """Take a column out of the tables: the rows of one part, then the other's."""
  import pyarrow as pa

  if len(files) == 1:
    return files[0].columns.pop(name).take(pa.array(np.concatenate(rows)))
  parts = [
    file.columns.pop(name).take(pa.array(chosen))
    for file, chosen in zip(files, rows, strict=True)
  ]
  if parts[0].type != parts[1].type:
    parts = [text_columns.to_text(name, part) for part in parts]
  return pa.chunked_array([*parts[0].chunks, *parts[1].chunks], parts[0].type)


def _encode(
  columns: Columns, num_train: int, roles: Roles, encoding: Encoding
) -> dict[str, Any]:
  """Return the fields of a `Dataset` that inputs need."""
  if roles.text is not None:
    texts = text_columns.to_strings(roles.text, columns[roles.text]).tolist()
    train, test, notes = text_lib.hash_parts(
      texts[:num_train],
      texts[num_train:],
      vocabulary_size=encoding.vocabulary_size,
      max_tokens=encoding.max_tokens,
    )
    return {
      'train_inputs': train,
      'test_inputs': test,
      'vocabulary_size': encoding.vocabulary_size,
      'notes': notes,
    }
  encoded = columns_lib.encode_table(
    columns,
    num_train,
    categorical_columns=roles.categorical,
    numeric_columns=roles.numeric,
    num_buckets=encoding.num_buckets,
    decimal=encoding.decimal,
    thousands=encoding.thousands,
  )
  return {
    'train_inputs': encoded.train,
    'test_inputs': encoded.test,
    'category_sizes': encoded.category_sizes,
    'column_names': encoded.column_names,
    'notes': encoded.notes,
  }
