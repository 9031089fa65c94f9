"""The verdict in words."""

from collections.abc import Mapping
from typing import Any

_READS = {
  'accuracy': 'reads {}% of the labels',
  'balanced_accuracy': 'reads {}% of the labels, all classes weighted alike,',
  'r2': 'explains {}% of the variance of the labels',
}
# A class this many times as frequent as the others on average is worth a word.
_FREQUENT = 1.5


def in_words(figure: Mapping[str, float | None]) -> str:
  """Return a figure with its interval, to one digit.

  Example:
    >>> in_words({'mean': 97.43, 'low': 96.9, 'high': 97.84})
    '97.4 [96.9, 97.8]'
  """
  mean, low, high = (figure[x] for x in ('mean', 'low', 'high'))
  if low is None or high is None:
    return f'{mean:.1f}'
  return f'{mean:.1f} [{low:.1f}, {high:.1f}]'


def summary(content: Mapping[str, Any]) -> str:
  """Return the answer first, in words.

  Args:
    content: of an audit, but its summary.

  Returns:
    Two or three sentences.
  """
  measure, audited = content['measure'], content['audited']
  strongest, baseline = content['strongest'], content['baseline']
  figure = strongest[measure]
  text = _READS[measure].format(f'{figure["mean"]:.1f}')
  between = ''
  if figure['low'] is not None:
    between = f' [{figure["low"]:.1f}, {figure["high"]:.1f}]'
  of = {'training': '', 'inference': ' of new samples'}[strongest['phase']]
  parts = [
    f'An attacker that knows {_known(audited)} {text}{between} from '
    f'{strongest["place"]}{of}'
  ]
  guessed = _guessed(content)
  if guessed is None and measure != 'r2':
    parts.append(
      f'without the cut it would read {baseline[measure]["mean"]:.1f}%'
    )
  elif measure == 'r2':
    parts.append(
      f'without the cut it would explain {baseline[measure]["mean"]:.1f}%'
    )
  chance = _chance(content, measure)
  if guessed is not None:
    parts.append(f'{guessed} gives {baseline[measure]["mean"]:.1f}%')
  elif chance is not None:
    parts.append(f'guessing gives {chance:.1f}%')
  leakage = in_words(content['leakage'])
  verdict = (
    f'{content["verdict"].upper()}: {leakage} points of leakage, limit '
    f'{content["limit"]:g}.'
  )
  needed = content.get('needed')
  if needed:
    verdict += f' {needed["words"][0].upper()}{needed["words"][1:]}.'
  return f'{"; ".join(parts)}. {verdict}'


def of_canaries(found: Mapping[str, Any]) -> str:
  """Return what canaries show, a sentence.

  Args:
    found: the entry `canaries` of an audit.

  Example:
    >>> found = {'number': 500, 'attack': 'distance', 'place': 'smashed data'}
    >>> found |= {'epsilon_lower': 1.234, 'epsilon_limit': 4.9}
    >>> print(of_canaries(found)[:56])
    By 500 canaries, epsilon of a label is at least 1.23, of
  """
  return (
    f'By {found["number"]:,} canaries, epsilon of a label is at least '
    f'{found["epsilon_lower"]:.2f}, of {found["epsilon_limit"]:.2f} that they '
    f'can show ({found["attack"]} on {found["place"]}).'
  )


def _guessed(content: Mapping[str, Any]) -> str | None:
  """Return what guesses, where no attack does better without the cut."""
  name = content['baseline']['name']
  sizes = content['audited'].get('class_sizes')
  if name not in ('majority', 'chance'):
    return None
  if name == 'majority' and max(sizes) * len(sizes) > _FREQUENT * sum(sizes):
    return 'naming the most frequent class for all'
  return 'guessing'


def _known(audited: Mapping[str, Any]) -> str:
  """Return what the attacker knows."""
  number = audited['known_labels']
  if 'classes' not in audited:
    return f'{number} labels'
  return 'one label a class' if number == 1 else f'{number} labels a class'


def _chance(content: Mapping[str, Any], measure: str) -> float | None:
  """Return what guessing gives in the phase that decides."""
  phase = content['strongest']['phase']
  for one in content['references']:
    if (one['phase'], one['name']) == (phase, 'chance'):
      return one[measure]['mean']
  return None
