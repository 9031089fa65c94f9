"""What a data set is to the rest of splitjax, whatever it was read from."""

from collections.abc import Sequence
import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
  """Arrays of a classification set.

  Attributes:
    name: its name, as the results show it.
    train_inputs: `[N, ...]`.
    train_labels: classes in `[0, C)`, `[N]`.
    test_inputs: `[M, ...]`.
    test_labels: `[M]`.
    class_names: `C` names.
    category_sizes: of a table: how many values each of the last
      `len(category_sizes)` columns can take. They hold category ids as whole
      numbers; the columns before them are standardised numbers.
    vocabulary_size: of texts: the inputs are token ids below it, int32
      `[N, L]`, and 0 pads.
    notes: what was done to the data, a line each, for the user.
  """

  name: str
  train_inputs: np.ndarray
  train_labels: np.ndarray
  test_inputs: np.ndarray
  test_labels: np.ndarray
  class_names: tuple[str, ...]
  category_sizes: tuple[int, ...] = ()
  vocabulary_size: int | None = None
  notes: tuple[str, ...] = ()

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


def stratified_split(
  labels: np.ndarray, *, seed: int, test_ratio: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
  """Splits samples at random, keeping the shares of the classes.

  Args:
    labels: `[N]`.
    seed: of the split.
    test_ratio: share of the samples that are held out.

  Returns:
    The rows of the training part and of the test part.

  Raises:
    ValueError: if a class has a single sample, or there are too few samples to
      give each part one of each class.
  """
  from sklearn import model_selection  # Seconds to import, so not above.

  values, counts = np.unique(labels, return_counts=True)
  if counts.min() < 2:
    raise ValueError(
      'labels must have 2 samples of each class to be split in a training and '
      f'a test part, got 1 of class {values[counts.argmin()]}.'
    )
  num_test = math.ceil(test_ratio * len(labels))
  if min(num_test, len(labels) - num_test) < len(values):
    raise ValueError(
      f'labels must be enough for a test part with all {len(values)} classes, '
      f'got {len(labels)} samples.'
    )
  train, test = model_selection.train_test_split(
    np.arange(len(labels)),
    test_size=test_ratio,
    stratify=labels,
    random_state=seed,
  )
  return train, test


def stratified_subset(
  labels: np.ndarray, num: int | None, *, seed: int, argument: str = 'num'
) -> np.ndarray:
  """Draws samples without replacement, keeping the shares of the classes.

  Each class gets its share rounded down, the largest remainders one more, and
  no class is left without a sample.

  Args:
    labels: `[N]`.
    num: how many samples to draw; None for all.
    seed: of the draw.
    argument: what `num` is called, for the message.

  Returns:
    Rows in ascending order, `[num]`.

  Raises:
    ValueError: if there are fewer samples, or more classes.
  """
  labels = np.asarray(labels)
  if num is None:
    return np.arange(len(labels))
  values, classes, counts = np.unique(
    labels, return_inverse=True, return_counts=True
  )
  if not len(values) <= num <= len(labels):
    raise ValueError(
      f'{argument} must lie between {len(values)} (the classes) and '
      f'{len(labels)} (the samples), got {num}.'
    )
  sizes = _allot(counts, num)
  order = np.random.default_rng(seed).permutation(len(labels))
  order = order[np.argsort(classes[order], kind='stable')]
  starts = np.cumsum(counts) - counts
  rank = np.arange(len(labels)) - np.repeat(starts, counts)
  return np.sort(order[rank < np.repeat(sizes, counts)])


def find_classes(
  class_names: Sequence[str], wanted: Sequence[str]
) -> tuple[int, ...]:
  """Classes by name or, where none is called so, by number.

  Args:
    class_names: all of them.
    wanted: some of them; none for all.

  Returns:
    Their numbers, in the order wanted.

  Raises:
    ValueError: if one is not there, or they are not two or more distinct ones.
  """
  if not wanted:
    return tuple(range(len(class_names)))
  numbers = {str(index): index for index in range(len(class_names))}
  numbers |= {name: index for index, name in enumerate(class_names)}
  unknown = [name for name in wanted if name not in numbers]
  found = tuple(numbers[name] for name in wanted if name in numbers)
  if unknown or len(set(found)) < max(len(wanted), 2):
    shown = ', '.join(class_names[:20]) + ', ...' * (len(class_names) > 20)
    raise ValueError(
      f'classes must be two or more of {shown}, each once, got '
      f'{",".join(wanted)}.'
    )
  return found


def draw_subset(
  labels: np.ndarray,
  classes: Sequence[int],
  num: int | None,
  *,
  seed: int,
  argument: str = 'num',
) -> tuple[np.ndarray, np.ndarray]:
  """Draws samples of some classes, keeping the shares of these.

  Args:
    labels: `[N]`.
    classes: which, in the order of their new numbers.
    num: how many samples to draw; None for all.
    seed: of the draw.
    argument: what `num` is called, for the message.

  Returns:
    Rows in ascending order, and their labels in the new numbering.

  Raises:
    ValueError: if there are fewer samples, or more classes.
  """
  rows = np.flatnonzero(np.isin(labels, classes))
  numbers = np.zeros(max(classes) + 1, dtype=labels.dtype)
  numbers[list(classes)] = np.arange(len(classes))
  drawn = stratified_subset(
    numbers[labels[rows]], num, seed=seed, argument=argument
  )
  return rows[drawn], numbers[labels[rows[drawn]]]


def name_of(
  name: str, class_names: Sequence[str], chosen: Sequence[int]
) -> str:
  """A data set's name, with the numbers of the chosen classes if not all."""
  if len(chosen) == len(class_names):
    return name
  return f'{name}[{",".join(str(index) for index in chosen)}]'


def _allot(counts: np.ndarray, num: int) -> np.ndarray:
  """How many of `num` each class gets: by largest remainder, at least one."""
  sizes, remainders = np.divmod(counts * num, counts.sum())
  remainders[sizes == 0] = -1  # Their one is more than their share.
  sizes = np.maximum(sizes, 1)
  missing = max(num - sizes.sum(), 0)
  sizes[np.argsort(-remainders, kind='stable')[:missing]] += 1
  while sizes.sum() > num:  # What the smallest got, the largest give.
    sizes[sizes.argmax()] -= 1
  return sizes


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
  train, test = stratified_split(labels, seed=seed, test_ratio=test_ratio)
  inputs = standardize(inputs, train)
  labels = labels.astype(np.int32)
  return Dataset(
    name=name,
    train_inputs=inputs[train],
    train_labels=labels[train],
    test_inputs=inputs[test],
    test_labels=labels[test],
    class_names=class_names,
  )


def standardize(inputs: np.ndarray, train: np.ndarray) -> np.ndarray:
  """Standardises inputs with the statistics of some rows.

  Args:
    inputs: images `[N, H, W, C]`, by channel, or tables `[N, F]`, by column.
    train: which rows; what is constant in them is only centred.

  Returns:
    Inputs in float32.
  """
  axes = tuple(range(inputs.ndim - 1))
  mean, std = inputs[train].mean(axes), inputs[train].std(axes)
  return ((inputs - mean) / np.where(std > 0, std, 1.0)).astype(np.float32)
