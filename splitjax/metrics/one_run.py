"""Measures the epsilon of labels by canaries of a single run.

Of each canary there are two candidate labels, and a coin that was flipped
before the training says which of them is trained on. An attacker is shown both,
and guesses. No mechanism of a small epsilon lets it guess right often.
"""

import numpy as np
import scipy

_NUM_HALVINGS = 60
_LARGEST = 50.0


def epsilon_lower(
  num_right: np.ndarray | int,
  num_guesses: np.ndarray | int,
  *,
  confidence: float = 0.95,
  num_tried: int = 1,
) -> np.ndarray:
  """Return the epsilon that guesses of canaries show a run to exceed.

  From Steinke, Nasr and Jagielski (2023, https://arxiv.org/abs/2305.08846), for
  a delta of 0: under epsilon, the right ones of some guesses are no more than
  as many coins show heads that do so with probability `1 / (1 + e^-epsilon)`.

  Args:
    num_right: right guesses, of any shape.
    num_guesses: guesses made, at least `num_right`. An attacker may abstain,
      if it does so without the truth.
    confidence: probability that the bound is no larger than epsilon, in (0, 1).
    num_tried: attacks of which the one with the largest bound is taken; each is
      tested at that share of the error (Bonferroni).

  Returns:
    The largest epsilon that is rejected, 0 if none is. It is limited by the
    number of canaries: even if all guesses are right, it stays finite.

  Raises:
    ValueError: if an argument is out of range.

  Example:
    >>> print(epsilon_lower(100, 100).round(2), epsilon_lower(50, 100))
    3.49 0.0
  """
  if not 0 < confidence < 1:
    raise ValueError(f'confidence must be in (0, 1), got {confidence}.')
  if num_tried < 1:
    raise ValueError(f'num_tried must be at least 1, got {num_tried}.')
  right, guesses = np.broadcast_arrays(num_right, num_guesses)
  if (right < 0).any() or (right > guesses).any():
    raise ValueError(
      'num_right must be in [0, num_guesses], got '
      f'{num_right} of {num_guesses}.'
    )
  error = (1 - confidence) / num_tried

  def rejected(epsilon: np.ndarray) -> np.ndarray:
    chance = 1 / (1 + np.exp(-epsilon))
    return scipy.stats.binom.sf(right - 1, guesses, chance) <= error

  low = np.zeros(right.shape)
  high = np.full(right.shape, _LARGEST)
  for _ in range(_NUM_HALVINGS):
    middle = (low + high) / 2
    below = rejected(middle)
    low, high = np.where(below, middle, low), np.where(below, high, middle)
  return np.where(rejected(np.zeros(right.shape)), low, 0.0)
