"""Guesses of label canaries, and the epsilon that they show.

Of each canary an attacker is shown two candidate labels, of which a coin said
before the training which one is used. What it answers is turned into guesses
without the coins. Which guesser is the best, and of how many canaries it should
guess, is chosen by the coins of a quarter of the canaries, and tested on the
others.

In shape descriptions `S` is the number of networks, `R` the draws of known
samples of each and `M` the canaries of a network.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from splitjax.metrics import jackknife
from splitjax.metrics.leakage import Figure
from splitjax.metrics.one_run import epsilon_lower

_CHOOSING = 4  # One in so many canaries helps to choose.
_SUREST = 0.25  # Share of the canaries that a guesser may be sure of.


class Evidence(NamedTuple):
  """What speaks for the first candidate of each canary, below 0 for the second.

  Attributes:
    votes: predictions equal to it minus those equal to the other, `[S, M]`.
    margins: how much more likely it was said to be, `[S, M]`; zeros if the
      attack did not say.
  """

  votes: np.ndarray
  margins: np.ndarray

  @property
  def guesses(self) -> np.ndarray:
    """1 for the first candidate, -1 for the second, 0 for neither, `[S, M]`."""
    return np.where(
      self.votes == 0, np.sign(self.margins), np.sign(self.votes)
    ).astype(int)


class Guessed(NamedTuple):
  """How often an attack guessed right.

  Attributes:
    right: right guesses among the canaries that test it.
    num_guesses: guesses made among these.
    num_canaries: how many these are.
    expected: the epsilon that those that chose it let expect.
    outcomes: 1 where the guess is right, -1 where it is wrong and 0 where none
      is made, of all canaries, `[S, M]`.
  """

  right: int
  num_guesses: int
  num_canaries: int
  expected: float
  outcomes: np.ndarray

  def epsilon_lower(
    self, *, num_tried: int = 1, delta: float = 0.0, confidence: float = 0.95
  ) -> float:
    """Return the epsilon that the testing canaries show, see `one_run`."""
    return float(
      epsilon_lower(
        self.right,
        self.num_guesses,
        num_tried=num_tried,
        delta=delta,
        confidence=confidence,
        num_canaries=self.num_canaries,
      )
    )

  def advantage(self, sample_ids: np.ndarray) -> Figure:
    """Return the share of right guesses above that of a coin.

    No attack that sees nothing of the labels does better than a coin, which
    also guesses where the attack does not.

    Args:
      sample_ids: which samples the canaries are, `[S, M]`.

    Returns:
      Values `[S, 1]`, at most 1/2, and the same without groups of samples.
    """
    measure_fn = lambda counted: {
      'advantage': (self.outcomes[:, None] * counted).sum(-1)
      / (2 * counted.sum(-1))
    }
    every = np.ones(self.outcomes[:, None].shape, bool)
    groups = jackknife.assign_groups(sample_ids)[:, None]
    deleted = jackknife.deleted(measure_fn, every, groups)
    return Figure(measure_fn(every)['advantage'], deleted.get('advantage'))


def weigh_answers(
  labels: np.ndarray, candidates: np.ndarray, margins: np.ndarray | None
) -> Evidence:
  """Return what an attack's answers say of the candidates.

  The draws of a network are one attacker, who knows the samples of all.

  Args:
    labels: predicted classes, `[S, R, M]`.
    candidates: the two candidates of each canary, `[S, M, 2]`.
    margins: how much more likely the attack says the first is, `[S, R, M]`.

  Returns:
    The evidence.

  Example:
    >>> labels, candidates = np.array([[[3, 1, 7]]]), np.array([[[3, 1]] * 3])
    >>> found = weigh_answers(labels, candidates, None)
    >>> found.guesses.tolist()
    [[1, -1, 0]]
  """
  first, second = np.moveaxis(np.asarray(candidates)[:, None], -1, 0)
  votes = (labels == first).astype(int) - (labels == second)
  if margins is None:
    return Evidence(votes.sum(1), np.zeros(votes[:, 0].shape))
  sizes = np.abs(margins).mean(-1, keepdims=True)  # Draws weigh alike.
  scaled = margins / np.where(sizes > 0, sizes, 1)
  return Evidence(votes.sum(1), scaled.sum(1))


def judge_guesses(
  evidence: Evidence, coins: np.ndarray, *, delta: float = 0.0
) -> Guessed:
  """Compare guesses with the coins.

  Args:
    evidence: what speaks for which candidate.
    coins: 0 where the first candidate was used, 1 where the second, `[S, M]`.
      They must be independent of each other, those of other networks too.
    delta: the delta at which epsilon is to be measured.

  Returns:
    How often it guessed right.

  Raises:
    ValueError: if there are too few canaries for both parts.
  """
  if np.size(coins) < 2 * _CHOOSING:
    raise ValueError(
      f'coins must be {2 * _CHOOSING} or more, got {np.size(coins)}.'
    )
  right = evidence.guesses * np.where(coins == 0, 1, -1)
  choosing = _choosing(right.size)
  parts = [
    _levels(*(x.ravel()[part] for x in (*evidence, right)))
    for part in (choosing, ~choosing)
  ]
  (chosen, chosen_of), (tested, tested_of) = parts
  scale = num_testing(right.size) / choosing.sum()
  expected = epsilon_lower(
    np.floor(scale * chosen),
    np.ceil(scale * chosen_of),
    delta=delta,
    num_canaries=right.size,
  )
  best = int(expected.argmax())
  return Guessed(
    right=int(tested[best]),
    num_guesses=int(tested_of[best]),
    num_canaries=num_testing(right.size),
    expected=float(expected[best]),
    outcomes=right,
  )


def num_testing(num_canaries: int) -> int:
  """Return how many of all canaries test a guesser that the others chose."""
  return int((~_choosing(num_canaries)).sum())


def _choosing(num_canaries: int) -> np.ndarray:
  """Return which canaries choose the guesser, `[num_canaries]`."""
  return np.arange(num_canaries) % _CHOOSING == 0


def _levels(
  votes: np.ndarray, margins: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Count right guesses and guesses: of all, of those voted for, of the surest.

  Args:
    votes: votes for the first candidate, `[M]`.
    margins: margins of it, `[M]`.
    right: 1 where a guess is right, -1 where it is wrong, `[M]`.

  Returns:
    Right guesses and guesses at each level, `[3]` each.
  """
  order = np.lexsort((-np.abs(margins), -np.abs(votes)))
  surest = np.zeros(len(order), bool)
  surest[order[: int(np.ceil(_SUREST * len(order)))]] = True
  levels: Sequence[np.ndarray] = (right != 0, votes != 0, surest)
  made = [level & (right != 0) for level in levels]
  hits = [(level & (right > 0)).sum() for level in made]
  return np.array(hits), np.array([level.sum() for level in made])
