"""Plots of an audit: what stands in them, and what they cope with."""

import pytest

from splitjax.reports import audit_groups
from splitjax.reports import audit_plots
from splitjax.reports import canvas
from splitjax.reports import figures


def _texts(figure):
  return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_strongest_attacker_stands_first_in_each_place(audit):
  audit['attacks'].reverse()
  groups = audit_groups.groups_of(audit)
  assert [group.title for group in groups] == [
    'smashed data, inference',
    'smashed data, training',
    'cut gradients, first pass, training',
    'no leak: raw inputs, training',
    'for comparison',
  ]
  assert all(group.entries[0].label == 'strongest' for group in groups[:4])
  kinds = [entry.kind for group in groups for entry in group.entries]
  assert kinds.count('no leak') == 3
  assert kinds.count('reference') == 3


def test_no_leak_of_a_place_is_what_its_leakage_was_taken_from(audit):
  for one in audit['attacks']:
    if one['phase'] == 'inference':
      one['leakage']['mean'] = one['accuracy']['mean'] - 60.0
  by_title = {x.title: x for x in audit_groups.groups_of(audit)}
  assert by_title['smashed data, inference'].baseline == pytest.approx(60.0)
  assert by_title['smashed data, training'].baseline == pytest.approx(75.9)
  assert by_title['for comparison'].baseline is None


def test_chance_of_all_phases_is_one_row_and_models_are_apart(audit):
  chance = {'mean': 10.0, 'low': None, 'high': None}
  model = {'mean': 96.0, 'low': None, 'high': None}
  audit['references'] = [
    {'phase': phase, 'name': name, 'accuracy': figure}
    for phase in ('training', 'inference')
    for name, figure in (('chance', chance), ('model', model))
  ]
  found = audit_groups.groups_of(audit)[-1].entries
  labels = ['chance', 'model, training', 'model, inference']
  assert [entry.label for entry in found] == labels


def test_weaker_attacks_are_left_out_where_there_are_many(audit):
  first = audit['attacks'][0]
  many = [
    {'attack': f'number {i}', 'accuracy': {'mean': float(i)}} for i in range(50)
  ]
  audit['attacks'] += [first | one for one in many]
  groups = audit_groups.groups_of(audit)
  assert groups[0].left_out > 40
  assert groups[0].entries[0].label == 'strongest'
  assert sum(len(group.entries) for group in groups) < 34


def test_plot_names_its_lines_and_shows_the_figures(audit, tmp_path, quick):
  audit_plots.leakage(audit, tmp_path / 'a.png')
  texts = _texts(quick[0])
  assert {'no leak 75.9', 'limit +5', 'majority 10.2'} <= set(texts)
  assert {'100.0', '[99.8, 100.0]', '+24.1', '[22.7, 25.4]'} <= set(texts)
  audit_plots.leakage(audit, tmp_path / 'a.png', width=audit_plots.NARROW)
  texts = _texts(quick[1])
  assert {'100.0', '+24.1'} <= set(texts)
  assert '[22.7, 25.4]' not in texts


@pytest.mark.parametrize('dark', [False, True])
def test_same_audit_makes_the_same_plots(audit, tmp_path, dark):
  for name in ('a.png', 'b.png'):
    audit_plots.leakage(audit, tmp_path / name, dark=dark)
  for suffix, start in (('png', b'\x89PNG'), ('svg', b'<?xml')):
    one, other = ((tmp_path / f'{x}.{suffix}').read_bytes() for x in 'ab')
    assert one == other
    assert one.startswith(start)
  theme = canvas.DARK if dark else canvas.LIGHT
  assert theme.paper in (tmp_path / 'a.svg').read_text()


def test_class_names_are_drawn_as_they_are(audit, tmp_path):
  names = ['$\\frac{1', '100%_{', '\u4e2d\u6587', 'a very long name of a class']
  audit['audited']['class_names'][:4] = names
  audit_plots.confusion(audit, tmp_path / 'confusion.png')
  audit_plots.picture(audit, tmp_path / 'picture.png')
  assert (tmp_path / 'confusion.svg').exists()


@pytest.mark.parametrize(
  'classes, numbered', [(2, True), (20, True), (21, False)]
)
def test_confusion_has_numbers_up_to_twenty_classes(
  audit, tmp_path, quick, classes, numbered
):
  shares = [[0.4] * classes for _ in range(classes)]
  audit_plots.confusion(audit | {'confusion': shares}, tmp_path / 'a.png')
  assert ('<1' in _texts(quick[0])) == numbered


def test_picture_rings_what_was_read_wrongly(audit, tmp_path, quick):
  audit_plots.picture(audit, tmp_path / 'a.png')
  titles = [axes.get_title() for axes in quick[0].axes]
  assert titles == [
    'by their true labels',
    'by the labels read, 2 wrong (ringed)',
  ]
  audit_plots.picture(audit, tmp_path / 'a.png', width=audit_plots.NARROW)
  wide, narrow = (figure.get_size_inches() for figure in quick)
  assert wide[0] > wide[1]
  assert narrow[0] < narrow[1]


def test_figures_as_text():
  assert figures.text(None) == ''
  assert figures.text({'mean': float('nan')}) == ''
  assert figures.text({'mean': 1, 'low': None, 'high': 2}) == '1.0'
  assert figures.text({'mean': 1, 'low': 0, 'high': 2}, signed=True) == (
    '+1.0 [0.0, 2.0]'
  )
