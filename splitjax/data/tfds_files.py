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
    ValueError: if the name cannot be parsed.
  """
  from tensorflow_datasets.core import constants
  from tensorflow_datasets.core import read_only_builder
  from tensorflow_datasets.core import registered

  folder = os.path.expanduser(data_dir or constants.DATA_DIR)
  try:
    # From the files rather than the code: it may know other versions by now.
    builder = read_only_builder.builder_from_files(name, data_dir=folder)
  except registered.DatasetNotFoundError:
    raise FileNotFoundError(_how_to_prepare(name, folder)) from None
  except ValueError as error:
    raise ValueError(
      f"name must be like 'trec', 'glue/sst2' or 'mnist:3.0.1', got {name!r}."
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
  """
  from tensorflow_datasets import decode

  return builder.as_data_source(
    split=split, deserialize_method=decode.DeserializeMethod.RAW_BYTES
  )


def read_feature(source: Any, rows: np.ndarray, key: str) -> Iterator[Any]:
  """Yield one feature of each row, as it is stored.

  The parser of tensorflow-datasets gives the same values and takes ten times as
  long: it parses and checks all features of an example.

  Args:
    source: what `open_split` returned.
    rows: numbers of the rows to read, in the order in which to read them.
    key: name of the feature.

  Yields:
    An integer, a floating number, or the bytes of a text or an image file.
  """
  from tensorflow_datasets.proto import tf_example_pb2

  message_type: Any = getattr(tf_example_pb2, 'Example')  # noqa: B009
  for start in range(0, len(rows), _ROWS_AT_ONCE):
    chunk = rows[start : start + _ROWS_AT_ONCE].tolist()
    for example in source.__getitems__(chunk):
      parsed = message_type.FromString(example)
      feature = parsed.features.feature[key]
      yield getattr(feature, feature.WhichOneof('kind')).value[0]


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
