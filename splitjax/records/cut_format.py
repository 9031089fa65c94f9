"""The cut record, version 1: names of its files, and what they may hold.

  FOLDER/
    record.json
    training/pass-0001/NAME-000000.npy
    training/pass-0002/...
    inference/NAME-000000.npy

`docs/records.md` describes it for those who write one by themselves. Here are
the names and the checks that writer and reader share.
"""

from collections.abc import Mapping
import json
import re
from typing import Any

import numpy as np

from splitjax.records.intermediates import Name

FORMAT = 'splitjax cut record'
VERSION = 1
MANIFEST = 'record.json'
TRAINING = 'training'
INFERENCE = 'inference'

INPUTS = 'inputs'
STEPS = 'steps'
LABELS = 'labels'
SAMPLE_IDS = 'sample_ids'
VECTORS = (
  Name.CUT_GRADS.value,
  Name.SMASHED.value,
  Name.UNTRAINED_SMASHED.value,
  INPUTS,
)
# In the order of writing: a shard counts once its ids are there.
NAMES = (*VECTORS, STEPS, LABELS, SAMPLE_IDS)
ONLY_TRAINING = (Name.CUT_GRADS.value, STEPS)

_SHARD = re.compile(rf'({"|".join(NAMES)})-(\d{{6,}})\.npy')
_PASS = re.compile(r'pass-(\d{4,})')
_LABEL_KINDS = {
  'i': 'integers',
  'u': 'integers',
  'f': 'real numbers',
  'U': 'strings',
  'S': 'byte strings',
}
_ROWS_AT_ONCE = 4096


def pass_name(number: int) -> str:
  """Return the name of a pass's folder; passes are counted from 1."""
  return f'pass-{number:04d}'


def parse_pass(folder_name: str) -> int | None:
  """Return the number of the pass in a folder, None if it is another's name."""
  found = _PASS.fullmatch(folder_name)
  return int(found[1]) if found else None


def shard_name(name: str, number: int) -> str:
  """Return the name of the file with an array of a shard."""
  return f'{name}-{number:06d}.npy'


def parse_shard(file_name: str) -> tuple[str, int] | None:
  """Return name and shard number of a file, None if it is another's name.

  Args:
    file_name: name of a file, without its folder.

  Returns:
    The array's name and the number of its shard, or None.

  Example:
    >>> parse_shard('smashed-000012.npy'), parse_shard('notes-000012.npy')
    (('smashed', 12), None)
  """
  found = _SHARD.fullmatch(file_name)
  return (found[1], int(found[2])) if found else None


def manifest_text(metadata: Mapping[str, Any] | None) -> str:
  """Return the text of `record.json`.

  Args:
    metadata: JSON values by name, or None.

  Returns:
    The text.

  Raises:
    ValueError: if a value cannot be written as JSON.

  Example:
    >>> json.loads(manifest_text({'cut': 2}))['metadata']
    {'cut': 2}
  """
  content = {
    'format': FORMAT,
    'version': VERSION,
    'metadata': dict(metadata or {}),
  }
  try:
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + '\n'
  except (TypeError, ValueError) as error:
    raise ValueError(f'metadata must be JSON values, got {error}.') from error


def parse_manifest(text: str) -> dict[str, Any]:
  """Return the metadata that stand in `record.json`.

  Args:
    text: text of the file.

  Returns:
    The metadata.

  Raises:
    ValueError: if it is the text of something else.

  Example:
    >>> parse_manifest('{"format": "another"}')
    Traceback (most recent call last):
    ValueError: format must be 'splitjax cut record', got 'another'.
  """
  content = json.loads(text)
  if not isinstance(content, dict):
    raise ValueError(f'content must be an object, got {text[:20]!r}.')
  for name, expected in (('format', FORMAT), ('version', VERSION)):
    if content.get(name) != expected:
      raise ValueError(
        f'{name} must be {expected!r}, got {content.get(name)!r}.'
      )
  metadata = content.get('metadata', {})
  if not isinstance(metadata, dict):
    raise ValueError(f'metadata must be an object, got {metadata!r}.')
  return metadata


def check_arrays(arrays: Mapping[str, np.ndarray]) -> None:
  """Check the arrays of a batch or of a shard.

  Args:
    arrays: arrays by name, with `sample_ids`; they may be memory-mapped.

  Raises:
    ValueError: naming the array that cannot stand in a record, and the sample
      whose numbers are not finite.

  Example:
    >>> check_arrays({
    ...   'sample_ids': np.array([7, 9]), 'smashed': np.array([[1.0], [np.nan]])
    ... })
    Traceback (most recent call last):
    ValueError: smashed must be finite, got a NaN or an infinity for sample 9.
  """
  ids = arrays[SAMPLE_IDS]
  _check_integers(SAMPLE_IDS, ids)
  if not len(ids):
    raise ValueError('sample_ids must hold at least one id, got none.')
  for name, array in arrays.items():
    if array.ndim < 1 or len(array) != len(ids):
      raise ValueError(
        f'{name} must have {len(ids)} rows, one for each of sample_ids, got '
        f'shape {array.shape}.'
      )
  for name, array in arrays.items():
    if name in VECTORS:
      _check_vectors(name, array, ids)
    elif name == LABELS:
      _check_labels(array, ids)
    else:
      _check_integers(name, array)
  if not set(VECTORS) & arrays.keys():
    raise ValueError(f'one of {", ".join(VECTORS)} must be given, got none.')


def _check_integers(name: str, array: np.ndarray) -> None:
  """Raise ValueError for what is no row of integers."""
  if array.ndim != 1 or array.dtype.kind not in 'iu':
    raise ValueError(
      f'{name} must be integers of shape [n], got {array.dtype} of shape '
      f'{array.shape}.'
    )
  if array.dtype.kind == 'u' and (array > np.iinfo(np.int64).max).any():
    raise ValueError(f'{name} must be less than 2**63, got {array.max()}.')


def _check_vectors(name: str, array: np.ndarray, ids: np.ndarray) -> None:
  """Raise ValueError for what are no finite vectors of a floating type."""
  if array.dtype.kind != 'f' or array.dtype.itemsize > 8:
    raise ValueError(
      f'{name} must be float16, float32 or float64, got {array.dtype}.'
    )
  if array.ndim < 2 or 0 in array.shape:
    raise ValueError(f'{name} must have shape [n, ...], got {array.shape}.')
  _check_finite(name, array, ids)


def _check_labels(array: np.ndarray, ids: np.ndarray) -> None:
  """Raise ValueError for what are no labels."""
  if array.ndim != 1 or array.dtype.kind not in _LABEL_KINDS:
    raise ValueError(
      'labels must be integers, real numbers or strings of shape [n], got '
      f'{array.dtype} of shape {array.shape}.'
    )
  if array.dtype.kind == 'f':
    _check_finite(LABELS, array, ids)


def _check_finite(name: str, array: np.ndarray, ids: np.ndarray) -> None:
  """Raise ValueError with the first sample that holds a NaN or an infinity."""
  for start in range(0, len(array), _ROWS_AT_ONCE):
    chunk = np.asarray(array[start : start + _ROWS_AT_ONCE])
    finite = np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
    if not finite.all():
      raise ValueError(
        f'{name} must be finite, got a NaN or an infinity for sample '
        f'{ids[start + int(np.argmin(finite))]}.'
      )


def kinds_of(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
  """Return what must stay the same in a record: widths, and kind of labels.

  Args:
    arrays: arrays that `check_arrays` found good.

  Returns:
    Words for messages, by name of the array.

  Example:
    >>> kinds_of({'smashed': np.ones((2, 3, 4)), 'labels': np.array(['a'])})
    {'smashed': '[n, 3, 4]', 'labels': 'strings'}
  """
  return {
    name: _LABEL_KINDS[array.dtype.kind]
    if name == LABELS
    else f'[{", ".join(["n", *map(str, array.shape[1:])])}]'
    for name, array in arrays.items()
  }


def check_kinds(expected: Mapping[str, str], arrays: Mapping[str, Any]) -> None:
  """Check that widths and kinds are those of what was recorded before.

  Args:
    expected: from `kinds_of`; names that are not in it are not checked.
    arrays: arrays that `check_arrays` found good.

  Raises:
    ValueError: naming the array that differs.
  """
  for name, kind in kinds_of(arrays).items():
    before = expected.get(name, kind)
    if kind != before:
      raise ValueError(f'{name} must be {before} as before, got {kind}.')


def check_names(expected: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
  """Check that the names are those of the first batch or shard of the pass.

  Args:
    expected: what the first one had, by name.
    arrays: what this one has, by name.

  Raises:
    ValueError: naming what is missing or new.
  """
  for name in NAMES:
    if (name in expected) != (name in arrays):
      words = ('must be', 'none') if name in expected else ('cannot be', 'it')
      raise ValueError(
        f'{name} {words[0]} given as in the first rows of the pass, got '
        f'{words[1]}.'
      )
