"""Sets of tensorflow-datasets, read without TensorFlow.

They must have been prepared as ArrayRecord files, which takes TensorFlow for
most sets: the message of `FileNotFoundError` gives the command.
"""

from collections.abc import Sequence
import os
from typing import Any, NamedTuple

import numpy as np

from splitjax import checks
from splitjax.data import dataset as dataset_lib
from splitjax.data import images as images_lib
from splitjax.data import labels as labels_lib
from splitjax.data import partition as partition_lib
from splitjax.data import text as text_lib
from splitjax.data import tfds_features
from splitjax.data import tfds_files
from splitjax.data import tfds_tables


def load_tfds(
  name: str,
  *,
  seed: int,
  data_dir: str | os.PathLike | None = None,
  label_column: str | None = None,
  text_column: str | None = None,
  image_size: int | None = None,
  target: str | None = None,
  drop_columns: Sequence[str | int] = (),
  categorical_columns: Sequence[str | int] = (),
  numeric_columns: Sequence[str | int] = (),
  num_buckets: int = 256,
  num_train: int | None = None,
  num_test: int | None = None,
  classes: Sequence[str] = (),
  vocabulary_size: int = text_lib.VOCABULARY_SIZE,
  max_tokens: int = text_lib.MAX_TOKENS,
) -> dataset_lib.Dataset:
  """Read images, texts or a table, labelled with classes or real numbers.

  The labels are classes if their feature is a `ClassLabel`, and real targets,
  standardised with the statistics of the training part, if it is one floating
  number; integers are what `target` says. Numbers, vectors, classes and short
  texts together are a table; see `tables.load_csv`. The training part is the
  split 'train'. The test part is 'test' if it has labels, else 'validation',
  else a fifth of 'train', stratified by class if there are classes. Only the
  images that are drawn are decoded.

  Args:
    name: name of the set, with configuration and version if need be: 'trec',
      'glue/sst2', 'mnist:3.0.1'.
    seed: seed of the random split and of the random subsets.
    data_dir: folder where the set was prepared; by default that of
      tensorflow-datasets.
    label_column: feature with the labels; by default the one that the set
      declares, or the only one with classes, or the only floating number.
    text_column: feature that is the input, a text or an image; by default the
      one that the set declares, or the only one.
    image_size: height and width to resize images to; None to keep theirs.
    target: what the labels are, 'class' or 'real'; by default classes, or real
      if the feature is a floating number.
    drop_columns: of a table, columns to leave out.
    categorical_columns: of a table, columns of numbers that are codes.
    numeric_columns: of a table, columns that are numbers whatever they hold.
    num_buckets: of a table, how many ids a categorical column has.
    num_train: how many training samples to draw at random, stratified by class
      if there are classes; by default all.
    num_test: how many test samples to draw at random, stratified by class if
      there are classes; by default all.
    classes: names or numbers of the classes to keep; empty for all.
    vocabulary_size: for texts, the bound of the token ids.
    max_tokens: for texts, the length at which they are cut.

  Returns:
    Images in `[0, 1]`, float32 `[N, H, W, C]`; token ids, int32 `[N, L]`; or a
    table, float32 `[N, F]`.

  Raises:
    FileNotFoundError: if the set is not under `data_dir` as ArrayRecord files.
    ValueError: if an argument does not fit the set, or a file of it is damaged.
  """
  builder = tfds_files.open_builder(name, data_dir)
  features = builder.info.features
  choice = tfds_features.choose_features(
    name,
    builder.info,
    label_column=label_column,
    text_column=text_column,
    target=target,
  )
  label_key = choice.label
  splits, note, class_names = _read_splits(name, builder, label_key, target)
  draw = partition_lib.Draw(seed, num_train, num_test, tuple(classes))
  divided = _divide(name, label_key, class_names, splits, draw)
  sources = [splits[0].source, splits[-1].source]
  if choice.is_table:
    inputs = tfds_tables.encode(
      features,
      sources,
      divided.rows,
      choice,
      drop_columns=drop_columns,
      categorical_columns=categorical_columns,
      numeric_columns=numeric_columns,
      num_buckets=num_buckets,
    )
  else:
    (input_key,) = choice.inputs
    parts = [
      list(tfds_files.read_feature(source, rows, input_key))
      for source, rows in zip(sources, divided.rows, strict=True)
    ]
    if tfds_features.is_text(features[input_key]):
      inputs = _hash_texts(parts, vocabulary_size, max_tokens)
    else:
      inputs = _decode_images(name, parts, features[input_key], image_size)
  notes = (note, *inputs.pop('notes'))
  return dataset_lib.Dataset(**divided.fields, **inputs, notes=notes)


class _Split(NamedTuple):
  """A source of `tf.train.Example` bytes, and the label of each, `[N]`."""

  source: Any
  labels: np.ndarray


def _read_splits(
  name: str, builder: Any, label_key: str, target: str | None
) -> tuple[list[_Split], str, tuple[str, ...] | None]:
  """Return the training part, the test part if any, a note, and the classes.

  The names of the classes are None if the labels are real numbers.
  """
  splits = builder.info.splits
  if 'train' not in splits:
    raise ValueError(f'{name} must have a split train, got {list(splits)}.')
  feature = builder.info.features[label_key]
  real = tfds_features.is_real(feature) or (
    target == 'real' and not tfds_features.is_class(feature)
  )
  train = _read_labels(builder, 'train', label_key, real)
  where = f'{label_key} in split train'
  class_names, values = None, np.array([])
  if tfds_features.is_class(feature):
    checks.labels(where, train.labels, feature.num_classes)
    class_names = tuple(feature.names)
  elif not real:
    values = np.unique(train.labels)
    class_names = tuple(map(str, values))
    labels_lib.check_classes(label_key, train.labels, class_names)
    train = train._replace(labels=np.searchsorted(values, train.labels))
  elif not np.isfinite(train.labels).all():
    raise ValueError(f'{where} must be finite, got a NaN or an infinity.')
  for split in ('test', 'validation'):
    if split in splits and splits[split].num_examples:
      test = _read_labels(builder, split, label_key, real)
      if not real and not tfds_features.is_class(feature):
        test = test._replace(labels=_positions(test.labels, values))
      if _has_labels(test.labels):
        found = [train, test]
        return found, f'test part: split {split}', class_names
  note = f'test part: a fifth of split train, as {name} has no other labels'
  return [train], note, class_names


def _read_labels(
  builder: Any, split: str, label_key: str, real: bool
) -> _Split:
  """Return all of a split, with its labels."""
  source = tfds_files.open_split(builder, split)
  rows = np.arange(len(source))
  found = list(tfds_files.read_feature(source, rows, label_key))
  try:
    values = np.array(found, np.float64 if real else np.int64)
  except (TypeError, ValueError, OverflowError) as error:
    raise ValueError(
      f'{label_key} in split {split} must hold numbers, as its feature says.'
    ) from error
  return _Split(source, values)


def _positions(found: np.ndarray, values: np.ndarray) -> np.ndarray:
  """Return the positions of integers among sorted ones, -1 for no position."""
  places = np.searchsorted(values, found).clip(0, len(values) - 1)
  return np.where(values[places] == found, places, -1)


def _has_labels(labels: np.ndarray) -> bool:
  """Return whether the labels of a split are there: some are kept secret.

  Secret classes are -1. Secret real targets are NaN, or one number for all.
  """
  if np.issubdtype(labels.dtype, np.floating):
    return bool(np.isfinite(labels).all() and np.ptp(labels) > 0)
  return bool((labels >= 0).all())


def _divide(
  name: str,
  label_key: str,
  class_names: tuple[str, ...] | None,
  splits: list[_Split],
  draw: partition_lib.Draw,
) -> partition_lib.Partition:
  """Divide samples by their classes, or at random if the labels are real."""
  labels = [split.labels for split in splits]
  if class_names is not None:
    labels = [part.astype(np.int32) for part in labels]
    return partition_lib.divide_classes(name, labels, class_names, draw)
  if draw.classes:
    raise ValueError(
      f'classes must not be given: {label_key} of {name} is a real number, got '
      f'{",".join(draw.classes)}.'
    )
  argument = f'{label_key} of {name}'
  return partition_lib.divide_targets(name, labels, draw, argument=argument)


def _hash_texts(
  parts: list[list[bytes]], vocabulary_size: int, max_tokens: int
) -> dict[str, Any]:
  """Return the fields of a `Dataset` that texts need."""
  train, test, notes = text_lib.hash_parts(
    *[[text.decode(errors='replace') for text in part] for part in parts],
    vocabulary_size=vocabulary_size,
    max_tokens=max_tokens,
  )
  return {
    'train_inputs': train,
    'test_inputs': test,
    'vocabulary_size': vocabulary_size,
    'notes': notes,
  }


def _decode_images(
  name: str, parts: list[list[bytes]], feature: Any, image_size: int | None
) -> dict[str, Any]:
  """Return the fields of a `Dataset` that images need."""
  if feature.np_dtype != np.uint8:
    raise ValueError(
      f'{name} must have images of bytes, got {feature.np_dtype}.'
    )
  train, test = [
    images_lib.decode_images(part, shape=feature.shape, image_size=image_size)
    for part in parts
  ]
  notes = ()
  if image_size is not None and feature.shape[:2] != (image_size,) * 2:
    notes = (f'images resized to {image_size}x{image_size}, bilinearly',)
  return {'train_inputs': train, 'test_inputs': test, 'notes': notes}
