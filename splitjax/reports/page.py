"""A summary of results as text and as one self-contained HTML page."""

import base64
from collections.abc import Sequence
import html
import pathlib
import string
from typing import NamedTuple

import tabulate

from splitjax import files
from splitjax.results import report


class Line(NamedTuple):
  """A line of a table: what was read, when, and what to call it."""

  setting: report.Setting
  phase: str
  intermediate: str
  title: str


class Sweep(NamedTuple):
  """Settings that differ in one thing.

  Attributes:
    factor: what differs.
    settings: in the order to show them.
    labels: what to call each.
  """

  factor: str
  settings: Sequence[report.Setting]
  labels: Sequence[str]


HOW_TO_READ = (
  'What an attack reads above its two no-leak lines is leakage; what it '
  'reaches there is few-shot learning from the same labelled samples. The '
  'oracle names clusters with all true labels: a bound, not an attack.'
)
# Measures of real targets, which are no shares.
_NUMBERS = ('r2', 'mean_absolute_error', 'spearman')


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
  """

  title: str
  facts: Sequence[str]
  rows: Sequence[report.Row]
  whole: report.Setting
  lines: Sequence[Line]
  attacks: Sequence[str]
  measure: str
  how_to_read: str = HOW_TO_READ


_PAGE = string.Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; color: #222; }
img { max-width: 100%; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; }
pre { background: #f5f5f5; padding: 1rem; overflow-x: auto; }
</style>
</head>
<body>
<h1>$title</h1>
<ul>
$facts
</ul>
<img src="data:image/png;base64,$image" alt="$title">
<p>$how_to_read</p>
$tables
<h2>Configuration</h2>
<pre>$config</pre>
</body>
</html>
""")


def shown(row: report.Row) -> str:
  """A row as the tables show it: in percent, but for times and targets."""
  if row['measure'] in report.TIMES:
    return format(row['mean'], report.TIMES[row['measure']])
  if row['measure'] not in _NUMBERS:
    return percent(row)
  if row['ci_low'] is None:
    return f'{row["mean"]:.2f}'
  return f'{row["mean"]:.2f} [{row["ci_low"]:.2f}, {row["ci_high"]:.2f}]'


def percent(row: report.Row) -> str:
  """A row's mean and interval in percent, as the tables show them."""
  mean = f'{100 * row["mean"]:.1f}'
  if row['ci_low'] is None:
    return mean
  return f'{mean} [{100 * row["ci_low"]:.1f}, {100 * row["ci_high"]:.1f}]'


def pivot(
  rows: Sequence[report.Row],
  lines: Sequence[Line],
  attacks: Sequence[str],
  *,
  measure: str,
  style: str = 'simple',
) -> str:
  """A table of attacks by what they read.

  Args:
    rows: from `report.cell_rows`.
    lines: what was read.
    attacks: one a column.
    measure: which measure to show.
    style: of `tabulate`: 'simple', 'github', 'html'.

  Returns:
    The table.
  """
  found = report.by_cell(rows, measure)

  def entry(line, name):
    row = found.get(report.Cell(*line[:3], name))
    return '' if row is None else shown(row)

  body = [
    [line.phase, line.title, *(entry(line, name) for name in attacks)]
    for line in lines
  ]
  return tabulate.tabulate(
    body,
    headers=['phase', 'what is read', *attacks],
    tablefmt=style,
    disable_numparse=True,
    colalign=['left', 'left', *['right'] * len(attacks)],
  )


def to_text(summary: Summary) -> str:
  """The summary for a terminal."""
  table = pivot(
    summary.rows, summary.lines, summary.attacks, measure=summary.measure
  )
  return '\n'.join(['', summary.title, *summary.facts, '', table, ''])


def _title(measure):
  """A measure in words, with its unit if it has one."""
  words = measure.replace('_', ' ')
  plain = measure in report.TIMES or measure in _NUMBERS
  return words if plain else f'{words}, %'


def write(summary: Summary, out_dir: pathlib.Path) -> None:
  """Writes `report.html`, with what the folder holds already inside it.

  Args:
    summary: what to write.
    out_dir: a folder with `leakage.png` and `config.json`.
  """
  measures = dict.fromkeys(
    row['measure'] for row in summary.rows if row['measure'] != 'zero_share'
  )
  tables = [
    f'<h2>{html.escape(_title(measure))}</h2>\n'
    + pivot(
      summary.rows,
      summary.lines,
      summary.attacks,
      measure=measure,
      style='html',
    )
    for measure in measures
  ]
  image = (out_dir / 'leakage.png').read_bytes()
  text = _PAGE.substitute(
    title=html.escape(summary.title),
    facts='\n'.join(f'<li>{html.escape(fact)}</li>' for fact in summary.facts),
    image=base64.b64encode(image).decode(),
    how_to_read=html.escape(summary.how_to_read),
    tables='\n'.join(tables),
    config=html.escape((out_dir / 'config.json').read_text()),
  )
  with files.replacing(out_dir / 'report.html') as path:
    path.write_text(text)
