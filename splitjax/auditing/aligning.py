"""Rows of arrays, put into one order of samples."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from splitjax.auditing import files
from splitjax.errors import ConfigError
from splitjax.records.viewing import rows_of


@dataclasses.dataclass(frozen=True)
class Rows:
  """Rows of an array, which stay where they are until they are attacked.

  Attributes:
    field: what it was given as, for messages.
    array: the array, perhaps on disk.
    index: row of each sample.
  """

  field: str
  array: np.ndarray
  index: np.ndarray

  @property
  def width(self) -> int:
    """Numbers of a row."""
    return int(np.prod(self.array.shape[1:], dtype=np.int64))

  def vectors(
    self, samples: np.ndarray, largest: float | None = None
  ) -> np.ndarray:
    """Return finite float32 vectors of some samples, `[n, D]`.

    Args:
      samples: which samples.
      largest: largest magnitude of all that is compared with them, so that all
        is scaled alike; that of these samples by default.

    Returns:
      The vectors, as `files.to_rows` gives them.
    """
    return files.to_rows(self.field, self.array, self.index[samples], largest)

  def largest(self, samples: np.ndarray) -> float:
    """Return the largest magnitude in the vectors of some samples."""
    return files.largest_of(self.field, self.array, self.index[samples])


def align(
  passes: Sequence[np.ndarray],
  steps: Sequence[np.ndarray],
  ids: Sequence[np.ndarray] | None,
  order: np.ndarray,
) -> tuple[tuple[Rows, ...], np.ndarray, np.ndarray]:
  """Put all passes into the order of the ids, without what is not in all.

  Args:
    passes: cut gradients of each pass, `[N, ...]` each.
    steps: step of each row of each pass; none if they were not given.
    ids: sample of each row, of each pass or of all; None for one order.
    order: ids of the rows of the first pass, `[N]`.

  Returns:
    The passes, the steps `[T, n]`, and the rows of the first pass that stay,
    by rising id: the order of the rows in files changes nothing.

  Raises:
    ConfigError: if the passes share no sample, or steps are not one a row.
  """
  each = [order] * len(passes) if ids is None or len(ids) == 1 else list(ids)
  if len(each) != len(passes):
    expected = f'one for each of {len(passes)} passes of cut_grads, or one'
    raise ConfigError('sample_ids', f'{len(each)} files', expected)
  kept = np.argsort(order, kind='stable')
  for one in each[1:]:
    kept = kept[np.isin(order[kept], one)]
  if not len(kept):
    raise ConfigError('sample_ids', '', 'samples that are in every pass')
  rows = [rows_of(order[kept], one)[0] for one in each]
  for index, one in enumerate(steps):
    if len(one) != len(each[index] if each else order):
      raise ConfigError(
        'steps', f'{len(one)} steps', f'{len(each[index])}, one for each row'
      )
  at = [one[r] for one, r in zip(steps, rows, strict=False)]
  shape = (max(len(passes), 1), len(kept))
  numbered = np.stack(at) if at else np.zeros(shape, np.int32)
  _, numbered = np.unique(numbered, return_inverse=True)
  found = tuple(
    Rows('cut_grads', one, r) for one, r in zip(passes, rows, strict=True)
  )
  return found, numbered.reshape(shape).astype(np.int32), kept
