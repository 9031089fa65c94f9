"""Auxiliary samples: those whose labels an attacker knows.

In shape descriptions `N` is the number of samples to draw from, `R` the number
of draws and `A` the number of auxiliary samples in a draw.
"""

from collections.abc import Sequence

from flax import struct
import numpy as np

from splitjax import checks


class Auxiliary(struct.PyTreeNode):
  """Samples whose labels the threat model grants to the attacker.

  Attributes:
    ids: ids of the samples in each draw, sorted by class, `[R, A]`.
    labels: labels of these samples, `[R, A]`.
  """

  ids: np.ndarray
  labels: np.ndarray


def sample_auxiliary(
  seed: int | Sequence[int],
  sample_ids: np.ndarray,
  labels: np.ndarray,
  *,
  num_classes: int,
  num_per_class: int = 1,
  num_draws: int = 1,
) -> Auxiliary:
  """Draw auxiliary samples, equally many of each class, without replacement.

  Args:
    seed: seed of the draws, or several numbers that together are a seed.
    sample_ids: ids of the samples to draw from, `[N]`.
    labels: classes of these samples, `[N]`.
    num_classes: number of classes.
    num_per_class: number of samples of each class in a draw.
    num_draws: number of draws, `R`.

  Returns:
    `R` draws of `A = num_classes * num_per_class` samples.

  Raises:
    ValueError: if a label is out of range, a count is below 1, or a class has
      fewer samples than a draw needs.

  Example:
    >>> auxiliary = sample_auxiliary(
    ...   0, np.array([10, 11, 12]), np.array([1, 0, 1]), num_classes=2
    ... )
    >>> int(auxiliary.ids[0, 0]), auxiliary.labels.tolist()
    (11, [[0, 1]])
  """
  _check_counts(sample_ids, labels, num_classes, num_per_class, num_draws)
  # Each draw sorts the samples by random numbers, then by class, and takes the
  # first ones of each class.
  rng = np.random.default_rng(seed)
  order = np.argsort(rng.random((num_draws, len(labels))), axis=1)
  order = np.take_along_axis(
    order, np.argsort(labels[order], axis=1, kind='stable'), axis=1
  )  # [R, N], sorted by class, random within a class
  sizes = np.bincount(labels, minlength=num_classes)
  starts = np.cumsum(sizes) - sizes
  columns = (starts[:, None] + np.arange(num_per_class)[None]).reshape(-1)
  chosen = order[:, columns]  # [R, A]
  return Auxiliary(ids=sample_ids[chosen], labels=labels[chosen])


def _check_counts(
  sample_ids: np.ndarray,
  labels: np.ndarray,
  num_classes: int,
  num_per_class: int,
  num_draws: int,
) -> None:
  """Raise ValueError for samples that cannot be drawn from."""
  checks.labels('labels', labels, num_classes)
  if len(labels) != len(sample_ids):
    raise ValueError(
      f'labels must be as many as sample_ids ({len(sample_ids)}), got '
      f'{len(labels)}.'
    )
  if num_per_class < 1 or num_draws < 1:
    raise ValueError(
      'num_per_class and num_draws must be at least 1, got '
      f'{num_per_class=} and {num_draws=}.'
    )
  sizes = np.bincount(labels, minlength=num_classes)
  if sizes.min() < num_per_class:
    raise ValueError(
      f'num_per_class must be at most the size of the smallest class, got '
      f'{num_per_class} and {sizes.min()} samples of class {sizes.argmin()}.'
    )
