"""What a data set is to the rest of splitjax, whatever it was read from."""

import dataclasses

import numpy as np
from sklearn import model_selection


@dataclasses.dataclass(frozen=True)
class Dataset:
  """Arrays of a classification set.

  Attributes:
    name: its name, as the results show it.
    train_inputs: `[N, ...]`.
    train_labels: classes in `[0, C)`, `[N]`.
    test_inputs: `[M, ...]`.
    test_labels: `[M]`.
    class_names: `C` names.
  """

  name: str
  train_inputs: np.ndarray
  train_labels: np.ndarray
  test_inputs: np.ndarray
  test_labels: np.ndarray
  class_names: tuple[str, ...]

  @property
  def num_classes(self) -> int:
    """The number of classes, `C`."""
    return len(self.class_names)

  @property
  def train_ids(self) -> np.ndarray:
    """Ids of the training samples: their rows."""
    return np.arange(len(self.train_labels))

  @property
  def test_ids(self) -> np.ndarray:
    """Ids of the test samples, after those of the training samples."""
    return len(self.train_labels) + np.arange(len(self.test_labels))

  @property
  def labels_by_id(self) -> np.ndarray:
    """True labels, so that `labels_by_id[sample_ids]` is the truth."""
    return np.concatenate([self.train_labels, self.test_labels])


def split_and_standardize(
  name: str,
  inputs: np.ndarray,
  labels: np.ndarray,
  class_names: tuple[str, ...],
  *,
  seed: int,
  test_ratio: float = 0.2,
) -> Dataset:
  """Splits at random, and standardises with the training part's statistics.

  The split keeps the shares of the classes. Images `[N, H, W, C]` are
  standardised by channel, tables `[N, F]` by column; a column that is constant
  in the training part is only centred.

  Args:
    name: of the data set.
    inputs: `[N, ...]`.
    labels: `[N]`.
    class_names: one for each class.
    seed: of the split.
    test_ratio: share of the samples that are held out.

  Returns:
    The data set, with float32 inputs.
  """
  train, test = model_selection.train_test_split(
    np.arange(len(labels)),
    test_size=test_ratio,
    stratify=labels,
    random_state=seed,
  )
  axes = tuple(range(inputs.ndim - 1))
  mean = inputs[train].mean(axes)
  std = inputs[train].std(axes)
  scale = np.where(std > 0, std, 1.0)
  inputs = ((inputs - mean) / scale).astype(np.float32)
  labels = labels.astype(np.int32)
  return Dataset(
    name=name,
    train_inputs=inputs[train],
    train_labels=labels[train],
    test_inputs=inputs[test],
    test_labels=labels[test],
    class_names=class_names,
  )
