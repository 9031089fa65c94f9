"""Tables of a page, made of texts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from splitjax.reports import figures
from splitjax.reports.audit_groups import STRONGEST
from splitjax.reports.audit_groups import Audit
from splitjax.reports.audit_groups import place_of


class Table(NamedTuple):
  """A table as a template shows it.

  Attributes:
    caption: what it holds, for who cannot see the page around it.
    head: names of the columns.
    body: rows of texts.
    num_names: columns from the left that name a row; the others are figures.
    strong: indices of the rows that stand out.
  """

  caption: str
  head: Sequence[str]
  body: Sequence[Sequence[str]]
  num_names: int = 1
  strong: Sequence[int] = ()


class Recall(NamedTuple):
  """How much of a class was read.

  Attributes:
    name: of the class.
    size: samples of the class, empty if that is not known.
    figure: share that was read, with its interval, as text.
    width: the share as the width of a bar, in percent.
  """

  name: str
  size: str
  figure: str
  width: float


def attacks(audit: Audit) -> Table:
  """Return all attacks of an audit, with what each reads and its leakage."""
  found = audit.get('attacks') or []
  measures = figures.measures_of(found)
  return Table(
    'all attacks',
    ['attack', 'what is read', 'leakage', *map(figures.words, measures)],
    [
      [
        figures.words(str(one.get('attack', ''))),
        place_of(one),
        figures.text(one.get('leakage'), signed=True),
        *(figures.text(one.get(name)) for name in measures),
      ]
      for one in found
    ],
    num_names=2,
    strong=[
      index
      for index, one in enumerate(found)
      if one.get('attack') == STRONGEST and one.get('leaks', True)
    ],
  )


def decisive(audit: Audit) -> Table:
  """Return the strongest attack and its baseline, a measure a row."""
  both = [audit.get('strongest') or {}, audit.get('baseline') or {}]
  measures = figures.measures_of(both)
  return Table(
    'the strongest attack and its baseline',
    ['measure', 'strongest attack', 'without the cut'],
    [
      [
        figures.words(name),
        *(figures.text(one.get(name)) for one in both),
      ]
      for name in measures
    ],
  )


def references(audit: Audit) -> Table:
  """Return what is known without an attack: guessing, the model itself."""
  found = audit.get('references') or []
  measures = figures.measures_of(found)
  return Table(
    'references',
    ['reference', 'phase', *map(figures.words, measures)],
    [
      [
        figures.words(str(one.get('name', ''))),
        str(one.get('phase', '')),
        *(figures.text(one.get(name)) for name in measures),
      ]
      for one in found
    ],
    num_names=2,
  )


def recall(audit: Audit) -> list[Recall]:
  """Return how much of each class the strongest attack reads."""
  found = audit.get('recall') or []
  sizes = list((audit.get('audited') or {}).get('class_sizes') or [])
  sizes += [''] * (len(found) - len(sizes))
  return [
    Recall(
      str(one.get('class', index)),
      str(size),
      figures.text(one),
      min(100.0, max(0.0, figures.mean(one) or 0.0)),
    )
    for index, (one, size) in enumerate(zip(found, sizes, strict=False))
  ]


def pairs(values: Mapping[str, Any] | None) -> list[tuple[str, str]]:
  """Return names and values as texts, lists without brackets."""
  return [
    (figures.words(str(name)), _text(value))
    for name, value in (values or {}).items()
    if value is not None
  ]


def audited(audit: Audit) -> list[tuple[str, str]]:
  """Return what was audited, in words, as far as the audit says.

  Args:
    audit: the content of its `audit.json`.

  Returns:
    Pairs of what and how much.
  """
  given = audit.get('audited') or {}
  found = [
    ('samples', _count(given.get('samples'))),
    ('classes', _classes(given)),
    ('values of a sample', _count(given.get('width'))),
    ('passes over the data', _count(given.get('passes'))),
    ('networks', _count(given.get('runs'))),
    ('draws of known samples', _count(given.get('draws'))),
    ('labels known', _known(given.get('known_labels'), 'classes' in given)),
    ('intervals speak of', _population(audit)),
    ('files', _text(given.get('files') or [])),
    ('notes', '; '.join(map(str, given.get('notes') or []))),
  ]
  return [(name, text) for name, text in found if text]


def _known(number: Any, classes: bool) -> str:
  """Return how many labels the attacker knows."""
  if number is None:
    return ''
  return f'{_count(number)} of each class' if classes else _count(number)


def _classes(given: Mapping[str, Any]) -> str:
  """Return how many classes there are, and how large they are."""
  sizes = [figures.number(x) for x in given.get('class_sizes') or []]
  known = [size for size in sizes if size is not None]
  number = _count(given.get('classes') or (len(sizes) or None))
  if not number or not known:
    return number
  low, high = _count(min(known)), _count(max(known))
  span = low if low == high else f'{low} to {high}'
  return f'{number}, of {span} samples'


def _population(audit: Audit) -> str:
  """Return who the intervals speak of."""
  level = figures.number(audit.get('level'))
  population = str(audit.get('population') or '')
  if not population or level is None:
    return population
  return f'{population} ({100 * level:g}%)'


def _count(value: Any) -> str:
  """Return a number with thousands apart, whatever else as it is."""
  if value is None:
    return ''
  found = figures.number(value)
  return str(value) if found is None else f'{found:,.0f}'


def _text(value: Any) -> str:
  """Return a value as text."""
  if isinstance(value, Mapping):
    return _text([f'{name}={_text(one)}' for name, one in value.items()])
  if isinstance(value, Iterable) and not isinstance(value, str):
    return ', '.join(map(_text, value))
  return str(value)
