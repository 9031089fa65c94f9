"""What the plot of an audit shows: what was read, place by place."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from splitjax.reports import figures

Audit = Mapping[str, Any]
STRONGEST = 'strongest'
# What guessing gives, of which the best is a level that a reader must know.
GUESSES = ('chance', 'majority', 'mean')
_MOST = 30  # Rows of a plot that can still be read at a glance.


class Entry(NamedTuple):
  """A row of the plot.

  Attributes:
    label: the attack, or what else reads labels.
    figure: what it reads, in percent.
    leakage: how much more than without the cut, None where that is not known.
    kind: 'strongest', 'attack', 'no leak' or 'reference'.
  """

  label: str
  figure: figures.Figure
  leakage: figures.Figure | None
  kind: str


class Group(NamedTuple):
  """The rows of one place.

  Attributes:
    title: the place, in words.
    entries: its rows, the strongest attacker first.
    baseline: what is read without the cut there; None where nothing leaks, or
      where it is not known.
    left_out: attacks that have no row for want of room.
  """

  title: str
  entries: Sequence[Entry]
  baseline: float | None
  left_out: int = 0


def groups_of(audit: Audit) -> list[Group]:
  """Group what an audit measured by place.

  Args:
    audit: the content of its `audit.json`.

  Returns:
    The places that leak, in the order of the audit; then what is read without
    the cut; then references. An entry without a figure is left out.
  """
  measure = audit.get('measure', 'accuracy')
  known = [
    one
    for one in audit.get('attacks') or []
    if figures.mean(one.get(measure)) is not None
  ]
  groups = [
    _group(title, found, measure, audit)
    for leaks in (True, False)
    for title, found in _by_place(known, leaks).items()
  ]
  groups = _shortened(groups)
  references = _references(audit.get('references') or [], measure)
  if references:
    groups.append(Group('for comparison', references, None))
  return groups


def measure_of(audit: Audit) -> str:
  """Return the measure of an audit's verdict, in words."""
  return figures.words(audit.get('measure', 'accuracy'))


def guess_of(audit: Audit) -> tuple[str, float] | None:
  """Return the best guess without any data: its name and what it reads."""
  measure = audit.get('measure', 'accuracy')
  found = [
    (one.get('name', ''), value)
    for one in audit.get('references') or []
    if one.get('name') in GUESSES
    and (value := figures.mean(one.get(measure))) is not None
  ]
  return max(found, key=lambda one: one[1], default=None)


def place_of(attack: Mapping[str, Any]) -> str:
  """Return where an attack read, with the phase unless the place names it."""
  place = str(attack.get('place') or attack.get('intermediate') or 'not named')
  phase = str(attack.get('phase') or '')
  return place if phase in place else f'{place}, {phase}'


def _by_place(
  attacks: Iterable[Mapping[str, Any]], leaks: bool
) -> dict[str, list[Mapping[str, Any]]]:
  """Return the attacks that read what leaks, or what does not, by place."""
  found: dict[str, list[Mapping[str, Any]]] = {}
  for attack in attacks:
    if bool(attack.get('leaks', True)) == leaks:
      found.setdefault(place_of(attack), []).append(attack)
  return found


def _group(
  title: str, attacks: Sequence[Mapping[str, Any]], measure: str, audit: Audit
) -> Group:
  """Return the rows of one place, and what is read there without the cut."""
  attacks = sorted(attacks, key=lambda one: one.get('attack') != STRONGEST)
  leaks = bool(attacks[0].get('leaks', True))
  entries = [
    Entry(
      figures.words(str(one.get('attack', ''))),
      one[measure],
      one.get('leakage') if leaks else None,
      _kind(one, leaks),
    )
    for one in attacks
  ]
  baseline = figures.mean((audit.get('baseline') or {}).get(measure))
  read, leakage = (figures.mean(x) for x in entries[0][1:3])
  if read is not None and leakage is not None:
    baseline = read - leakage  # The baseline may differ from phase to phase.
  return Group(title, entries, baseline if leaks else None)


def _kind(attack: Mapping[str, Any], leaks: bool) -> str:
  """Return how a row is drawn."""
  if not leaks:
    return 'no leak'
  return STRONGEST if attack.get('attack') == STRONGEST else 'attack'


def _references(
  references: Iterable[Mapping[str, Any]], measure: str
) -> list[Entry]:
  """Return a row for each reference; one a name, if all phases agree."""
  found: dict[str, dict[str, figures.Figure]] = {}
  for one in references:
    if figures.mean(one.get(measure)) is not None:
      name = str(one.get('name', ''))
      found.setdefault(name, {})[str(one.get('phase', ''))] = one[measure]
  entries = []
  for name, phases in found.items():
    title = figures.words(name)
    agree = len({figures.text(figure) for figure in phases.values()}) == 1
    alone = agree and name in GUESSES
    for phase, figure in list(phases.items())[: 1 if alone else None]:
      label = title if alone or not phase else f'{title}, {phase}'
      entries.append(Entry(label, figure, None, 'reference'))
  return entries


def _shortened(groups: Sequence[Group]) -> list[Group]:
  """Leave out the weaker attacks of each place where there are many rows."""
  most = max(2, _MOST // max(1, len(groups)))
  if sum(len(group.entries) for group in groups) <= _MOST:
    return list(groups)
  return [
    group._replace(
      entries=[
        group.entries[0],
        *sorted(
          group.entries[1:],
          key=lambda entry: -(figures.mean(entry.figure) or 0.0),
        )[: most - 1],
      ],
      left_out=max(0, len(group.entries) - most),
    )
    for group in groups
  ]
