"""From runs as given to what is attacked: classes, samples, known labels."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from splitjax.auditing import canaries
from splitjax.auditing import truth
from splitjax.auditing.aligning import Rows
from splitjax.auditing.canaries import Canaries
from splitjax.auditing.canaries import Given
from splitjax.auditing.material import Run
from splitjax.auditing.options import Options
from splitjax.errors import ConfigError
from splitjax.records.auxiliary import Auxiliary
from splitjax.records.auxiliary import sample_auxiliary

# Of real targets, where the class of none is known: fewer say nothing.
_REAL_AUX = 20
# How many numbers of a run are attacked where no option says it: fewer of those
# that are too large to be held in memory beside what attacks need.
_MOST = 1 << 25
_LARGE = 1 << 28
_MOST_OF_LARGE = 1 << 23


@dataclasses.dataclass(frozen=True)
class Prepared:
  """What is attacked.

  Attributes:
    runs: the runs, rows of all training arrays in the order of `ids`.
    ids: ids of the training samples that are attacked, one array a run, `[N]`.
    rows: their rows in the run's arrays, `[N]` each.
    labels: their classes or real targets, `[N]` each.
    test_rows: rows of the test samples, `[M]`; empty without a test part.
    test_labels: their classes or real targets, `[M]` each.
    class_names: names of the classes; None for real targets.
    auxiliary: known samples of each run, as rows of `labels`.
    num_aux: known labels of each class, or in all of real targets.
    notes: what was decided, sentences.
    canaries: samples whose label a coin chose; neither known nor scored.
  """

  runs: tuple[Run, ...]
  ids: tuple[np.ndarray, ...]
  rows: tuple[np.ndarray, ...]
  labels: tuple[np.ndarray, ...]
  test_rows: tuple[np.ndarray, ...]
  test_labels: tuple[np.ndarray, ...]
  class_names: tuple[str, ...] | None
  auxiliary: tuple[Auxiliary, ...]
  num_aux: int
  notes: tuple[str, ...]
  canaries: Canaries | None = None

  @property
  def num_classes(self) -> int | None:
    """Number of classes; None for real targets."""
    return None if self.class_names is None else len(self.class_names)

  def array(self, run: int, name: str) -> Rows | None:
    """Return a training array of a run, None if it was not given."""
    return self.runs[run].arrays.get(name)


def prepare(
  runs: Sequence[Run], options: Options, given: Given | None = None
) -> Prepared:
  """Choose classes and samples, and draw those that are known.

  Args:
    runs: what was given; all of the same arrays and widths.
    options: how to audit.
    given: canaries, if there are any.

  Returns:
    What is attacked.

  Raises:
    ConfigError: if runs differ in what they hold, or labels cannot be used.
  """
  _check_alike(runs)
  names, labels, tests = _label(runs, options)
  num_aux = options.num_aux
  if names is None and num_aux == 1:
    num_aux = _REAL_AUX
  notes = list(dict.fromkeys(note for run in runs for note in run.notes))
  kept = [np.arange(len(one)) for one in labels]
  test_kept = [np.arange(len(one)) for one in tests]
  if names is not None:
    names, labels, tests, kept, test_kept = _drop_rare(
      names, labels, tests, num_aux, notes
    )
  if any(len(x) and not len(y) for x, y in zip(tests, test_kept, strict=True)):
    raise ConfigError(
      'test_labels', len(tests[0]), 'labels of classes of the training'
    )
  kept = _choose(runs, labels, kept, names, num_aux, options, notes)
  lengths = {len(one) for one in test_kept}
  if len(lengths) > 1:
    raise ConfigError('test_labels', tuple(lengths), 'one number in all runs')
  most = _most_samples(runs[0], options)
  if test_kept[0].size > most:
    rng = np.random.default_rng((options.seed, 2))
    chosen = np.sort(rng.permutation(test_kept[0].size)[:most])
    notes.append(f'{most:,} of {test_kept[0].size:,} test samples were taken.')
    test_kept = [one[chosen] for one in test_kept]
  labels = [one[rows] for one, rows in zip(labels, kept, strict=True)]
  found = canaries.place(given, runs, kept, labels, num_aux, notes)
  return Prepared(
    runs=tuple(runs),
    ids=tuple(x.ids[rows] for x, rows in zip(runs, kept, strict=True)),
    rows=tuple(kept),
    labels=tuple(labels),
    test_rows=tuple(test_kept),
    test_labels=tuple(x[r] for x, r in zip(tests, test_kept, strict=True)),
    class_names=names,
    auxiliary=tuple(
      _draw(one, names, num_aux, options, index, found)
      for index, one in enumerate(labels)
    ),
    num_aux=num_aux,
    notes=tuple(notes),
    canaries=found,
  )


def _check_alike(runs: Sequence[Run]) -> None:
  """Raise if runs hold different things."""
  shape = lambda run: (
    len(run.passes),
    [one.width for one in run.passes],
    {name: one.width for name, one in run.arrays.items()},
    sorted(run.test_arrays),
  )
  for index, run in enumerate(runs[1:], 2):
    if shape(run) != shape(runs[0]):
      raise ConfigError(
        'cut_grads', f'run {index}', 'the arrays and widths of the first run'
      )


def _most_samples(run: Run, options: Options) -> int:
  """Return how many samples of a run are attacked at most."""
  most = options.max_numbers
  if not most:
    large = _width(run) * len(run.ids) > _LARGE
    most = _MOST_OF_LARGE if large else _MOST
  return max(most // _width(run), 1)


def _width(run: Run) -> int:
  """Return how many numbers of a sample an attack has in hand at most."""
  passes = sum(one.width for one in run.passes)
  return max([passes, *(one.width for one in run.arrays.values())])


def _label(
  runs: Sequence[Run], options: Options
) -> tuple[tuple[str, ...] | None, list[np.ndarray], list[np.ndarray]]:
  """Return names of classes, and labels of all runs and their test parts."""
  parts = [run.labels for run in runs]
  tests = [run.test_labels for run in runs if run.test_labels is not None]
  values = np.concatenate([*parts, *tests])
  if truth.kind_of(values, options.target) == truth.REAL:
    found = truth.to_targets('labels', values)
  else:
    names = options.class_names or None
    found = truth.to_classes('labels', values, names)
  sizes = [len(one) for one in (*parts, *tests)]
  ends = np.cumsum(sizes)[:-1]
  split = np.split(found.values, ends)
  for index, one in enumerate(split if found.class_names is None else ()):
    if len(one) < 3 or one.std() == 0:
      field = 'labels' if index < len(parts) else 'test_labels'
      expected = 'three targets or more that are not all equal'
      raise ConfigError(field, one[:3].tolist(), expected)
  test_labels = split[len(parts) :] or [np.zeros(0, found.values.dtype)] * len(
    runs
  )
  return found.class_names, split[: len(parts)], test_labels


def _drop_rare(
  names: tuple[str, ...],
  labels: list[np.ndarray],
  tests: list[np.ndarray],
  num_aux: int,
  notes: list[str],
) -> tuple[
  tuple[str, ...],
  list[np.ndarray],
  list[np.ndarray],
  list[np.ndarray],
  list[np.ndarray],
]:
  """Leave out classes that are too few to know some and to score some."""
  sizes = np.stack([np.bincount(x, minlength=len(names)) for x in labels])
  common = sizes.min(axis=0) > num_aux
  if common.sum() < 2:
    raise ConfigError(
      'num_aux',
      num_aux,
      f'fewer than the samples of a class, got classes of {sizes.min()} to '
      f'{sizes.max()}',
    )
  if not common.all():
    rare = [name for name, one in zip(names, common, strict=True) if not one]
    shown = ', '.join(rare[:5]) + (', ...' if len(rare) > 5 else '')
    notes.append(
      f'{len(rare)} classes of at most {num_aux} samples were left out: '
      f'{shown}.'
    )
  number = np.cumsum(common) - 1
  kept = [np.flatnonzero(common[one]) for one in labels]
  test_kept = [np.flatnonzero(common[one]) for one in tests]
  renamed = lambda parts: [number[one].astype(np.int32) for one in parts]
  found = tuple(n for n, one in zip(names, common, strict=True) if one)
  return found, renamed(labels), renamed(tests), kept, test_kept


def _choose(
  runs: Sequence[Run],
  labels: Sequence[np.ndarray],
  kept: list[np.ndarray],
  names: tuple[str, ...] | None,
  num_aux: int,
  options: Options,
  notes: list[str],
) -> list[np.ndarray]:
  """Return the samples that are attacked: as many in every run."""
  fewest = min(map(len, kept))
  most = _most_samples(runs[0], options)
  number = min(fewest, most)
  if all(len(one) == number for one in kept):
    return kept
  least = (num_aux + 1) * len(names or (0,))
  if number < least:
    raise ConfigError(
      'max_numbers',
      options.max_numbers,
      f'enough for {least} samples of {_width(runs[0])} numbers',
    )
  if number < max(map(len, kept)):
    why = 'so that attacks fit into memory (max_numbers)'
    if fewest <= most:
      why = 'as many as the smallest run has'
    notes.append(
      f'{number:,} of {max(map(len, kept)):,} samples were attacked, {why}.'
    )
  chosen = []
  for rows, of_run in zip(kept, labels, strict=True):
    rng = np.random.default_rng((options.seed, 1))
    order = rng.permutation(len(rows))
    if names is not None:  # Some of every class have to stay.
      order = _classes_first(order, of_run[rows], num_aux + 1)
    chosen.append(rows[np.sort(order[:number])])
  return chosen


def _classes_first(
  order: np.ndarray, labels: np.ndarray, each: int
) -> np.ndarray:
  """Move the first samples of each class to the front of an order."""
  ranked = labels[order]
  by_class = np.argsort(ranked, kind='stable')
  starts = np.searchsorted(ranked[by_class], ranked[by_class])
  rank = np.empty(len(order), np.int64)
  rank[by_class] = np.arange(len(order)) - starts
  return order[np.argsort(rank >= each, kind='stable')]


def _draw(
  labels: np.ndarray,
  names: tuple[str, ...] | None,
  num_aux: int,
  options: Options,
  index: int,
  found: Canaries | None,
) -> Auxiliary:
  """Draw the known samples of a run, as rows."""
  classes = np.zeros(len(labels), np.int32) if names is None else labels
  if names is None and not 3 <= num_aux <= len(labels) - 3:
    raise ConfigError('num_aux', num_aux, f'3 to {len(labels) - 3} samples')
  rows = np.arange(len(labels))
  if found is not None:
    rows = np.delete(rows, found.rows[index])
  drawn = sample_auxiliary(
    (options.seed, index),
    rows,
    classes[rows],
    num_classes=1 if names is None else len(names),
    num_per_class=num_aux,
    num_draws=options.num_aux_draws,
  )
  return drawn if names is not None else drawn.replace(labels=labels[drawn.ids])
