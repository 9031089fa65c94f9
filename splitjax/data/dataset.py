"""What a data set is to the rest of splitjax, whatever it was read from."""

import dataclasses

import numpy as np

TARGETS = ('class', 'real')


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
  """Arrays of a data set whose labels are classes or real numbers.

  The labels are classes if there are `class_names`. Without them they are real
  targets, standardised with the mean and the standard deviation of the training
  part; `in_units` takes them back to the units in which they were read.

  Attributes:
    name: name of the data set, as the results show it.
    train_inputs: inputs of the training part, `[N, ...]`.
    train_labels: labels of the training part, `[N]`: classes in `[0, C)`, or
      standardised real targets in float32.
    test_inputs: inputs of the test part, `[M, ...]`.
    test_labels: labels of the test part, `[M]`, of the type of `train_labels`.
    class_names: names of the `C` classes; empty if the targets are real.
    category_sizes: for a table, how many values each of the last
      `len(category_sizes)` columns can take. These columns hold category ids as
      whole numbers; the columns before them hold standardised numbers.
    column_names: for a table, the name of each of its columns, as the inputs
      have them. Columns of one name were one column in the source, and one
      party holds them together. Empty if there are no names.
    vocabulary_size: for texts, the bound of the token ids: the inputs are then
      int32 `[N, L]` below it, and 0 is padding. None for other inputs.
    notes: what was done to the data, one line for each step, for the user.
    target_mean: mean of the real training targets, in their own units.
    target_std: standard deviation of the real training targets, in their own
      units.
  """

  name: str
  train_inputs: np.ndarray
  train_labels: np.ndarray
  test_inputs: np.ndarray
  test_labels: np.ndarray
  class_names: tuple[str, ...] = ()
  category_sizes: tuple[int, ...] = ()
  column_names: tuple[str, ...] = ()
  vocabulary_size: int | None = None
  notes: tuple[str, ...] = ()
  target_mean: float = 0.0
  target_std: float = 1.0

  @property
  def is_real(self) -> bool:
    """Whether the labels are real targets instead of classes."""
    return not self.class_names

  @property
  def num_classes(self) -> int:
    """The number of classes, `C`; 0 if the targets are real."""
    return len(self.class_names)

  @property
  def train_ids(self) -> np.ndarray:
    """Ids of the training samples, `[N]`: their rows."""
    return np.arange(len(self.train_labels))

  @property
  def test_ids(self) -> np.ndarray:
    """Ids of the test samples, `[M]`, which follow those of the training."""
    return len(self.train_labels) + np.arange(len(self.test_labels))

  @property
  def labels_by_id(self) -> np.ndarray:
    """The truth, so that `labels_by_id[sample_ids]` are the true labels.

    Classes, `[N + M]`; or real targets in their own units, float64 `[N + M]`.
    """
    labels = np.concatenate([self.train_labels, self.test_labels])
    return self.in_units(labels) if self.is_real else labels

  def in_units(self, targets: np.ndarray) -> np.ndarray:
    """Return standardised targets in the units in which they were read.

    Args:
      targets: standardised real targets, or predictions of them, of any shape.

    Returns:
      `target_mean + target_std * targets`, in float64 and of the same shape.
    """
    return self.target_mean + self.target_std * np.asarray(targets, np.float64)

  @property
  def train_targets(self) -> np.ndarray:
    """Deprecated name of `train_labels`."""
    return self.train_labels

  @property
  def test_targets(self) -> np.ndarray:
    """Deprecated name of `test_labels`."""
    return self.test_labels

  @property
  def targets_by_id(self) -> np.ndarray:
    """Deprecated name of `labels_by_id`."""
    return self.labels_by_id


def check_target(target: str) -> None:
  """Raise a ValueError if a kind of labels is not one of `TARGETS`."""
  if target not in TARGETS:
    raise ValueError(f"target must be 'class' or 'real', got {target!r}.")
