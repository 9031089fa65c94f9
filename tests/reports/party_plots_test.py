import numpy as np

from splitjax import results
from splitjax.reports import party_plots
from splitjax.reports.page import Line
from splitjax.reports.page import Summary
from splitjax.reports.page import Sweep

LABELS = ('0', '1', '0+1')


def _summary(attacks=('distance', 'strongest')):
  whole = results.Setting('digits', 'mlp', '3', party='any')
  settings = [whole._replace(party=label) for label in LABELS]
  rows, lines = [], []
  for index, setting in enumerate(settings):
    for name in ('cut_grads', 'raw_inputs'):
      lines.append(Line(setting, 'training', name, f'{name}; party'))
      for attack in attacks:
        value = 0.9 if name == 'cut_grads' else 0.2 + 0.1 * index
        cell = results.Cell(setting, 'training', name, attack)
        rows += results.cell_rows(
          cell,
          {'accuracy': np.full((1, 2), value)},
          num_scored=10,
          seconds=None,
        )
  summary = Summary('digits', [], rows, whole, lines, attacks, 'accuracy')
  return summary, Sweep('party', settings, LABELS)


def test_the_answer_names_each_party_with_its_own_baseline():
  (answer,) = party_plots.answer_of(*_summary())
  assert answer.startswith('Of cut_grads (training), strongest reads')
  texts = answer.partition('by the party: ')[2].split('; ')
  for text, label, own in zip(texts, LABELS, (20, 30, 40), strict=True):
    assert text.startswith(f'{label}: 90.0')
    assert f'(own raw inputs {own}.0)' in text


def test_without_the_strongest_the_first_attack_answers():
  (answer,) = party_plots.answer_of(*_summary(('nearest', 'distance')))
  assert ', nearest reads' in answer


def test_plot_names_the_parties_and_their_baselines(tmp_path):
  path = tmp_path / 'leakage.png'
  party_plots.leak_by_party(*_summary(), path)
  assert path.stat().st_size > 1000
  drawn = path.with_suffix('.svg').read_text()
  for text in (*LABELS, 'strongest', 'no leak: its own raw inputs'):
    assert text in drawn
