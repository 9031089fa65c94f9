"""A summary of results as text and as one self-contained HTML page."""

from collections.abc import Mapping, Sequence
import pathlib
from typing import NamedTuple

import tabulate

from splitjax.reports import markup
from splitjax.reports.tables import Table
from splitjax.results import TIMES
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting
from splitjax.results import by_cell

HOW_TO_READ = (
  'What an attack reads above its two no-leak lines is leakage. What it '
  'reaches there is few-shot learning from the same labelled samples. '
  '"strongest" picks among several attackers without any label that is to be '
  'found. The best of all is picked by the true labels, and the oracle names '
  'clusters with them: both are bounds, not attacks.'
)
HOW_TO_READ_REAL = (
  'The model is the utility: its own predictions. What is read above the same '
  'attack on raw inputs is leakage. R2 is negative where the mean of the truth '
  'would be nearer.'
)
# Measures of real targets, which are no shares.
_NUMBERS = ('r2', 'mean_absolute_error', 'spearman')


# A column that is no attack: picked by the true labels.
_BOUND = 'best_of_all (bound)'


class Line(NamedTuple):
  """A line of a table: what was read, when, and what to call it."""

  setting: Setting
  phase: str
  intermediate: str
  title: str


class Sweep(NamedTuple):
  """Settings that differ in one thing.

  Attributes:
    factor: what differs.
    settings: in the order in which they are shown.
    labels: what to call each.
  """

  factor: str
  settings: Sequence[Setting]
  labels: Sequence[str]


class Summary(NamedTuple):
  """What a person reads of a run.

  Attributes:
    title: one line.
    facts: what was run and how, sentences.
    rows: the results.
    whole: the setting of what depends on no single cut: the model itself, the
      levels of chance, and raw inputs.
    lines: lines of the table.
    attacks: columns of the table.
    measure: what the table shows.
    how_to_read: what the figures say.
    verdict: whether more leaks than a limit allows, in words; empty without.
  """

  title: str
  facts: Sequence[str]
  rows: Sequence[Row]
  whole: Setting
  lines: Sequence[Line]
  attacks: Sequence[str]
  measure: str
  how_to_read: str = HOW_TO_READ
  verdict: str = ''


def factor_of(measure: str) -> float:
  """Return what a measure is multiplied with to be shown: shares in percent."""
  return 1.0 if measure in _NUMBERS or measure in TIMES else 100.0


def in_words(measure: str) -> str:
  """Return a measure in words, with its unit if it has one."""
  words = measure.replace('_', ' ').replace('r2', 'R2')
  return f'{words}, %' if factor_of(measure) == 100 else words


def shown(row: Row) -> str:
  """Return mean and interval of a row as shown, shares in percent."""
  if row['measure'] in TIMES:
    return format(row['mean'], TIMES[row['measure']])
  factor = factor_of(row['measure'])
  digits = '.1f' if factor == 100 else '.2f'
  mean, low, high = (
    '' if row[x] is None else format(factor * row[x], digits)
    for x in ('mean', 'ci_low', 'ci_high')
  )
  return f'{mean} [{low}, {high}]' if low else mean


def pivot(
  rows: Sequence[Row],
  lines: Sequence[Line],
  attacks: Sequence[str],
  *,
  measure: str,
  style: str = 'simple',
  bound: bool = False,
) -> str:
  """Return a table of attacks by what they read.

  Args:
    rows: from `results.cell_rows`.
    lines: what was read.
    attacks: one a column.
    measure: which measure to show.
    style: of `tabulate`: 'simple', 'github', 'html'.
    bound: whether to add a column with the best of all attacks.

  Returns:
    The table.
  """
  table = table_of(rows, lines, attacks, measure=measure, bound=bound)
  return tabulate.tabulate(
    table.body,
    headers=table.head,
    tablefmt=style,
    disable_numparse=True,
    colalign=['left', 'left', *['right'] * (len(table.head) - 2)],
  )


def table_of(
  rows: Sequence[Row],
  lines: Sequence[Line],
  attacks: Sequence[str],
  *,
  measure: str,
  bound: bool = False,
) -> Table:
  """Return a table of attacks by what they read, as `pivot` does, in parts.

  Args:
    rows: from `results.cell_rows`.
    lines: what was read.
    attacks: one a column.
    measure: which measure to show.
    bound: whether to add a column with the best of all attacks.

  Returns:
    The table.
  """
  found = by_cell(rows, measure)
  body = [
    [
      line.phase,
      line.title,
      *(_entry(found, line, name) for name in attacks),
      *([_best(found, line, attacks)] if bound else []),
    ]
    for line in lines
  ]
  columns = [*attacks, *([_BOUND] if bound else [])]
  return Table(
    in_words(measure), ['phase', 'what is read', *columns], body, num_names=2
  )


def _entry(found: Mapping[Cell, Row], line: Line, attack: str) -> str:
  """Return one entry of a table, empty where nothing was measured."""
  row = found.get(Cell(*line[:3], attack))
  return '' if row is None else shown(row)


def _best(found: Mapping[Cell, Row], line: Line, attacks: Sequence[str]) -> str:
  """Return the largest mean of all attacks on a line, as it is shown."""
  rows = [found.get(Cell(*line[:3], name)) for name in attacks]
  known = [row for row in rows if row is not None]
  if not known:
    return ''
  best = max(known, key=lambda row: row['mean'])
  return shown({**best, 'ci_low': None, 'ci_high': None})


def to_text(summary: Summary) -> str:
  """Return the summary for a terminal."""
  table = pivot(
    summary.rows,
    summary.lines,
    summary.attacks,
    measure=summary.measure,
    bound=_has_bound(summary),
  )
  ending = [summary.verdict, ''] if summary.verdict else []
  return '\n'.join(['', summary.title, *summary.facts, '', table, '', *ending])


def _has_bound(summary: Summary) -> bool:
  """Return whether there is anything to pick by the true labels."""
  return 'strongest' in summary.attacks and len(summary.attacks) > 1


def write(summary: Summary, out_dir: pathlib.Path) -> None:
  """Write `report.html`, with what the folder holds already inside it.

  Args:
    summary: what to write.
    out_dir: a folder with `leakage.png` and `config.json`.
  """
  measures = dict.fromkeys(
    row['measure'] for row in summary.rows if row['measure'] != 'zero_share'
  )
  tables = [
    table_of(
      summary.rows,
      summary.lines,
      summary.attacks,
      measure=measure,
      bound=_has_bound(summary) and measure == summary.measure,
    )
    for measure in sorted(measures, key=lambda name: name != summary.measure)
  ]
  page = markup.render(
    'run.html',
    title=summary.title,
    facts=summary.facts,
    verdict=summary.verdict,
    image=markup.read_image(out_dir / 'leakage.png'),
    how_to_read=summary.how_to_read,
    table=tables[0] if tables else None,
    others=tables[1:],
    config=(out_dir / 'config.json').read_text(),
  )
  markup.write(out_dir / 'report.html', page)
