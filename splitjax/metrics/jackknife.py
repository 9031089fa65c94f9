"""What other samples would change: figures without a group of samples.

The delete-a-group jackknife. Samples are divided at random into some thirty
groups, and each figure is computed anew without each of them. As the samples
are taken to be drawn at random, classes are not balanced over the groups: how
many there are of each class would vary as well. In shape descriptions `S` is
the number of networks, `R` the draws of each, `N` the samples, `C` the classes
and `G` the groups.
"""

from collections.abc import Callable, Iterator

import numpy as np

from splitjax.metrics.confusion import confusion_matrices

NUM_GROUPS = 30

Figures = dict[str, np.ndarray]


def assign_groups(
  sample_ids: np.ndarray, *, num_groups: int = NUM_GROUPS, seed: int = 0
) -> np.ndarray:
  """Assign samples to groups at random, equal samples to the same one.

  Args:
    sample_ids: which sample each entry is, `[..., N]`. Networks may have them
      in different order.
    num_groups: number of groups; fewer if there are fewer samples.
    seed: seed of the assignment.

  Returns:
    The group of each entry, from 0, `[..., N]`.

  Example:
    >>> groups = assign_groups(np.array([[7, 8, 9], [9, 8, 7]]), num_groups=3)
    >>> bool((groups[0] == groups[1][::-1]).all()), sorted(groups[0].tolist())
    (True, [0, 1, 2])
  """
  if num_groups < 2:
    raise ValueError(f'num_groups must be at least 2, got {num_groups}.')
  known, places = np.unique(sample_ids, return_inverse=True)
  shuffled = np.random.default_rng(seed).permutation(len(known))
  groups = shuffled % min(num_groups, len(known))
  return groups[places].reshape(np.shape(sample_ids))


def deleted(
  measure_fn: Callable[[np.ndarray], Figures],
  scored: np.ndarray,
  groups: np.ndarray,
) -> Figures:
  """Measure anew without each group of samples.

  Args:
    measure_fn: function from a mask of the samples that count, `[S, R, N]`, to
      figures by name, `[S, R]`.
    scored: the samples that count, `[S, R, N]`.
    groups: the group of each sample, of a shape that broadcasts with `scored`.

  Returns:
    Figures by name, `[G, S, R]`; empty if there are too few samples to leave a
    group out, see `enough`.

  Example:
    >>> right = np.array([[[1, 0, 1, 1]]])
    >>> mean_fn = lambda scored: {'mean': (right * scored).sum(-1) / 3}
    >>> found = deleted(mean_fn, np.ones((1, 1, 4), bool), np.arange(4))
    >>> found['mean'].ravel().round(2).tolist()
    [0.67, 1.0, 0.67, 0.67]
  """
  if not enough(scored, groups):
    return {}
  found = [
    measure_fn(scored & (groups != group)) for group in range(groups.max() + 1)
  ]
  return {name: np.stack([one[name] for one in found]) for name in found[0]}


def enough(scored: np.ndarray, groups: np.ndarray) -> bool:
  """Return whether two samples of each trial stay when any group goes."""
  largest = np.bincount(np.ravel(groups)).max() // (
    np.size(groups) // np.shape(groups)[-1]
  )
  return bool(groups.max() > 0 and scored.sum(-1).min() >= largest + 3)


def deleted_confusions(
  predictions: np.ndarray,
  truth: np.ndarray,
  scored: np.ndarray,
  groups: np.ndarray,
  *,
  num_classes: int,
) -> Iterator[np.ndarray]:
  """Yield the confusion matrices without each group, one after the other.

  So that they are never all in memory.

  Args:
    predictions: predicted classes, `[S, R, N]`.
    truth: true classes, of a shape that broadcasts with `predictions`.
    scored: the samples that count, in the same way.
    groups: the group of each sample, `[S, N]`.
    num_classes: number of classes, `C`.

  Yields:
    Counts `[S, R, C, C]`, for each of the `G` groups.

  Example:
    >>> labels = np.array([[[0, 1, 1]]])
    >>> one, *_ = deleted_confusions(
    ...   labels, labels, labels >= 0, np.array([[0, 1, 2]]), num_classes=2
    ... )
    >>> one.tolist()
    [[[[0, 0], [0, 2]]]]
  """
  truth, scored = (
    np.broadcast_to(x, predictions.shape) for x in (truth, scored)
  )
  whole = confusion_matrices(
    predictions, truth, scored, num_classes=num_classes
  )
  for group in range(groups.max() + 1):
    counts = whole.copy()
    for seed, members in enumerate(groups == group):
      counts[seed] -= _count(
        predictions[seed][:, members],
        truth[seed][:, members],
        scored[seed][:, members],
        num_classes,
      )
    yield counts


def _count(
  predictions: np.ndarray,
  truth: np.ndarray,
  scored: np.ndarray,
  num_classes: int,
) -> np.ndarray:
  """Return confusion matrices, of zeros where no sample counts."""
  some = np.flatnonzero(scored.any(-1))
  counts = np.zeros((len(scored), num_classes, num_classes), int)
  if some.size:
    counts[some] = confusion_matrices(
      predictions[some], truth[some], scored[some], num_classes=num_classes
    )
  return counts
