"""A summary of results as text and as one self-contained HTML page."""

import base64
from collections.abc import Sequence
import html
import pathlib
import string
from typing import NamedTuple

from splitjax import files
from splitjax import report


class Summary(NamedTuple):
  """What a person reads of a run.

  Attributes:
    title: one line.
    facts: what was run and how, sentences.
    rows: the results.
    lines: lines of the table: (phase, intermediate, what to call it).
    attacks: columns of the table.
    measure: what the table shows.
  """

  title: str
  facts: Sequence[str]
  rows: Sequence[report.Row]
  lines: Sequence[tuple[str, str, str]]
  attacks: Sequence[str]
  measure: str


HOW_TO_READ = (
  'What an attack reads above its two no-leak lines is leakage; what it '
  'reaches there is few-shot learning from the same labelled samples. The '
  'oracle names clusters with all true labels: a bound, not an attack.'
)

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


def to_text(summary: Summary) -> str:
  """The summary for a terminal."""
  table = report.pivot(
    summary.rows, summary.lines, summary.attacks, measure=summary.measure
  )
  return '\n'.join(['', summary.title, *summary.facts, '', table, ''])


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
    f'<h2>{html.escape(measure.replace("_", " "))}, %</h2>\n'
    + report.pivot(
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
    how_to_read=html.escape(HOW_TO_READ),
    tables='\n'.join(tables),
    config=html.escape((out_dir / 'config.json').read_text()),
  )
  with files.replacing(out_dir / 'report.html') as path:
    path.write_text(text)
