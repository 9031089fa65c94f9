"""Labels as read from files, divided into a training and a test part."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from splitjax.data import splitting
from splitjax.data import standardizing


class Draw(NamedTuple):
  """How samples are split and drawn.

  Attributes:
    seed: seed of the random split and of the random subsets.
    num_train: how many training samples to draw; None for all.
    num_test: how many test samples to draw; None for all.
    classes: names or numbers of the classes to keep; empty for all.
  """

  seed: int
  num_train: int | None
  num_test: int | None
  classes: tuple[str, ...]


class Partition(NamedTuple):
  """Which samples are in which part, and what they are labelled with.

  Attributes:
    rows: rows of the training part and of the test part, among the labels that
      they were taken from.
    fields: the fields of a `Dataset` that are known from the labels.
  """

  rows: tuple[np.ndarray, np.ndarray]
  fields: dict[str, Any]


def divide_classes(
  name: str,
  labels: Sequence[np.ndarray],
  class_names: Sequence[str],
  draw: Draw,
) -> Partition:
  """Divide samples by their classes, which are chosen before the split.

  Args:
    name: name of the whole data set.
    labels: classes in `[0, C)`: one array, of which a fifth is held out, or one
      for the training part and one for the test part.
    class_names: names of the `C` classes.
    draw: how samples are split and drawn.

  Returns:
    The rows of both parts, their classes and the names of these.

  Raises:
    ValueError: if there are too few samples, or classes are unknown.
  """
  chosen = splitting.find_classes(class_names, draw.classes)
  kept = [np.flatnonzero(np.isin(part, chosen)) for part in labels]
  if len(labels) == 1:
    parts = splitting.stratified_split(labels[0][kept[0]], seed=draw.seed)
    rows = kept[0][parts[0]], kept[0][parts[1]]
  else:
    rows = kept[0], kept[1]
  (train, train_labels), (test, test_labels) = (
    splitting.draw_subset(
      part[part_rows], chosen, num, seed=draw.seed, argument=argument
    )
    for part, part_rows, num, argument in _by_part(labels, rows, draw)
  )
  fields = {
    'name': splitting.name_of(name, class_names, chosen),
    'train_labels': train_labels,
    'test_labels': test_labels,
    'class_names': tuple(class_names[index] for index in chosen),
  }
  return Partition((rows[0][train], rows[1][test]), fields)


def divide_targets(
  name: str, targets: Sequence[np.ndarray], draw: Draw, *, argument: str
) -> Partition:
  """Divide samples at random, and standardise their real targets.

  Args:
    name: name of the data set.
    targets: real targets in their own units: one array, of which a fifth is
      held out, or one for the training part and one for the test part.
    draw: how samples are split and drawn.
    argument: what the targets are called, for the message.

  Returns:
    The rows of both parts, and their standardised targets.

  Raises:
    ValueError: if there are too few samples, or the training targets are equal.
  """
  if len(targets) == 1:
    rows = splitting.random_split(len(targets[0]), seed=draw.seed)
  else:
    rows = np.arange(len(targets[0])), np.arange(len(targets[1]))
  train, test = (
    part_rows[
      splitting.random_subset(
        len(part_rows), num, seed=draw.seed, argument=size_argument
      )
    ]
    for _, part_rows, num, size_argument in _by_part(targets, rows, draw)
  )
  standardized = standardizing.standardize_targets(
    argument, targets[0][train], targets[-1][test]
  )
  return Partition((train, test), {'name': name, **standardized._asdict()})


def _by_part(
  labels: Sequence[np.ndarray],
  rows: tuple[np.ndarray, np.ndarray],
  draw: Draw,
) -> tuple[tuple[np.ndarray, np.ndarray, int | None, str], ...]:
  """Return labels, rows, how many to draw, and that argument, of each part."""
  return (
    (labels[0], rows[0], draw.num_train, 'num_train'),
    (labels[-1], rows[1], draw.num_test, 'num_test'),
  )
