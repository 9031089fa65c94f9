"""Sets that tensorflow-datasets has prepared as ArrayRecord files."""

from collections.abc import Iterator
import difflib
import json
import os
import pathlib
import re
import shlex
from typing import Any

import numpy as np

_ROWS_AT_ONCE = 1024
_NAME = re.compile(r'[A-Za-z_]\w*(/[\w.+-]+)*(:[\w.*]+)?(/[\w.]+)?')


def open_builder(name: str, data_dir: str | os.PathLike | None) -> Any:
  """Open a prepared set, from its files alone.

  Args:
    name: name of the set, with configuration and version if need be.
    data_dir: folder where it was prepared; None for the folder that
      tensorflow-datasets uses by default.

  Returns:
    A `tfds.core.DatasetBuilder`, which knows the set's features and splits.

  Raises:
    FileNotFoundError: if the set is not in that folder as ArrayRecord files;
      the message has the command that prepares it.
    ValueError: if the name cannot be parsed, or files of the set are damaged.
  """
  from tensorflow_datasets.core import constants
  from tensorflow_datasets.core import read_only_builder
  from tensorflow_datasets.core import registered

  if not _NAME.fullmatch(name):
    raise ValueError(
      f"name must be like 'trec', 'glue/sst2' or 'mnist:3.0.1', got {name!r}."
    )
  folder = os.path.expanduser(data_dir or constants.DATA_DIR)
  try:
    # From the files rather than the code: it may know other versions by now.
    builder = read_only_builder.builder_from_files(name, data_dir=folder)
    _check_names(name, builder)
  except registered.DatasetNotFoundError:
    raise FileNotFoundError(_how_to_prepare(name, folder)) from None
  except Exception as error:  # Its parsers of JSON have errors of all kinds.
    reason = ' '.join(str(error).split())[:200] or type(error).__name__
    raise ValueError(
      f'{name} in data_dir {folder} must be a whole set, got damaged files '
      f'beside its records ({reason}): prepare it again.'
    ) from error
  file_format = builder.info.file_format.value
  if file_format != 'array_record':
    raise FileNotFoundError(
      f'{name} is in data_dir {folder} as {file_format} files, which have no '
      'random access; prepare it as array_record files in another data_dir: '
      + _command(name, os.path.join(folder, 'array_record'))
    )
  return builder


def open_split(builder: Any, split: str) -> Any:
  """Open a split for random access.

  Args:
    builder: what `open_builder` returned.
    split: name of the split.

  Returns:
    A sequence of `tf.train.Example` messages, as bytes.

  Raises:
    ValueError: if a file is damaged, or has more or fewer records than the set
      says.
  """
  from tensorflow_datasets import decode

  try:
    _check_records(builder.info.splits[split])
    return builder.as_data_source(
      split=split, deserialize_method=decode.DeserializeMethod.RAW_BYTES
    )
  except RuntimeError as error:
    raise ValueError(_damaged(split, error)) from error


def _check_names(name: str, builder: Any) -> None:
  """Raise if the names of classes are not as many as there are classes."""
  import tensorflow_datasets as tfds

  stored = json.loads(
    pathlib.Path(builder.data_path, 'features.json').read_text('utf-8')
  )
  features = stored.get('featuresDict', {}).get('features', {})
  for key, feature in builder.info.features.items():
    if isinstance(feature, tfds.features.ClassLabel):
      said = features.get(key, {}).get('classLabel', {}).get('numClasses')
      names = feature.names
      if said is None or int(said) != len(names):
        raise ValueError(f'{len(names)} names of {said} classes of {key}')
      if len(set(names)) < len(names):
        raise ValueError(f'equal names of classes of {key}')


def _check_records(split_info: Any) -> None:
  """Raise if the files of a split do not hold as many records as it says."""
  from array_record.python import array_record_module

  shards = zip(split_info.filepaths, split_info.shard_lengths, strict=True)
  for path, expected in shards:
    reader = array_record_module.ArrayRecordReader(str(path))
    found = reader.num_records()
    reader.close()
    if found != expected:
      raise RuntimeError(f'{path} has {found} records of {expected}')


def _damaged(what: str, error: Exception) -> str:
  """Return the message for records that cannot be read."""
  reason = ' '.join(str(error).split())[:200]
  return f'records of {what} must be whole files, got: {reason}; prepare again.'


def read_feature(
  source: Any, rows: np.ndarray, key: str, *, size: int = 1
) -> Iterator[Any]:
  """Yield one feature of each row, as it is stored.

  The parser of tensorflow-datasets gives the same values and takes ten times as
  long: it parses and checks all features of an example.

  Args:
    source: what `open_split` returned.
    rows: numbers of the rows to read, in the order in which to read them.
    key: name of the feature.
    size: how many values it has.

  Yields:
    An integer, a floating number, or the bytes of a text or an image file; or
    `size` of them, if that is not 1.

  Raises:
    ValueError: if a file is damaged.
  """
  from google.protobuf import message
  from tensorflow_datasets.proto import tf_example_pb2

  message_type: Any = getattr(tf_example_pb2, 'Example')  # noqa: B009
  for start in range(0, len(rows), _ROWS_AT_ONCE):
    chunk = rows[start : start + _ROWS_AT_ONCE].tolist()
    try:
      examples = source.__getitems__(chunk)
      parsed = [message_type.FromString(example) for example in examples]
    except (RuntimeError, message.DecodeError) as error:
      raise ValueError(_damaged(key, error)) from error
    for row, example in zip(chunk, parsed, strict=True):
      feature = example.features.feature[key]
      kind = feature.WhichOneof('kind')
      values: Any = getattr(feature, kind).value if kind else ()
      if len(values) != size:
        raise ValueError(
          f'{key} must have {size} values in every record, got {len(values)} '
          f'in record {row}; prepare the set again.'
        )
      yield values[0] if size == 1 else values


def _how_to_prepare(name: str, folder: str) -> str:
  """Return the message for a set that is not there."""
  import tensorflow_datasets as tfds

  known = tfds.list_builders(with_community_datasets=False)
  plain = re.split('[/:]', name)[0]
  hint = ''
  if plain not in known:
    close = difflib.get_close_matches(plain, known, n=1)
    hint = f' (did you mean {close[0]}?)' if close else ''
  if (pathlib.Path(folder) / plain).is_dir():
    there = sorted(
      path.name for path in (pathlib.Path(folder) / plain).iterdir()
    )
    hint = f' (there is {plain} with {", ".join(there)})'
  return (
    f'{name} is not prepared in data_dir {folder}{hint}; to prepare it, with '
    f'tensorflow installed if the set needs it: {_command(name, folder)}'
  )


def _command(name: str, folder: str) -> str:
  """Return the shell command that prepares a set in a folder."""
  code = (
    'import tensorflow_datasets as tfds; '
    f'tfds.builder({json.dumps(name)}, data_dir={json.dumps(folder)}, '
    'file_format="array_record").download_and_prepare()'
  )
  return f'python -c {shlex.quote(code)}'
