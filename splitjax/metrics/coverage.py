"""The share of samples that an attack reads with high precision.

An attack that is right on average little more often than chance may still give
away one sample in ten for certain.
"""

import numpy as np


def coverage_at(
  confidence: np.ndarray,
  right: np.ndarray,
  scored: np.ndarray | None = None,
  *,
  precision: float = 0.99,
) -> np.ndarray:
  """Return the largest share of samples, most confident first, that is right.

  The threshold is chosen with the truth: it is a property of the ranking, and
  an upper bound of what an attacker without labels would choose. Samples of
  equal confidence are taken together or not at all.

  Args:
    confidence: how sure the attack is of each sample, `[..., N]`; NaN is least
      sure.
    right: whether it is right, of a shape that broadcasts with `confidence`.
    scored: mask of the samples that count, in the same way; all by default.
    precision: which part of the samples taken must be right, in `(0, 1]`.

  Returns:
    Shares of the scored samples in `[0, 1]`, `[...]`.

  Raises:
    ValueError: if `precision` is not in `(0, 1]`.

  Example:
    >>> confidence = np.array([0.9, 0.8, 0.7, 0.1])
    >>> right = np.array([True, True, False, True])
    >>> float(coverage_at(confidence, right))
    0.5
  """
  if not 0 < precision <= 1:
    raise ValueError(f'precision must lie in (0, 1], got {precision}.')
  confidence = np.asarray(confidence, dtype=np.float64)
  shape = confidence.shape
  scored = np.broadcast_to(True if scored is None else scored, shape)
  # Samples that do not count come last, and add nothing.
  unsure = np.where(np.isnan(confidence), np.inf, -confidence)
  order = np.argsort(unsure, axis=-1, kind='stable')
  unsure, scored, right = (
    np.take_along_axis(x, order, -1)
    for x in (unsure, scored, np.broadcast_to(right, shape))
  )
  taken = np.cumsum(scored, axis=-1)
  hits = np.cumsum(scored & right, axis=-1)
  last = np.ones(shape, bool)
  last[..., :-1] = unsure[..., 1:] != unsure[..., :-1]
  # Rounding must not turn 99 of 100 down.
  precise = last & (hits >= precision * taken - 1e-9)
  return np.where(precise, taken, 0).max(-1) / np.maximum(taken[..., -1], 1)
