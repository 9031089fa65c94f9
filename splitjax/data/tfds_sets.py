"""Image and text sets of tensorflow-datasets, read without TensorFlow.

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
from splitjax.data import partition as partition_lib
from splitjax.data import text as text_lib
from splitjax.data import tfds_files


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
  """Read an image or a text set, labelled with classes or real numbers.

  The labels are classes if their feature is a `ClassLabel`, and real targets,
  standardised with the statistics of the training part, if it is one floating
  number. The training part is the split 'train'. The test part is 'test' if it
  has labels, else 'validation', else a fifth of 'train', stratified by class if
  there are classes. Only the images that are drawn are decoded.

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
    num_train: how many training samples to draw at random, stratified by class
      if there are classes; by default all.
    num_test: how many test samples to draw at random, stratified by class if
      there are classes; by default all.
    classes: names or numbers of the classes to keep; empty for all.
    vocabulary_size: for texts, the bound of the token ids.
    max_tokens: for texts, the length at which they are cut.

  Returns:
    Images in `[0, 1]`, float32 `[N, H, W, C]`, or token ids, int32 `[N, L]`.

  Raises:
    FileNotFoundError: if the set is not under `data_dir` as ArrayRecord files.
    ValueError: if an argument does not fit the set.
  """
  builder = tfds_files.open_builder(name, data_dir)
  features = builder.info.features
  label_key, input_key = _choose_features(
    name, builder.info, label_column, text_column
  )
  splits, note = _read_splits(name, builder, label_key)
  draw = partition_lib.Draw(seed, num_train, num_test, tuple(classes))
  divided = _divide(name, label_key, features[label_key], splits, draw)
  parts = [
    list(tfds_files.read_feature(split.source, rows, input_key))
    for split, rows in zip((splits[0], splits[-1]), divided.rows, strict=True)
  ]
  if _is_text(features[input_key]):
    inputs = _hash_texts(parts, vocabulary_size, max_tokens)
  else:
    inputs = _decode_images(name, parts, features[input_key], image_size)
  notes = (note, *inputs.pop('notes'))
  return dataset_lib.Dataset(**divided.fields, **inputs, notes=notes)


class _Split(NamedTuple):
  """A source of `tf.train.Example` bytes, and the label of each, `[N]`."""

  source: Any
  labels: np.ndarray


def _choose_features(
  name: str, info: Any, label_column: str | None, text_column: str | None
) -> tuple[str, str]:
  """Return the keys of the labels and of the inputs."""
  own = info.supervised_keys
  own = own if isinstance(own, tuple) and len(own) == 2 else (None, None)
  features = sorted(info.features.items())  # The files keep no order.
  classes = [key for key, feature in features if _is_class(feature)]
  real = [key for key, feature in features if _is_real(feature)]
  inputs = [key for key, one in features if _is_text(one) or _is_image(one)]
  return (
    _choose('label_column', label_column, own[1], (classes, real), name, info),
    _choose('text_column', text_column, own[0], (inputs,), name, info),
  )


def _choose(
  argument: str,
  wanted: str | None,
  default: str | None,
  candidates: tuple[list[str], ...],
  name: str,
  info: Any,
) -> str:
  """Return the feature that is wanted, declared, or the only one of a kind.

  Args:
    argument: argument of `load_tfds` that `wanted` is, for the message.
    wanted: key of the feature that the user asks for, if any.
    default: key of the feature that the set declares, if any.
    candidates: keys of the features that would do, by kind, in the order in
      which the only one of a kind is taken.
    name: name of the set.
    info: what the set says of itself.

  Returns:
    The key of the feature.

  Raises:
    ValueError: if there is none, or it is not clear which.
  """
  known = [key for kind in candidates for key in kind]
  if wanted in known:
    return wanted
  if wanted is None and default in known:
    return default
  if not known:
    raise ValueError(
      f'{argument} must be a feature of {name}, which has none of the kind; '
      f'it has {", ".join(sorted(info.features))}.'
    )
  first = next(kind for kind in candidates if kind)
  if wanted is None and len(first) == 1:
    return first[0]
  raise ValueError(
    f'{argument} must be one of {", ".join(known)} in {name}, got {wanted!r}.'
  )


def _is_class(feature: Any) -> bool:
  """Return whether a feature is a class."""
  from tensorflow_datasets import features as kinds

  return isinstance(feature, kinds.ClassLabel)


def _is_real(feature: Any) -> bool:
  """Return whether a feature is one floating number."""
  if feature.shape != ():
    return False
  return np.issubdtype(np.dtype(feature.np_dtype), np.floating)


def _is_text(feature: Any) -> bool:
  """Return whether a feature is a text."""
  from tensorflow_datasets import features as kinds

  return isinstance(feature, kinds.Text)


def _is_image(feature: Any) -> bool:
  """Return whether a feature is an image."""
  from tensorflow_datasets import features as kinds

  return isinstance(feature, kinds.Image)


def _read_splits(
  name: str, builder: Any, label_key: str
) -> tuple[list[_Split], str]:
  """Return the training part, the test part if there is one, and a note."""
  splits = builder.info.splits
  if 'train' not in splits:
    raise ValueError(f'{name} must have a split train, got {list(splits)}.')
  feature = builder.info.features[label_key]
  train = _read_labels(builder, 'train', label_key)
  if not _is_real(feature):
    where = f'{label_key} in split train'
    checks.labels(where, train.labels, feature.num_classes)
  elif not np.isfinite(train.labels).all():
    raise ValueError(
      f'{label_key} in split train must be finite, got a NaN or an infinity.'
    )
  for split in ('test', 'validation'):
    if split in splits and splits[split].num_examples:
      test = _read_labels(builder, split, label_key)
      if _has_labels(test.labels):
        return [train, test], f'test part: split {split}'
  note = f'test part: a fifth of split train, as {name} has no other labels'
  return [train], note


def _read_labels(builder: Any, split: str, label_key: str) -> _Split:
  """Return all of a split, with its labels."""
  source = tfds_files.open_split(builder, split)
  real = _is_real(builder.info.features[label_key])
  rows = np.arange(len(source))
  labels = tfds_files.read_feature(source, rows, label_key)
  dtype = np.float64 if real else np.int32
  return _Split(source, np.fromiter(labels, dtype, len(rows)))


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
  feature: Any,
  splits: list[_Split],
  draw: partition_lib.Draw,
) -> partition_lib.Partition:
  """Divide samples by their classes, or at random if the labels are real."""
  labels = [split.labels for split in splits]
  if not _is_real(feature):
    return partition_lib.divide_classes(name, labels, feature.names, draw)
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
