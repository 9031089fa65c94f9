"""Random splits, standardised with the statistics of the training part."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from splitjax.data import dataset as dataset_lib
from splitjax.data import splitting


def split_and_standardize(
  name: str,
  inputs: np.ndarray,
  labels: np.ndarray,
  class_names: tuple[str, ...],
  *,
  seed: int,
  test_ratio: float = 0.2,
  classes: Sequence[str] = (),
  column_names: tuple[str, ...] = (),
) -> dataset_lib.Dataset:
  """Split by class at random, and standardise by the training part.

  Images `[N, H, W, C]` are standardised by channel, tables `[N, F]` by column;
  a column that is constant in the training part is only centred.

  Args:
    name: name of the data set.
    inputs: inputs of all samples, `[N, ...]`.
    labels: classes in `[0, C)`, `[N]`.
    class_names: names of the `C` classes.
    seed: seed of the random split.
    test_ratio: share of the samples that are held out.
    classes: names or numbers of the classes to keep; empty for all.
    column_names: name of each column of a table, if they have names.

  Returns:
    The data set, with float32 inputs and int32 classes.

  Raises:
    ValueError: if there are too few samples of a class for a split, or
      `classes` are unknown.
  """
  chosen = splitting.find_classes(class_names, classes)
  rows, labels = splitting.draw_subset(labels, chosen, None, seed=seed)
  inputs = inputs[rows]
  train, test = splitting.stratified_split(
    labels, seed=seed, test_ratio=test_ratio
  )
  train_inputs, test_inputs = standardize_inputs(inputs[train], inputs[test])
  labels = labels.astype(np.int32)
  return dataset_lib.Dataset(
    name=splitting.name_of(name, class_names, chosen),
    train_inputs=train_inputs,
    train_labels=labels[train],
    test_inputs=test_inputs,
    test_labels=labels[test],
    class_names=tuple(class_names[index] for index in chosen),
    column_names=column_names,
  )


def split_and_standardize_targets(
  name: str,
  inputs: np.ndarray,
  targets: np.ndarray,
  *,
  seed: int,
  test_ratio: float = 0.2,
  column_names: tuple[str, ...] = (),
) -> dataset_lib.Dataset:
  """Split at random, and standardise inputs and real targets.

  The statistics are those of the training part. Images `[N, H, W, C]` are
  standardised by channel, tables `[N, F]` by column.

  Args:
    name: name of the data set.
    inputs: inputs of all samples, `[N, ...]`.
    targets: real numbers in their own units, `[N]`.
    seed: seed of the random split.
    test_ratio: share of the samples that are held out.
    column_names: name of each column of a table, if they have names.

  Returns:
    The data set, with float32 inputs and standardised float32 targets.

  Raises:
    ValueError: if the targets are not finite, or equal in the training part.
  """
  if not np.isfinite(targets).all():
    raise ValueError('targets must be finite, got a NaN or an infinity.')
  train, test = splitting.random_split(
    len(targets), seed=seed, test_ratio=test_ratio
  )
  train_inputs, test_inputs = standardize_inputs(inputs[train], inputs[test])
  standardized = standardize_targets('targets', targets[train], targets[test])
  return dataset_lib.Dataset(
    name=name,
    train_inputs=train_inputs,
    test_inputs=test_inputs,
    column_names=column_names,
    **standardized._asdict(),
  )


def standardize_inputs(
  train: np.ndarray, test: np.ndarray, argument: str = 'inputs'
) -> tuple[np.ndarray, np.ndarray]:
  """Standardise inputs with the statistics of the training part.

  Args:
    train: images `[N, H, W, C]`, by channel, or tables `[N, F]`, by column.
      What is constant is only centred, to exactly 0.
    test: inputs of the test part, `[M, ...]`.
    argument: what the inputs are called, for the message.

  Returns:
    Inputs of both parts in float32, which are finite.

  Raises:
    ValueError: if a number of the test part lies further from the training part
      than float32 can say in its standard deviations.
  """
  axes = tuple(range(train.ndim - 1))
  low, high = train.min(axes), train.max(axes)
  unit = np.where(high > low, _unit_of(low, high), 1.0)
  scaled = train / unit
  # A constant may differ from its mean by rounding.
  mean = np.where(high > low, scaled.mean(axes), low)
  std = scaled.std(axes)
  scale = np.where((high > low) & (std > 0), std, 1.0)
  parts = []
  for part in (scaled, test / unit):
    with np.errstate(over='ignore'):
      found = ((part - mean) / scale).astype(np.float32)
    if not np.isfinite(found).all():
      where = np.argwhere(~np.isfinite(found))[0]
      column = f' in column {where[-1]}' if len(where) == 2 else ''
      raise ValueError(
        f'{argument} must lie near those of the training part, got a number'
        f'{column} beyond float32 when standardised.'
      )
    parts.append(found)
  return parts[0], parts[1]


def _unit_of(low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
  """Return a power of two as large as the numbers between two bounds.

  In such units the squares of tiny numbers do not vanish, and those of huge
  ones do not overflow; nothing is rounded.
  """
  largest = np.maximum(np.abs(low), np.abs(high))
  return np.exp2(np.floor(np.log2(np.where(largest > 0, largest, 1.0))))


class StandardizedTargets(NamedTuple):
  """Real targets of both parts; the fields are those of `Dataset`.

  Attributes:
    train_labels: standardised targets of the training part, float32 `[N]`.
    test_labels: standardised targets of the test part, float32 `[M]`.
    target_mean: mean of the training targets, in their own units.
    target_std: standard deviation of the training targets, in their own units.
  """

  train_labels: np.ndarray
  test_labels: np.ndarray
  target_mean: float
  target_std: float


def standardize_targets(
  argument: str, train: np.ndarray, test: np.ndarray
) -> StandardizedTargets:
  """Standardise real targets with the statistics of the training part.

  Args:
    argument: what the targets are called, for the message.
    train: targets of the training part, `[N]`.
    test: targets of the test part, `[M]`.

  Returns:
    The targets of both parts, and the statistics.

  Raises:
    ValueError: if the targets are equal in the training part.
  """
  low, high = float(train.min()), float(train.max())
  if not high > low:
    raise ValueError(
      f'{argument} must differ in the training part, got one value.'
    )
  unit = float(_unit_of(low, high))
  mean, std = float(train.mean()), unit * float((train / unit).std())
  if not std > 0 or not np.isfinite(unit / std):
    raise ValueError(
      f'{argument} must differ by more than rounding in the training part, got '
      f'{low!r} to {high!r}.'
    )
  return StandardizedTargets(
    ((train - mean) / std).astype(np.float32),
    ((test - mean) / std).astype(np.float32),
    mean,
    std,
  )
