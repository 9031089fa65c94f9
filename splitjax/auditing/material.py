"""What is audited: arrays of one or more runs, put into one order of samples.

In shape descriptions `N` is the number of training samples, `M` that of test
samples and `T` that of passes.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import ml_dtypes
import numpy as np

from splitjax.auditing import aligning
from splitjax.auditing import files
from splitjax.auditing import truth
from splitjax.auditing.aligning import Rows
from splitjax.errors import ConfigError

Found = dict[str, Rows]


@dataclasses.dataclass(frozen=True)
class Run:
  """What crossed the cut in one run, or one network.

  Attributes:
    ids: ids of the training samples, `[N]`.
    labels: their labels as given, `[N]`.
    passes: cut gradients of each pass, rows in the order of `ids`.
    steps: step of each sample in each pass, `[T, N]`; zeros if not given.
    arrays: other training arrays by name, in the order of `ids`.
    test_labels: labels of the test samples as given, `[M]`; None without.
    test_arrays: test arrays by name (without `test_`).
    paths: the files that were read.
    notes: what was decided about them, sentences.
  """

  ids: np.ndarray
  labels: np.ndarray
  passes: tuple[Rows, ...]
  steps: np.ndarray
  arrays: Mapping[str, Rows]
  test_labels: np.ndarray | None = None
  test_arrays: Mapping[str, Rows] = dataclasses.field(default_factory=dict)
  paths: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()


def from_arrays(given: Mapping[str, Any]) -> Run:
  """Take a run from arrays or files by name.

  Row `r` of each training array belongs to the sample `sample_ids[r]`, of
  several passes to `sample_ids` of that pass. Label `i` is of the sample with
  the id `i` if all ids are such places, else of row `i`.

  Args:
    given: arrays, paths or patterns by argument.

  Returns:
    The run.

  Raises:
    ConfigError: naming the argument, if something is missing or does not fit.
  """
  given = {name: one for name, one in given.items() if one is not None}
  if 'cut_grads' not in given and 'smashed' not in given:
    raise ConfigError(
      'cut_grads', '', 'cut gradients, smashed data (--smashed) or both'
    )
  if 'labels' not in given:
    raise ConfigError('labels', '', 'the true labels, which score the attack')
  paths: list[str] = []
  labels, read = truth.read('labels', given['labels'])
  paths += read
  ids, shared = _ids_of(given, len(labels), paths)
  notes = []
  by_id = (
    shared is not None and shared.min() >= 0 and (shared.max() < len(labels))
  )
  if shared is not None:
    notes.append(
      'Labels were taken by sample id: label i is of sample i.'
      if by_id
      else 'Labels were taken by row, since ids are no places of labels.'
    )
  order = np.arange(len(labels)) if shared is None else shared
  if not by_id and len(order) != len(labels):
    raise ConfigError(
      'labels', len(labels), f'{len(order)} labels, one for each sample'
    )
  values = labels[order] if by_id else labels
  passes = _passes(given, len(order), paths, several=ids)
  steps = _steps(given, len(order), max(len(passes), 1), paths)
  passes, steps, kept = aligning.align(passes, steps, ids, order)
  if len(kept) < len(order):
    notes.append(
      f'{len(order) - len(kept):,} of {len(order):,} samples are not in every '
      'pass and were left out.'
    )
  arrays = {
    name: Rows(name, _whole(name, given[name], len(order), paths), kept)
    for name in ('smashed', 'untrained_smashed', 'inputs')
    if name in given
  }
  test_labels, test_arrays = _test_part(given, arrays, paths)
  return Run(
    order[kept],
    values[kept],
    passes,
    steps,
    arrays,
    test_labels,
    test_arrays,
    tuple(paths),
    tuple(notes),
  )


def _ids_of(
  given: Mapping[str, Any], num_labels: int, paths: list[str]
) -> tuple[list[np.ndarray] | None, np.ndarray | None]:
  """Return ids of each pass, and those of the rows of all other arrays."""
  if 'sample_ids' not in given:
    return None, None
  arrays, read = files.read('sample_ids', given['sample_ids'])
  paths += read
  found = []
  for one in arrays:
    one = np.asarray(one).reshape(-1)
    if one.dtype.kind not in 'iu':
      raise ConfigError('sample_ids', one.dtype, 'whole numbers')
    if not one.size:
      raise ConfigError('sample_ids', one.shape, 'at least one id')
    found.append(one.astype(np.int64))
  together = np.concatenate(found)
  if len(found) > 1 and len(np.unique(together)) == len(together):
    found = [together]  # Shards of one pass.
  for one in found:
    if len(np.unique(one)) < len(one):
      values, counts = np.unique(one, return_counts=True)
      raise ConfigError(
        'sample_ids',
        f'{values[counts.argmax()]} twice',
        'each sample once in a pass; a file for each pass',
      )
  return found, found[0]


def _passes(
  given: Mapping[str, Any],
  num_rows: int,
  paths: list[str],
  several: Sequence[np.ndarray] | None,
) -> list[np.ndarray]:
  """Return the cut gradients of each pass, from passes or from shards."""
  if 'cut_grads' not in given:
    return []
  arrays = _alike('cut_grads', given['cut_grads'], paths)
  rows = [len(one) for one in arrays]
  if several is not None and len(several) > 1:
    sizes = [len(one) for one in several]
    if len(rows) == len(sizes) and rows != sizes:
      raise ConfigError(
        'sample_ids',
        f'{", ".join(map(str, sizes))} ids',
        f'one for each row of cut_grads, {", ".join(map(str, rows))}',
      )
    return arrays
  if all(one == num_rows for one in rows):
    return arrays
  if sum(rows) == num_rows:
    return [np.concatenate(arrays)]
  raise ConfigError(
    'cut_grads',
    f'{", ".join(map(str, rows))} rows',
    f'{num_rows} rows in each file (passes) or in all together (shards)',
  )


def _steps(
  given: Mapping[str, Any], num_rows: int, num_passes: int, paths: list[str]
) -> list[np.ndarray]:
  """Return the step of each row of each pass."""
  if 'steps' not in given:
    return []
  arrays, read = files.read('steps', given['steps'])
  paths += read
  found = [np.asarray(one).reshape(-1) for one in arrays]
  if len(found) != num_passes and sum(map(len, found)) == num_rows:
    found = [np.concatenate(found)]
  if len(found) != num_passes or any(x.dtype.kind not in 'iu' for x in found):
    raise ConfigError(
      'steps',
      f'{len(found)} arrays of {found[0].dtype}',
      f'whole numbers for each of {num_passes} passes',
    )
  return found


def _whole(
  name: str, source: Any, num_rows: int, paths: list[str]
) -> np.ndarray:
  """Return one array of all rows, perhaps of several shards."""
  arrays = _alike(name, source, paths)
  rows = sum(map(len, arrays))
  if rows != num_rows:
    raise ConfigError(name, f'{rows} rows', f'{num_rows}, one for each label')
  return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _alike(name: str, source: Any, paths: list[str]) -> list[np.ndarray]:
  """Return the arrays of all files, of one width."""
  arrays, read = files.read(name, source)
  paths += read
  arrays = [_two_axes(name, one) for one in arrays]
  if len({one.shape[1:] for one in arrays}) > 1:
    shapes = ', '.join(str(one.shape) for one in arrays)
    raise ConfigError(name, shapes, 'one width in all files')
  return arrays


def _two_axes(name: str, array: np.ndarray) -> np.ndarray:
  """Return an array `[N, ...]` of at least two axes."""
  if array.ndim == 1 and (
    array.dtype.kind in 'fiub' or array.dtype == ml_dtypes.bfloat16
  ):
    array = array[:, None]
  if array.ndim < 2 or 0 in array.shape:
    raise ConfigError(name, array.shape, 'an array [N, ...] of vectors')
  return array


def _test_part(
  given: Mapping[str, Any], arrays: Mapping[str, Rows], paths: list[str]
) -> tuple[np.ndarray | None, Found]:
  """Return labels and arrays of the test part, if there is one."""
  named = [name for name in given if name.startswith('test_')]
  if not named:
    return None, {}
  for name in ('test_smashed', 'test_labels'):
    if name not in given:
      raise ConfigError(name, '', f'it beside {named[0]}')
  labels, read = truth.read('test_labels', given['test_labels'])
  paths += read
  found = {}
  for name in named:
    base = name.removeprefix('test_')
    if base == 'labels':
      continue
    if base not in arrays:
      raise ConfigError(
        base, '', f'it beside {name}: the known samples are of the training'
      )
    array = _whole(name, given[name], len(labels), paths)
    if array.shape[1:] != arrays[base].array.shape[1:]:
      raise ConfigError(
        name, array.shape, f'the width of {base}, {arrays[base].array.shape}'
      )
    found[base] = Rows(name, array, np.arange(len(labels)))
  return labels, found
