"""Runs from record folders: cut records, and those of `save_record`."""

from collections.abc import Mapping
import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from splitjax.auditing import material
from splitjax.auditing.material import Run
from splitjax.errors import ConfigError
from splitjax.records import cut_record
from splitjax.records import recording
from splitjax.records.cut_record import Pass
from splitjax.records.viewing import rows_of

_BESIDE = ('smashed', 'untrained_smashed', 'inputs')


def from_folder(folder: str | os.PathLike, given: Mapping[str, Any]) -> Run:
  """Take a run from a record folder.

  Args:
    folder: a cut record (`docs/records.md`), or a folder of `save_record`.
    given: arrays by argument that the record does not hold, such as `labels`.

  Returns:
    The run.

  Raises:
    ConfigError: if it is no record, or holds no labels and none are given.
  """
  if not isinstance(folder, str | os.PathLike):
    raise ConfigError('record', folder, 'the name of a folder')
  path = pathlib.Path(folder)
  if not path.is_dir():
    raise ConfigError('record', folder, 'a folder with a record')
  try:
    if (path / 'record.json').exists():
      arrays = _of_cut_record(path, given)
    elif (path / 'metadata.json').exists():
      record = recording.load_record(path)
      arrays = {
        record.intermediate: record.vectors,
        'sample_ids': record.sample_ids,
        'steps': record.steps,
      }
    else:
      expected = 'a folder with record.json or metadata.json'
      raise ConfigError('record', folder, expected)
  except (ValueError, OSError) as error:
    if isinstance(error, ConfigError):
      raise
    raise ConfigError('record', folder, f'a whole record: {error}') from error
  given = {k: v for k, v in given.items() if v is not None}
  both = {k for k in given if k in arrays}
  if both - {'labels', 'test_labels'}:
    name = sorted(both)[0]
    raise ConfigError(name, given[name], f'none beside record={folder}')
  arrays |= given
  if 'labels' not in arrays:
    raise ConfigError(
      'labels', '', f'the true labels: the record {folder} holds none'
    )
  run = material.from_arrays(arrays)
  return dataclasses.replace(run, paths=(*run.paths, str(folder)))


def _of_cut_record(
  path: pathlib.Path, given: Mapping[str, Any]
) -> dict[str, Any]:
  """Return the arrays of a cut record by argument, beside those given."""
  record = cut_record.read_cut_record(path)
  if not record.passes:
    raise ValueError('it must hold a pass of the training')
  arrays: dict[str, Any] = {}
  passes = [one for one in record.passes if one.cut_grads is not None]
  if passes:
    arrays['cut_grads'] = [np.asanyarray(one.cut_grads) for one in passes]
    arrays['sample_ids'] = [one.sample_ids for one in passes]
    if all(one.steps is not None for one in passes):
      arrays['steps'] = [np.asarray(one.steps) for one in passes]
  else:
    arrays['sample_ids'] = [record.passes[0].sample_ids]
  ids = arrays['sample_ids'][0]
  for name in (*_BESIDE, 'labels'):
    # What the client makes of the data changes: the last pass is the latest.
    step = -1 if name == 'smashed' else 1
    for one in record.passes[::step]:
      found = _in_order(one, name, ids)
      if found is not None:
        arrays[name] = found
        break
  if 'labels' in arrays and given.get('labels') is None:
    # Whatever the ids are: without this they might be no places of labels.
    # Labels that are given go by the ids of the record.
    arrays |= _by_place(arrays)
  if record.inference is not None:
    for name in (*_BESIDE, 'labels'):
      value = getattr(record.inference, name)
      if value is not None and (name == 'labels' or name in arrays):
        arrays[f'test_{name}'] = value
    labelled = 'test_labels' in arrays or given.get('test_labels') is not None
    if 'test_smashed' not in arrays or not labelled:
      arrays = {k: v for k, v in arrays.items() if not k.startswith('test_')}
  return arrays


def _in_order(one: Pass, name: str, ids: np.ndarray) -> np.ndarray | None:
  """Return an array of a pass in the order of some ids, None without."""
  value = getattr(one, name)
  if value is None:
    return None
  if np.array_equal(one.sample_ids, ids):
    return value
  rows, found = rows_of(ids, one.sample_ids)
  return value[rows] if found.all() else None


def _by_place(arrays: Mapping[str, Any]) -> dict[str, Any]:
  """Return ids numbered in rising order, and labels in the order of these."""
  first = arrays['sample_ids'][0]
  order = np.argsort(first)
  number = {int(one): place for place, one in enumerate(first[order])}
  others = iter(range(len(first), 1 << 62))
  ids = []
  for one in arrays['sample_ids']:
    places = [number[x] if x in number else next(others) for x in one.tolist()]
    ids.append(np.array(places))
  return {'sample_ids': ids, 'labels': np.asarray(arrays['labels'])[order]}
