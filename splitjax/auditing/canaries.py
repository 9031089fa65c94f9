"""Canaries of an audit: samples whose label a coin chose before the training.

In shape descriptions `S` is the number of runs and `M` that of canaries.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from splitjax.auditing import files
from splitjax.auditing.material import Run
from splitjax.engine import guessing
from splitjax.engine.trials import Asked
from splitjax.engine.trials import Predictions
from splitjax.errors import ConfigError
from splitjax.metrics import Guessed
from splitjax.records.viewing import rows_of

_FIELD = 'canaries'
_FEWEST = 8


class Given(NamedTuple):
  """Canaries as they were given.

  Attributes:
    ids: ids of the samples, `[M]`.
    candidates: two labels of each, as the labels are given, `[M, 2]`.
    paths: the files that were read.
  """

  ids: np.ndarray
  candidates: np.ndarray
  paths: tuple[str, ...] = ()


class Canaries(NamedTuple):
  """Canaries in the samples that are attacked.

  Attributes:
    rows: their rows, `[S, M]`.
    candidates: two classes of each, `[S, M, 2]`.
    coins: which of them is the label, `[S, M]`.
  """

  rows: np.ndarray
  candidates: np.ndarray
  coins: np.ndarray

  @property
  def asked(self) -> Asked:
    """What an attacker is asked: all but the coins."""
    return Asked(self.rows.astype(np.int32), self.candidates.astype(np.int32))

  def judge(self, found: Predictions) -> Guessed:
    """Compare what an attack answered with the coins."""
    return guessing.judge(found, self.asked, self.coins)


def read(source: Any) -> Given | None:
  """Read canaries, a row each: a sample's id and two labels.

  Args:
    source: an array `[M, 3]` of numbers or of text, or a file of it.

  Returns:
    The canaries; None if nothing is given.

  Raises:
    ConfigError: if they are none.
  """
  if source is None:
    return None
  arrays, paths = files.read(_FIELD, source)
  whole = np.concatenate(arrays) if len(arrays) > 1 else np.asarray(arrays[0])
  if whole.ndim != 2 or whole.shape[1] != 3 or len(whole) < _FEWEST:
    expected = f'{_FEWEST} rows or more of a sample id and two labels, [M, 3]'
    raise ConfigError(_FIELD, whole.shape, expected)
  if whole.dtype.kind == 'S':
    whole = np.char.decode(whole, 'utf-8')
  ids = _ids(whole)
  if len(np.unique(ids)) < len(ids):
    raise ConfigError(_FIELD, f'{len(ids)} ids', 'each sample once')
  candidates = whole[:, 1:]
  same = candidates[:, 0] == candidates[:, 1]
  if same.any():
    shown = whole[same][0].tolist()
    raise ConfigError(_FIELD, shown, 'two different labels of each sample')
  return Given(ids, candidates, tuple(paths))


def _ids(whole: np.ndarray) -> np.ndarray:
  """Return the ids of rows, `[M]`."""
  expected = 'an id, a whole number, first'
  try:
    ids = whole[:, 0].astype(np.int64)
  except (TypeError, ValueError) as error:
    raise ConfigError(_FIELD, whole[0].tolist(), expected) from error
  if whole.dtype.kind != 'U' and (ids != whole[:, 0]).any():
    raise ConfigError(_FIELD, whole[0].tolist(), expected)
  return ids


def place(
  given: Given | None,
  runs: Sequence[Run],
  kept: Sequence[np.ndarray],
  labels: Sequence[np.ndarray],
  num_aux: int,
  notes: list[str],
) -> Canaries | None:
  """Find canaries among the samples that are attacked.

  Args:
    given: the canaries, if there are any.
    runs: what was given of each run.
    kept: rows of a run's samples that are attacked, `[N]` each.
    labels: their classes, `[N]` each.
    num_aux: samples of each class that the attacker knows.
    notes: gets a sentence if some are not attacked.

  Returns:
    The canaries whose samples and candidates are attacked in every run.

  Raises:
    ConfigError: if their labels are not what they should be.
  """
  if given is None:
    return None
  if labels[0].dtype.kind == 'f':
    raise ConfigError(_FIELD, len(given.ids), 'none where targets are real')
  placed = [
    _place(given, run, rows, one)
    for run, rows, one in zip(runs, kept, labels, strict=True)
  ]
  common = np.all([known for _, _, known in placed], axis=0)
  if common.sum() < _FEWEST:
    expected = f'{_FEWEST} or more in the samples that are attacked'
    raise ConfigError(_FIELD, int(common.sum()), expected)
  rows, candidates = (
    np.stack([x[index][common] for x in placed]) for index in (0, 1)
  )
  used = np.stack([x[r] for x, r in zip(labels, rows, strict=True)])
  found = Canaries(rows, candidates, (candidates[..., 1] == used).astype(int))
  _check(found, labels, num_aux)
  if not common.all():
    number = f'{common.sum():,} of {len(common):,}'
    notes.append(f'{number} canaries are in what was attacked.')
  return found


def _place(
  given: Given, run: Run, kept: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Return rows `[M]`, classes `[M, 2]`, and which are attacked `[M]`."""
  where, present = rows_of(given.ids, run.ids)
  if not present.all():
    missing = given.ids[~present][0]
    raise ConfigError(_FIELD, f'sample {missing}', 'samples that have a label')
  every = _classes(given.candidates, run.labels)
  wrong = ~(every == run.labels[where][:, None]).any(axis=1)
  if wrong.any():
    one = int(np.argmax(wrong))
    raise ConfigError(
      _FIELD,
      f'sample {given.ids[one]}: {", ".join(map(str, every[one]))}',
      f'its label, {run.labels[where][one]}, among its candidates',
    )
  known, first = np.unique(run.labels[kept], return_index=True)
  at = np.minimum(np.searchsorted(known, every), len(known) - 1)
  rows, attacked = rows_of(given.ids, run.ids[kept])
  return rows, labels[first][at], attacked & (known[at] == every).all(axis=1)


def _classes(candidates: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Return candidates in the type of the labels, which must have them all."""
  known = np.unique(labels)
  try:
    found = candidates.astype(known.dtype)
    lost = found.astype(candidates.dtype) != candidates
  except (TypeError, ValueError):
    found, lost = candidates, np.ones(candidates.shape, bool)
  lost |= ~np.isin(found, known)
  if lost.any():
    raise ConfigError(_FIELD, candidates[lost][0].item(), 'labels that occur')
  return found


def _check(found: Canaries, labels: Sequence[np.ndarray], num_aux: int) -> None:
  """Raise `ConfigError` if too few others are left, or runs share coins."""
  for rows, one in zip(found.rows, labels, strict=True):
    left = np.bincount(np.delete(one, rows), minlength=int(one.max()) + 1)
    if left.min() <= num_aux:
      expected = f'few enough that {num_aux + 1} others of each class are left'
      raise ConfigError(_FIELD, found.rows.shape[1], expected)
  if len(np.unique(found.coins, axis=0)) < len(found.coins):
    expected = 'coins that are flipped anew for each run'
    raise ConfigError(_FIELD, 'equal labels in two runs', expected)
