"""Reading of cut records, which `cut_writer` or anyone else has written.

The format is described in `docs/records.md`.
"""

from collections.abc import Mapping
import dataclasses
import functools
import os
import pathlib
from typing import Any

import numpy as np

from splitjax import files
from splitjax.records import cut_format

Files = Mapping[str, tuple[pathlib.Path, ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class Pass:
  """What crossed the cut in one pass over samples, or in an evaluation.

  An array is read when it is first asked for. Of a pass in one shard it is
  memory-mapped, of several it is in memory. What was not recorded is None.

  Attributes:
    files: files of the shards by name of the array, in order.
  """

  files: Files

  @functools.cached_property
  def sample_ids(self) -> np.ndarray:
    """Ids of the samples, distinct, int64 `[N]`."""
    shards = [_load(path) for path in self.files[cut_format.SAMPLE_IDS]]
    return np.concatenate([np.array(x).astype(np.int64) for x in shards])

  @functools.cached_property
  def cut_grads(self) -> np.ndarray | None:
    """Gradients at the cut, as received, `[N, ...]`."""
    return self._read('cut_grads')

  @functools.cached_property
  def smashed(self) -> np.ndarray | None:
    """The cut layer's output, as sent, `[N, ...]`."""
    return self._read('smashed')

  @functools.cached_property
  def untrained_smashed(self) -> np.ndarray | None:
    """Output of the client before it was trained, `[N, ...]`."""
    return self._read('untrained_smashed')

  @functools.cached_property
  def inputs(self) -> np.ndarray | None:
    """Inputs of the client, `[N, ...]`."""
    return self._read(cut_format.INPUTS)

  @functools.cached_property
  def steps(self) -> np.ndarray | None:
    """Step at which each row crossed, integers `[N]`."""
    return self._in_memory(cut_format.STEPS)

  @functools.cached_property
  def labels(self) -> np.ndarray | None:
    """The truth, only for scoring: integers, real numbers or strings `[N]`."""
    return self._in_memory(cut_format.LABELS)

  def __len__(self) -> int:
    return len(self.sample_ids)

  def _in_memory(self, name: str) -> np.ndarray | None:
    """Read a small array, so that its file does not stay open."""
    value = self._read(name)
    return None if value is None else np.array(value)

  def _read(self, name: str) -> np.ndarray | None:
    """Read an array of all shards, in the byte order of this machine."""
    if name not in self.files:
      return None
    shards = [_load(path) for path in self.files[name]]
    dtype = np.result_type(*(shard.dtype for shard in shards))
    if len(shards) == 1 and dtype == shards[0].dtype:
      return shards[0]
    return np.concatenate(shards, dtype=dtype)


@dataclasses.dataclass(frozen=True, eq=False)
class CutRecord:
  """What crossed one cut.

  Attributes:
    passes: the passes over the training samples, in order.
    inference: the evaluation of the trained model, if it was recorded. Its ids
      are apart from those of the training.
    metadata: JSON values by name.
  """

  passes: tuple[Pass, ...]
  inference: Pass | None
  metadata: Mapping[str, Any]


def read_cut_record(folder: str | os.PathLike) -> CutRecord:
  """Read a cut record; arrays stay on disk until they are asked for.

  A shard without `sample_ids`, as a killed writer leaves it, does not count,
  and neither does a pass without any whole shard.

  Args:
    folder: folder of the record.

  Returns:
    The record, checked: types, widths, distinct ids, finite numbers.

  Raises:
    FileNotFoundError: if there is no such folder.
    ValueError: in one line, if the folder holds no cut record or a broken one.

  Example:
    >>> import json, tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...   folder = pathlib.Path(name)
    ...   _ = (folder / 'record.json').write_text(
    ...     json.dumps({'format': 'splitjax cut record', 'version': 1})
    ...   )
    ...   one = folder / 'training' / 'pass-0001'
    ...   one.mkdir(parents=True)
    ...   np.save(one / 'cut_grads-000000.npy', np.ones((2, 3), np.float32))
    ...   np.save(one / 'sample_ids-000000.npy', np.array([7, 4]))
    ...   record = read_cut_record(folder)
    ...   record.passes[0].cut_grads.shape, record.passes[0].labels
    ((2, 3), None)
  """
  root = pathlib.Path(folder)
  if not root.is_dir():
    raise FileNotFoundError(f'folder must be a cut record, got none at {root}.')
  try:
    text = (root / cut_format.MANIFEST).read_text()
    metadata = cut_format.parse_manifest(text)
  except (OSError, RecursionError, ValueError) as error:
    raise _broken(root / cut_format.MANIFEST, error) from error
  kinds: dict[str, str] = {}
  passes = [_read_pass(x, kinds) for x in _pass_folders(root)]
  whole = tuple(x for x in passes if x is not None)
  inference = None
  if (root / cut_format.INFERENCE).is_dir():
    inference = _read_pass(root / cut_format.INFERENCE, kinds)
  if not whole and inference is None:
    raise ValueError(
      f'{root}: a cut record must hold a whole shard, got none (a shard counts '
      'if its sample_ids-NUMBER.npy is there).'
    )
  _check_truth(root, whole)
  return CutRecord(whole, inference, metadata)


def _broken(path: pathlib.Path, error: Exception) -> ValueError:
  """Return the error that a part of a record cannot be read, in one line."""
  return ValueError(' '.join(f'{path}: {error}'.split()))


def _load(path: pathlib.Path) -> np.ndarray:
  """Memory-map an array, or raise ValueError."""
  try:
    return files.open_array(path)
  except OSError as error:
    raise _broken(path, error) from error


def _visible(folder: pathlib.Path) -> list[pathlib.Path]:
  """List a folder, without what a killed writer was writing."""
  return sorted(x for x in folder.iterdir() if not x.name.startswith('.'))


def _pass_folders(root: pathlib.Path) -> list[pathlib.Path]:
  """Return the folders of the passes, in order, or raise ValueError."""
  folder = root / cut_format.TRAINING
  if not folder.is_dir():
    return []
  numbers = {x: cut_format.parse_pass(x.name) for x in _visible(folder)}
  for path, number in numbers.items():
    if number is None:
      raise ValueError(f'{path}: must be a folder named pass-0001 or later.')
  return sorted(numbers, key=lambda x: numbers[x] or 0)


def _shards(folder: pathlib.Path) -> list[dict[str, pathlib.Path]]:
  """Return the files of each whole shard by name, or raise ValueError."""
  shards: dict[int, dict[str, pathlib.Path]] = {}
  for path in _visible(folder):
    found = cut_format.parse_shard(path.name)
    if found:
      shards.setdefault(found[1], {})[found[0]] = path
    elif path.suffix == '.npy':
      raise ValueError(
        f'{path}: must be named NAME-000000.npy, with one of '
        f'{", ".join(cut_format.NAMES)}.'
      )
  ordered = [shards[number] for number in sorted(shards)]
  return [x for x in ordered if cut_format.SAMPLE_IDS in x]


def _read_pass(folder: pathlib.Path, kinds: dict[str, str]) -> Pass | None:
  """Read and check a pass; None if there is no whole shard in it.

  Args:
    folder: folder of the pass.
    kinds: widths and kinds by name of what was read so far; it is updated.
  """
  shards = _shards(folder)
  if not shards:
    return None
  ids = []
  for shard in shards:
    arrays = {name: _load(path) for name, path in shard.items()}
    try:
      cut_format.check_arrays(arrays)
      cut_format.check_kinds(kinds, arrays)
      cut_format.check_names(shards[0], arrays)
      if folder.name == cut_format.INFERENCE:
        cut_format.check_names({x: x for x in _allowed(arrays)}, arrays)
    except ValueError as error:
      raise _broken(shard[cut_format.SAMPLE_IDS], error) from error
    kinds.update(cut_format.kinds_of(arrays))
    ids.append(np.array(arrays[cut_format.SAMPLE_IDS]).astype(np.int64))
  values, counts = np.unique(np.concatenate(ids), return_counts=True)
  if counts.max() > 1:
    raise ValueError(
      f'{folder}: sample_ids must be distinct within a pass, got '
      f'{values[counts.argmax()]} twice.'
    )
  return Pass({n: tuple(x[n] for x in shards) for n in shards[0]})


def _allowed(arrays: Mapping[str, Any]) -> list[str]:
  """Return the names that may stand in an evaluation."""
  return [name for name in arrays if name not in cut_format.ONLY_TRAINING]


def _check_truth(root: pathlib.Path, passes: tuple[Pass, ...]) -> None:
  """Raise ValueError if a sample has different labels in different passes."""
  labelled = [x for x in passes if x.labels is not None]
  for first, later in zip(labelled, labelled[1:], strict=False):
    _, rows, others = np.intersect1d(
      first.sample_ids, later.sample_ids, return_indices=True
    )
    before = np.asarray(first.labels)[rows]
    after = np.asarray(later.labels)[others]
    differs = before != after
    if differs.any():
      at = int(differs.argmax())
      raise ValueError(
        f'{root}: labels of sample {first.sample_ids[rows[at]]} must be the '
        f'same in every pass, got {before[at]} and {after[at]}.'
      )
