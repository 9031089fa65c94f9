"""Image and text sets of tensorflow-datasets, read without TensorFlow.

They must have been prepared as ArrayRecord files, which takes TensorFlow for
most sets: the message of `FileNotFoundError` gives the command.
"""

from collections.abc import Sequence
import dataclasses
import difflib
import json
import os
import pathlib
import re
import shlex
from typing import Any

import numpy as np

from splitjax import checks
from splitjax.data import dataset as dataset_lib
from splitjax.data import images as images_lib
from splitjax.data import splitting
from splitjax.data import text as text_lib

_ROWS_AT_ONCE = 1024


def load_tfds(
  name: str,
  *,
  seed: int,
  data_dir: str | os.PathLike | None = None,
  label_column: str | None = None,
  text_column: str | None = None,
  image_size: int | None = None,
  num_train: int | None = None,
  num_test: int | None = None,
  classes: Sequence[str] = (),
  vocabulary_size: int = text_lib.VOCABULARY_SIZE,
  max_tokens: int = text_lib.MAX_TOKENS,
) -> dataset_lib.Dataset:
  """Reads an image or text classification set.

  The training part is the split 'train'. The test part is 'test' if it has
  labels, else 'validation', else a fifth of 'train', stratified by class. Only
  the images that are drawn are decoded.

  Args:
    name: of the set, with configuration and version if need be: 'trec',
      'glue/sst2', 'mnist:3.0.1'.
    seed: of the split and of the subsets.
    data_dir: where it was prepared; by default where tensorflow-datasets does.
    label_column: the feature with the classes; by default the set's own choice,
      or the only one.
    text_column: the feature to classify, a text or an image; by default the
      set's own choice, or the only one.
    image_size: height and width to resize images to.
    num_train: how many training samples to draw, stratified; default all.
    num_test: the same of the test part.
    classes: to be used, by name or number; all, if none is given.
    vocabulary_size: of texts, as in `text.hash_tokens`.
    max_tokens: of texts, as in `text.hash_tokens`.

  Returns:
    Images in `[0, 1]`, float32 `[N, H, W, C]`, or token ids, int32 `[N, L]`.

  Raises:
    FileNotFoundError: if the set is not under `data_dir` as ArrayRecord files.
    ValueError: if an argument does not fit the set.
  """
  import tensorflow_datasets as tfds  # Slow to import: here, not above.

  builder = _open_builder(name, data_dir)
  label_key, input_key = _choose_features(
    name, builder.info, label_column, text_column
  )
  train, test, notes = _choose_parts(name, builder, label_key, seed)
  names = builder.info.features[label_key].names
  chosen = splitting.find_classes(names, classes)
  train = train.subset(chosen, num_train, seed, 'num_train')
  test = test.subset(chosen, num_test, seed, 'num_test')
  feature = builder.info.features[input_key]
  parts = [part.read(input_key) for part in (train, test)]
  if isinstance(feature, tfds.features.Text):
    kind = {'vocabulary_size': vocabulary_size}
    *inputs, more_notes = text_lib.hash_parts(
      *[[text.decode(errors='replace') for text in part] for part in parts],
      vocabulary_size=vocabulary_size,
      max_tokens=max_tokens,
    )
  else:
    kind = {}
    *inputs, more_notes = _decode_parts(name, parts, feature, image_size)
  return dataset_lib.Dataset(
    name=splitting.name_of(name, names, chosen),
    train_inputs=inputs[0],
    train_labels=train.labels,
    test_inputs=inputs[1],
    test_labels=test.labels,
    class_names=tuple(names[index] for index in chosen),
    notes=notes + more_notes,
    **kind,
  )


def _decode_parts(name, parts, feature, image_size):
  """Images of both parts, and notes."""
  if feature.np_dtype != np.uint8:
    raise ValueError(
      f'{name} must have images of bytes, got {feature.np_dtype}.'
    )
  train, test = [
    images_lib.decode_images(part, shape=feature.shape, image_size=image_size)
    for part in parts
  ]
  if image_size is None or feature.shape[:2] == (image_size,) * 2:
    return train, test, ()
  note = f'images resized to {image_size}x{image_size}, bilinearly'
  return train, test, (note,)


@dataclasses.dataclass(frozen=True)
class _Part:
  """Rows of a source of `tf.train.Example` bytes, and their classes `[N]`."""

  source: Any
  rows: np.ndarray
  labels: np.ndarray

  def take(self, chosen):
    return _Part(self.source, self.rows[chosen], self.labels[chosen])

  def subset(self, classes, num, seed, argument):
    rows, labels = splitting.draw_subset(
      self.labels, classes, num, seed=seed, argument=argument
    )
    return dataclasses.replace(self.take(rows), labels=labels)

  def read(self, key):
    return list(_read_feature(self.source, self.rows, key))


def _read_feature(source, rows, key):
  """Yields one value a row, as it is stored: an integer or bytes.

  The parser of tensorflow-datasets gives the same and takes ten times as long:
  it parses and checks all features of an example.
  """
  from tensorflow_datasets.proto import tf_example_pb2

  for start in range(0, len(rows), _ROWS_AT_ONCE):
    chunk = rows[start : start + _ROWS_AT_ONCE].tolist()
    for example in source.__getitems__(chunk):
      parsed = tf_example_pb2.Example.FromString(example)
      feature = parsed.features.feature[key]
      yield getattr(feature, feature.WhichOneof('kind')).value[0]


def _open_builder(name, data_dir):
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


def _how_to_prepare(name, folder):
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


def _command(name, folder):
  code = (
    'import tensorflow_datasets as tfds; '
    f'tfds.builder({json.dumps(name)}, data_dir={json.dumps(folder)}, '
    'file_format="array_record").download_and_prepare()'
  )
  return f'python -c {shlex.quote(code)}'


def _choose_features(name, info, label_column, text_column):
  """The keys of the classes and of what is to be classified."""
  from tensorflow_datasets import features as kinds

  own = info.supervised_keys
  own = own if isinstance(own, tuple) and len(own) == 2 else (None, None)
  label_key = _choose_feature(
    name, info.features, 'label_column', label_column, own[1], kinds.ClassLabel
  )
  input_key = _choose_feature(
    name,
    info.features,
    'text_column',
    text_column,
    own[0],
    (kinds.Image, kinds.Text),
  )
  return label_key, input_key


def _choose_feature(name, features, argument, wanted, default, kinds):
  candidates = sorted(  # The files keep no order.
    key for key, feature in features.items() if isinstance(feature, kinds)
  )
  if wanted is None and default in candidates:
    return default
  if wanted is None and len(candidates) == 1:
    return candidates[0]
  if wanted in candidates:
    return wanted
  if not candidates:
    raise ValueError(
      f'{argument} must be a feature of {name}, which has none of the kind; '
      f'it has {", ".join(sorted(features))}.'
    )
  raise ValueError(
    f'{argument} must be one of {", ".join(candidates)} in {name}, got '
    f'{wanted!r}.'
  )


def _choose_parts(name, builder, label_key, seed):
  """Training part, test part, and notes."""
  splits = builder.info.splits
  if 'train' not in splits:
    raise ValueError(f'{name} must have a split train, got {list(splits)}.')
  train = _label_part(builder, 'train', label_key)
  num_classes = builder.info.features[label_key].num_classes
  checks.labels(f'{label_key} in split train', train.labels, num_classes)
  for split in ('test', 'validation'):
    if split in splits and splits[split].num_examples:
      test = _label_part(builder, split, label_key)
      if (test.labels >= 0).all():  # -1 where they are kept secret.
        return train, test, (f'test part: split {split}',)
  rows, test_rows = splitting.stratified_split(train.labels, seed=seed)
  note = f'test part: a fifth of split train, as {name} has no other labels'
  return train.take(rows), train.take(test_rows), (note,)


def _label_part(builder, split, label_key):
  """All of a split."""
  from tensorflow_datasets import decode

  source = builder.as_data_source(
    split=split, deserialize_method=decode.DeserializeMethod.RAW_BYTES
  )
  rows = np.arange(len(source))
  labels = _read_feature(source, rows, label_key)
  return _Part(source, rows, np.fromiter(labels, np.int32, len(rows)))
