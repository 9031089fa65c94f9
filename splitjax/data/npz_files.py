"""Arrays in `.npz` files as a `Dataset`."""

from collections.abc import Sequence
import dataclasses
import os
import pathlib

import numpy as np

from splitjax import files
from splitjax.data import arrays
from splitjax.data import dataset as dataset_lib
from splitjax.data import partition as partition_lib

# What people call inputs and labels, in any case; parts have 'train', 'test'.
_INPUTS = ('inputs', 'x', 'data', 'images', 'features', 'arr_0')
_LABELS = ('labels', 'y', 'target', 'targets', 'label', 'arr_1')


def load_npz(
  path: str | os.PathLike,
  *,
  seed: int,
  target: str | None = None,
  label_column: str | None = None,
  text_column: str | None = None,
  num_train: int | None = None,
  num_test: int | None = None,
  classes: Sequence[str] = (),
) -> dataset_lib.Dataset:
  """Read inputs and labels from a file that `numpy.savez` wrote.

  The arrays are found by their names: `inputs` and `labels`, `x` and `y`,
  `data` and `target`, or the first two. With a part in their names, as
  `x_train`, `y_train`, `x_test` and `y_test`, the test part is as given.

  Args:
    path: a `.npz` file.
    seed: seed of the random split and of the random subsets.
    target: what the labels are, 'class' or 'real'; classes by default.
    label_column: name of the array of labels, if it has another name.
    text_column: name of the array of inputs, if it has another name.
    num_train: how many training samples to draw; by default all.
    num_test: how many test samples to draw; by default all.
    classes: names or numbers of the classes to keep; empty for all.

  Returns:
    The data set, as `arrays.from_arrays` makes it.

  Raises:
    OSError: if the file cannot be opened.
    ValueError: if it is damaged, holds objects, or has no such arrays.
  """
  found = _read(path)
  target = target or 'class'
  dataset_lib.check_target(target)
  if classes and target == 'real':
    raise ValueError(
      f"classes must not be given with target='real', got {','.join(classes)}."
    )
  keys = _find(path, found, label_column, text_column)
  inputs = [_images(found[one]) for one, _ in keys]
  labels = [_flat(found[other]) for _, other in keys]
  for (one, other), values, texts in zip(keys, inputs, labels, strict=True):
    if values.ndim < 2 or texts.ndim != 1 or len(values) != len(texts):
      raise ValueError(
        f'{path} must have inputs [N, ...] and labels [N], got {one} '
        f'{values.shape} and {other} {texts.shape}.'
      )
  draw = partition_lib.Draw(seed, num_train, num_test, tuple(classes))
  name = pathlib.Path(path).name.removesuffix('.npz')
  argument = f'label_column {keys[0][1]!r}'
  if target == 'real':
    labels = [_finite(argument, part) for part in labels]
    divided = partition_lib.divide_targets(
      name, labels, draw, argument=argument
    )
  else:
    divided = _divide_classes(name, argument, labels, draw)
  rows = divided.rows
  made = arrays.from_arrays(
    inputs[0][rows[0]],
    labels[0][rows[0]],
    test_inputs=inputs[-1][rows[1]],
    test_labels=labels[-1][rows[1]],
    name=name,
    target=target,
    seed=seed,
  )
  shown = ', '.join(f'{one} and {other}' for one, other in keys)
  notes = (f'{pathlib.Path(path).name}: inputs and labels: {shown}',)
  return dataclasses.replace(
    made, notes=(*made.notes, *notes), **divided.fields
  )


def _read(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """Return the arrays of a file, by name."""
  if not pathlib.Path(path).is_file():
    os.stat(path)  # Raises an error with the file's name, if it is not there.
    raise ValueError(f'{path} must be a file, got a folder or a device.')
  try:
    with (
      pathlib.Path(path).open('rb') as file,
      np.load(file, allow_pickle=False) as archive,
    ):
      if isinstance(archive, np.ndarray):
        raise ValueError('one array, save inputs and labels by numpy.savez')
      return {name: archive[name] for name in archive.files}
  except files.BROKEN as error:
    reason = ' '.join(str(error).split()).rstrip('.')
    raise ValueError(
      f'{path} must be a whole .npz file of plain arrays, got: {reason}.'
    ) from error


def _find(
  path: str | os.PathLike,
  found: dict[str, np.ndarray],
  label_column: str | None,
  text_column: str | None,
) -> list[tuple[str, str]]:
  """Return the names of inputs and labels, of one or of both parts."""
  for argument, wanted in (
    ('label_column', label_column),
    ('text_column', text_column),
  ):
    if wanted is not None and wanted not in found:
      raise ValueError(
        f'{argument} must be one of {", ".join(found) or "no arrays"} in '
        f'{path}, got {wanted!r}.'
      )
  lower = {name.lower(): name for name in found}
  pairs = []
  for part in ('', 'train', 'test'):
    forms = (f'{{}}_{part}', f'{part}_{{}}') if part else ('{}',)
    inputs, labels = (
      next(
        (
          lower[form.format(name)]
          for name in names
          for form in forms
          if form.format(name) in lower
        ),
        None,
      )
      for names in (_INPUTS, _LABELS)
    )
    if not part:
      inputs, labels = text_column or inputs, label_column or labels
    pairs.append((inputs, labels))
  whole, *parts = pairs
  split = [(one, other) for one, other in parts if one and other]
  if len(split) == 2 and not (label_column or text_column):
    return split
  for argument, one in zip(('text_column', 'label_column'), whole, strict=True):
    if one is None:
      raise ValueError(
        f'{argument} must be given: {path} has the arrays '
        f'{", ".join(found) or "none"}.'
      )
  return [(str(whole[0]), str(whole[1]))]


def _images(values: np.ndarray) -> np.ndarray:
  """Return images of bytes `[N, H, W]` as `[N, H, W, 1]`."""
  is_gray = values.ndim == 3 and values.dtype == np.uint8
  return values[..., None] if is_gray else values


def _flat(labels: np.ndarray) -> np.ndarray:
  """Return labels `[N, 1]` as `[N]`."""
  return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _finite(argument: str, targets: np.ndarray) -> np.ndarray:
  """Return real targets in float64, or raise."""
  if targets.dtype.kind not in 'iuf' or not np.isfinite(targets).all():
    raise ValueError(
      f"{argument} must be finite numbers with target='real', got "
      f'{targets.dtype}.'
    )
  return targets.astype(np.float64)


def _divide_classes(
  name: str,
  argument: str,
  labels: Sequence[np.ndarray],
  draw: partition_lib.Draw,
) -> partition_lib.Partition:
  """Divide rows by their classes, which are called by their labels."""
  if any(part.dtype.kind not in 'iubU' for part in labels):
    raise ValueError(
      f"{argument} must be integers or strings with target='class', got "
      f'{labels[0].dtype}.'
    )
  values = np.unique(labels[0])
  for part in labels:
    unknown = np.setdiff1d(part, values)
    if unknown.size:
      raise ValueError(
        f'{argument} must be labels of the training part, got {unknown[0]!r}.'
      )
  if not 2 <= len(values) < len(labels[0]):
    raise ValueError(
      f'{argument} must be 2 classes at least, and fewer than samples, got '
      f'{len(values)}.'
    )
  numbers = [np.searchsorted(values, part).astype(np.int32) for part in labels]
  names = [str(value) for value in values]
  return partition_lib.divide_classes(name, numbers, names, draw)
