"""Summaries as text and as a page."""

import numpy as np

from splitjax import results as report
from splitjax.reports import page
from splitjax.reports import plots

SETTING = report.Setting('digits', 'mlp', '3')
CELLS = [
  report.Cell(SETTING, phase, intermediate, attack)
  for phase in ('training', 'inference')
  for intermediate, attack in (
    ('none', 'model'),
    ('none', 'chance'),
    ('smashed', 'distance'),
    ('smashed', 'clustering'),
    ('untrained_smashed', 'distance'),
    ('untrained_smashed', 'clustering'),
    ('raw_inputs', 'distance'),
    ('raw_inputs', 'clustering'),
  )
]


def _rows(cell, value=0.5, seconds=0.25):
  values = np.array([[value, value + 0.1], [value, value + 0.3]])
  return report.cell_rows(
    cell, {'accuracy': values}, num_scored=7, seconds=seconds
  )


def _summary(rows):
  return page.Summary(
    title='a <title>',
    facts=['one & two'],
    rows=rows,
    whole=SETTING,
    lines=[
      page.Line(SETTING, phase, name, f'reads {name}')
      for phase in ('training', 'inference')
      for name in ('smashed', 'untrained_smashed', 'raw_inputs')
    ],
    attacks=['distance', 'clustering'],
    measure='accuracy',
  )


def test_pivot_puts_attacks_beside_each_other():
  rows = [row for cell in CELLS for row in _rows(cell)]
  text = page.pivot(
    rows, _summary(rows).lines, ['distance', 'clustering'], measure='accuracy'
  )
  lines = text.splitlines()
  assert lines[0].split() == [
    'phase', 'what', 'is', 'read', 'distance', 'clustering'
  ]  # fmt: skip
  assert len(lines) == 2 + 6
  assert lines[2].count(page.shown(rows[0])) == 2


def test_page_is_self_contained_and_escaped(tmp_path):
  results = report.Results(tmp_path, {'a': '<b>'}, CELLS)
  for cell in CELLS:
    results.add(cell, _rows(cell))
  summary = _summary(results.rows())
  plots.leakage(summary, tmp_path / 'leakage.png')
  page.write(summary, tmp_path)
  text = (tmp_path / 'report.html').read_text()
  assert 'a &lt;title&gt;' in text
  assert 'one &amp; two' in text
  assert '&lt;b&gt;' in text
  assert 'src="data:image/svg+xml;base64,' in text
  assert 'http' not in text
  assert 'one & two' in page.to_text(summary)


def test_main_measure_is_open_and_the_others_are_folded(tmp_path):
  results = report.Results(tmp_path, {}, CELLS)
  for cell in CELLS:
    values = {'auc': np.full((2, 2), 0.75), 'accuracy': np.full((2, 2), 0.5)}
    results.add(
      cell, report.cell_rows(cell, values, num_scored=7, seconds=None)
    )
  summary = _summary(results.rows())
  plots.leakage(summary, tmp_path / 'leakage.png')
  page.write(summary, tmp_path)
  text = (tmp_path / 'report.html').read_text()
  opened, folded = text.split('<details>', 1)
  assert '<h2>accuracy, %</h2>' in opened
  assert '50.0' in opened
  assert '75.0' not in opened
  assert '<h2>auc, %</h2>' in folded


def test_shares_are_shown_in_percent_and_other_measures_as_they_are():
  row = lambda measure: {
    'measure': measure,
    'mean': 0.5,
    'ci_low': 0.25,
    'ci_high': 0.75,
  }
  assert page.shown(row('accuracy')) == '50.0 [25.0, 75.0]'
  assert page.shown(row('r2')) == '0.50 [0.25, 0.75]'
  assert page.shown({**row('samples_per_second'), 'mean': 12345}) == '12,345'
  assert page.in_words('macro_f1') == 'macro f1, %'
  assert page.in_words('r2') == 'R2'
