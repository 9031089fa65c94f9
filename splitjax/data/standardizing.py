"""Random splits, standardised with the statistics of the training part."""

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

  Returns:
    The data set, with float32 inputs and int32 classes.

  Raises:
    ValueError: if there are too few samples of a class for a split.
  """
  train, test = splitting.stratified_split(
    labels, seed=seed, test_ratio=test_ratio
  )
  train_inputs, test_inputs = standardize_inputs(inputs[train], inputs[test])
  labels = labels.astype(np.int32)
  return dataset_lib.Dataset(
    name=name,
    train_inputs=train_inputs,
    train_labels=labels[train],
    test_inputs=test_inputs,
    test_labels=labels[test],
    class_names=class_names,
  )


def split_and_standardize_targets(
  name: str,
  inputs: np.ndarray,
  targets: np.ndarray,
  *,
  seed: int,
  test_ratio: float = 0.2,
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
    **standardized._asdict(),
  )


def standardize_inputs(
  train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Standardise inputs with the statistics of the training part.

  Args:
    train: images `[N, H, W, C]`, by channel, or tables `[N, F]`, by column.
      What is constant is only centred.
    test: inputs of the test part, `[M, ...]`.

  Returns:
    Inputs of both parts in float32.
  """
  axes = tuple(range(train.ndim - 1))
  mean, std = train.mean(axes), train.std(axes)
  # The standard deviation of a constant may be above 0 by rounding.
  varies = (std > 0) & (train.max(axes) > train.min(axes))
  scale = np.where(varies, std, 1.0)
  return (
    ((train - mean) / scale).astype(np.float32),
    ((test - mean) / scale).astype(np.float32),
  )


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
  mean, std = float(train.mean()), float(train.std())
  if not std > 0:
    raise ValueError(
      f'{argument} must differ in the training part, got one value.'
    )
  return StandardizedTargets(
    ((train - mean) / std).astype(np.float32),
    ((test - mean) / std).astype(np.float32),
    mean,
    std,
  )
