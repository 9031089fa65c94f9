"""Which samples are for training, which for the test, and how many of them."""

from collections.abc import Sequence
import math

import numpy as np


def stratified_split(
  labels: np.ndarray, *, seed: int, test_ratio: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
  """Split samples at random so that both parts have the same class shares.

  Args:
    labels: classes, `[N]`.
    seed: seed of the random split.
    test_ratio: share of the samples that are held out.

  Returns:
    The rows of the training part and those of the test part.

  Raises:
    ValueError: if a class has a single sample, or there are too few samples to
      give each part one of each class.
  """
  from sklearn import model_selection  # Seconds to import, so not above.

  values, counts = np.unique(labels, return_counts=True)
  if not can_stratify(labels, test_ratio=test_ratio):
    if counts.min() < 2:
      raise ValueError(
        'labels must have 2 samples of each class to be split in a training '
        f'and a test part, got 1 of class {values[counts.argmin()]}.'
      )
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


def can_stratify(labels: np.ndarray, *, test_ratio: float = 0.2) -> bool:
  """Return whether there are enough samples for `stratified_split`.

  Args:
    labels: classes, `[N]`.
    test_ratio: share of the samples that would be held out.

  Returns:
    True if each class has two samples, and each part has room for all classes.
  """
  values, counts = np.unique(labels, return_counts=True)
  num_test = math.ceil(test_ratio * len(labels))
  room = min(num_test, len(labels) - num_test)
  return bool(counts.min() >= 2 and room >= len(values))


def random_split(
  num_samples: int, *, seed: int, test_ratio: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
  """Split samples at random, whatever their labels.

  Args:
    num_samples: how many samples there are, `N`.
    seed: seed of the random split.
    test_ratio: share of the samples that are held out.

  Returns:
    The rows of the training part and those of the test part.

  Raises:
    ValueError: if there is one sample only.
  """
  from sklearn import model_selection  # Seconds to import, so not above.

  if num_samples < 2:
    raise ValueError(
      'labels must be 2 at least to be split in a training and a test part, '
      f'got {num_samples}.'
    )
  train, test = model_selection.train_test_split(
    np.arange(num_samples), test_size=test_ratio, random_state=seed
  )
  return train, test


def stratified_subset(
  labels: np.ndarray, num: int | None, *, seed: int, argument: str = 'num'
) -> np.ndarray:
  """Draw samples without replacement, keeping the shares of the classes.

  Each class gets its share rounded down; the classes with the largest
  remainders get one more; and every class gets at least one sample.

  Args:
    labels: classes, `[N]`.
    num: how many samples to draw; None for all.
    seed: seed of the random draw.
    argument: name of the caller's argument that `num` is, for the message.

  Returns:
    Rows in ascending order, `[num]`.

  Raises:
    ValueError: if there are fewer samples than `num`, or more classes.
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


def random_subset(
  num_samples: int, num: int | None, *, seed: int, argument: str = 'num'
) -> np.ndarray:
  """Draw samples without replacement, whatever their labels.

  Args:
    num_samples: how many samples there are, `N`.
    num: how many samples to draw; None for all.
    seed: seed of the random draw.
    argument: name of the caller's argument that `num` is, for the message.

  Returns:
    Rows in ascending order, `[num]`.

  Raises:
    ValueError: if there are fewer samples than `num`, or `num` is below 1.
  """
  if num is None:
    return np.arange(num_samples)
  if not 1 <= num <= num_samples:
    raise ValueError(
      f'{argument} must lie between 1 and {num_samples} (the samples), got '
      f'{num}.'
    )
  order = np.random.default_rng(seed).permutation(num_samples)
  return np.sort(order[:num])


def find_classes(
  class_names: Sequence[str], wanted: Sequence[str]
) -> tuple[int, ...]:
  """Find classes by name or, where no class has that name, by number.

  Args:
    class_names: names of all classes.
    wanted: names or numbers of some classes; empty for all.

  Returns:
    The numbers of the wanted classes, in the order of `wanted`.

  Raises:
    ValueError: if a class is unknown, or fewer than two are wanted, or one is
      wanted twice.
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
  """Draw samples of some classes, keeping the shares of these classes.

  Args:
    labels: classes, `[N]`.
    classes: numbers of the classes to keep, in the order of their new numbers.
    num: how many samples to draw; None for all of these classes.
    seed: seed of the random draw.
    argument: name of the caller's argument that `num` is, for the message.

  Returns:
    Rows in ascending order, and their labels in the new numbering.

  Raises:
    ValueError: if there are fewer samples than `num`, or more classes.
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
  """Return a data set's name, followed by the chosen classes if not all.

  Args:
    name: name of the whole data set.
    class_names: names of all its classes.
    chosen: numbers of the classes that were kept.

  Returns:
    `name` or, for example, `name[3,1]`.
  """
  if len(chosen) == len(class_names):
    return name
  return f'{name}[{",".join(str(index) for index in chosen)}]'


def _allot(counts: np.ndarray, num: int) -> np.ndarray:
  """Return how many of `num` samples each class gets, at least one each.

  The shares are rounded by largest remainder.
  """
  sizes, remainders = np.divmod(counts * num, counts.sum())
  remainders[sizes == 0] = -1  # Their one is more than their share.
  sizes = np.maximum(sizes, 1)
  missing = max(num - sizes.sum(), 0)
  sizes[np.argsort(-remainders, kind='stable')[:missing]] += 1
  while sizes.sum() > num:  # What the smallest got, the largest give.
    sizes[sizes.argmax()] -= 1
  return sizes
