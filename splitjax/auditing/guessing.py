"""What guesses of canaries say in an audit."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from splitjax.auditing import content
from splitjax.auditing.attacking import Read
from splitjax.auditing.canaries import Canaries
from splitjax.reports import verdict

ADVANTAGE = 'canary_advantage'


def add_to(
  found: dict[str, Any],
  reads: Sequence[Read],
  canaries: Canaries | None,
  level: float,
) -> None:
  """Add to the content of an audit what its canaries show.

  Args:
    found: the content; its attacks are those of `reads`.
    reads: what attacks read.
    canaries: the canaries, if there are any.
    level: probability that each bound holds.
  """
  guessing = [
    (one, read.guessed, read)
    for one, read in zip(found['attacks'], reads, strict=True)
    if read.guessed is not None
  ]
  if canaries is None or not guessing:
    return
  ids = canaries.rows
  for one, guessed, _ in guessing:
    figure = guessed.advantage(ids)
    one[ADVANTAGE] = content.figure_of(figure, ADVANTAGE, level, ids.shape[1])
    lower = guessed.epsilon_lower(num_tried=len(guessing), confidence=level)
    one['epsilon_lower'] = {'mean': round(lower, 4), 'low': None, 'high': None}
  _, best, read = max(guessing, key=lambda one: one[1].expected)
  every = best._replace(right=best.num_canaries, num_guesses=best.num_canaries)
  found['canaries'] = {
    'number': int(np.size(ids)),
    'attack': read.attack,
    'place': read.place.title,
    'epsilon_lower': round(best.epsilon_lower(confidence=level), 4),
    'epsilon_limit': round(every.epsilon_lower(confidence=level), 4),
    'delta': 0.0,
  }
  found['summary'] += ' ' + verdict.of_canaries(found['canaries'])
