"""Measures the epsilon of labels by canaries of a single run.

Of each canary there are two candidate labels, and a coin that was flipped
before the training says which of them is trained on. An attacker is shown both,
and guesses. No mechanism of a small epsilon lets it guess right often.
"""

import numpy as np
import scipy

_NUM_HALVINGS = 50
_LARGEST = 50.0


def epsilon_lower(
  num_right: np.ndarray | int,
  num_guesses: np.ndarray | int,
  *,
  confidence: float = 0.95,
  num_tried: int = 1,
  delta: float = 0.0,
  num_canaries: np.ndarray | int | None = None,
) -> np.ndarray:
  """Return the epsilon that guesses of canaries show a run to exceed.

  From Steinke, Nasr and Jagielski (2023, https://arxiv.org/abs/2305.08846):
  under epsilon, the right ones of some guesses are no more than as many coins
  show heads that do so with probability `1 / (1 + e^-epsilon)`; a delta adds to
  the probability of that.

  Args:
    num_right: right guesses, of any shape.
    num_guesses: guesses made, at least `num_right`. An attacker may abstain,
      if it does so without the truth.
    confidence: probability that the bound is no larger than epsilon, in (0, 1).
    num_tried: attacks of which the one with the largest bound is taken; each is
      tested at that share of the error (Bonferroni).
    delta: the delta at which epsilon is measured, in [0, 1]. The bound is of a
      promise with this delta or a smaller one.
    num_canaries: all canaries, with those that no guess was made of; as many as
      guesses by default. Of use with a delta only.

  Returns:
    The largest epsilon that is rejected, 0 if none is. It is limited by the
    number of canaries: even if all guesses are right, it stays finite.

  Raises:
    ValueError: if an argument is out of range.

  Example:
    >>> print(epsilon_lower(100, 100).round(2), epsilon_lower(50, 100))
    3.49 0.0
    >>> print(epsilon_lower(100, 100, delta=1e-3).round(2))
    3.2
  """
  if not 0 < confidence < 1:
    raise ValueError(f'confidence must be in (0, 1), got {confidence}.')
  if num_tried < 1:
    raise ValueError(f'num_tried must be at least 1, got {num_tried}.')
  if not 0 <= delta <= 1:
    raise ValueError(f'delta must be in [0, 1], got {delta}.')
  right, guesses, canaries = np.broadcast_arrays(
    num_right,
    num_guesses,
    num_guesses if num_canaries is None else num_canaries,
  )
  _check_counts(right, guesses, canaries)
  error = (1 - confidence) / num_tried

  def rejected(epsilon: np.ndarray) -> np.ndarray:
    chance = 1 / (1 + np.exp(-epsilon))
    found = _at_least(right, guesses, chance)
    if delta:
      steepness = _steepness(right, guesses, chance)
      found = found + 2 * canaries * delta * steepness
    return found <= error

  low = np.zeros(right.shape)
  high = np.full(right.shape, _LARGEST)
  for _ in range(_NUM_HALVINGS):
    middle = (low + high) / 2
    below = rejected(middle)
    low, high = np.where(below, middle, low), np.where(below, high, middle)
  return np.where(rejected(np.zeros(right.shape)), low, 0.0)


def _check_counts(
  right: np.ndarray, guesses: np.ndarray, canaries: np.ndarray
) -> None:
  """Raise ValueError if there are more of a part than of the whole."""
  if (right < 0).any() or (right > guesses).any():
    raise ValueError(
      f'num_right must be in [0, num_guesses], got {right} of {guesses}.'
    )
  if (canaries < guesses).any():
    raise ValueError(
      f'num_canaries must be at least num_guesses, got {canaries} and '
      f'{guesses}.'
    )


def _at_least(
  right: np.ndarray, guesses: np.ndarray, chance: np.ndarray
) -> np.ndarray:
  """Return the probability that so many of some coins show heads."""
  some = right > 0
  left = np.where(some, guesses - right + 1, 1)
  return np.where(
    some, scipy.special.betainc(np.where(some, right, 1), left, chance), 1.0
  )


def _steepness(
  right: np.ndarray, guesses: np.ndarray, chance: np.ndarray
) -> np.ndarray:
  """Return the most that guesses given away gain, for each of them.

  That is the largest mean, over `i`, of the probabilities of `right - i` to
  `right - 1` heads. As these rise to one peak and fall, the mean grows with `i`
  up to one place.
  """
  whole = _at_least(right, guesses, chance)

  def mean(number: np.ndarray) -> np.ndarray:
    return (_at_least(right - number, guesses, chance) - whole) / number

  low, high = np.ones(right.shape), np.maximum(right, 1).astype(np.float64)
  while (high > low).any():
    middle = np.ceil((low + high) / 2)  # At least 2 where there is a choice.
    grows = mean(middle) >= mean(np.maximum(middle - 1, 1))
    low, high = np.where(grows, middle, low), np.where(grows, high, middle - 1)
  return mean(low)
