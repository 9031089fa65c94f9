"""The page of an audit: what it says, and what it copes with."""

import html.parser
import re

import jinja2
import numpy as np
import pytest

from splitjax.reports import audit_page
from splitjax.reports import markup

VOID = {'meta', 'img', 'source', 'path', 'circle'}


class Page(html.parser.HTMLParser):
  """Reads a page: its texts, headings and addresses; fails if tags do not pair.

  Attributes:
    texts: all texts but the style.
    headings: their levels, in order.
    addresses: what the page loads or links to.
    alts: texts of images.
  """

  def __init__(self, text):
    super().__init__()
    self.open, self.texts, self.headings = [], [], []
    self.addresses, self.alts, self.tags = [], [], []
    self.feed(text)
    self.close()
    assert self.open == []

  def handle_starttag(self, tag, attrs):
    values = dict(attrs)
    self.tags.append(tag)
    names = ('src', 'href', 'srcset')
    self.addresses += [values[x] for x in names if x in values]
    if tag == 'img':
      self.alts.append(values['alt'])
    if re.fullmatch('h[1-6]', tag):
      self.headings.append(int(tag[1]))
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    assert tag in VOID

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if self.open and self.open[-1] != 'style':
      self.texts.append(data)

  @property
  def text(self):
    return ' '.join(' '.join(self.texts).split())


def _write(audit, folder):
  audit_page.write_audit(audit, folder)
  text = (folder / 'report.html').read_text()
  return Page(text), text


def test_page_is_self_contained(audit, tmp_path):
  page, text = _write(audit, tmp_path)
  assert page.addresses
  assert all(x.startswith('data:image/') for x in page.addresses)
  assert all(page.alts)
  assert not re.search(r'url\(|@import|https?://', text)
  assert 'script' not in page.tags
  assert [path.name for path in tmp_path.iterdir()] == ['report.html']


@pytest.mark.slow
def test_same_audit_makes_the_same_page(audit, tmp_path):
  _, one = _write(audit, tmp_path / 'one')
  _, other = _write(audit, tmp_path / 'other')
  assert one == other


def test_answer_comes_before_the_details(audit, tmp_path, quick):
  page, text = _write(audit, tmp_path)
  assert page.text.count('FAIL') >= 2
  order = [
    '<h1>',
    '<span>FAIL</span>',
    '24.1 [22.7, 25.4] points of leakage, limit 5',
    audit['summary'],
    '<picture>',
    'What was audited',
    'this network, fresh draws and samples (95%)',
    'What was not tried',
    'untrained_smashed was not given',
    '<details>',
    'Each class',
    'Confusion',
    'All attacks',
    'References',
    'Settings',
    'Versions',
    'sha256:',
  ]
  found = [text.index(part) for part in order]
  assert found == sorted(found)
  assert 'What would decide' not in page.text


def test_headings_skip_no_level(audit, tmp_path, quick):
  page, _ = _write(audit, tmp_path)
  assert page.headings[0] == 1
  assert page.headings.count(1) == 1
  assert max(np.diff(page.headings)) <= 1


@pytest.mark.parametrize('verdict', audit_page.VERDICTS)
def test_verdict_is_a_word_a_symbol_and_a_colour(
  audit, tmp_path, quick, verdict
):
  page, text = _write(audit | {'verdict': verdict}, tmp_path)
  assert verdict.upper() in page.text
  box = text[text.index(f'class="verdict {verdict}"') :]
  assert box.index('<svg') < box.index('</section>')


def test_inconclusive_says_what_would_decide(audit, tmp_path, quick):
  audit['verdict'] = 'inconclusive'
  page, _ = _write(audit, tmp_path)
  assert 'How much more would decide is not known' in page.text
  audit['needed'] = {'samples': 40000, 'draws': 80}
  page, _ = _write(audit, tmp_path)
  assert '40,000 samples or 80 draws would decide' in page.text
  audit['needed']['words'] = 'some more would do'
  page, _ = _write(audit, tmp_path)
  assert 'some more would do.' in page.text


def test_another_verdict_is_an_error(audit, tmp_path):
  with pytest.raises(ValueError, match='An audit says one of'):
    audit_page.write_audit(audit | {'verdict': 'maybe'}, tmp_path)


def test_everything_is_escaped(audit, tmp_path, quick):
  bad = '<script>alert("&")</script>'
  audit['audited']['class_names'][0] = bad
  audit['audited']['files'] = audit['audited']['notes'] = [bad]
  audit['recall'][0]['class'] = bad
  audit['summary'] = audit['population'] = bad
  audit['attacks'][0] |= {'attack': bad, 'place': bad}
  audit['references'][0]['name'] = bad
  audit['strongest']['place'] = audit['picture']['place'] = bad
  audit['not_tried'] = [{'what': bad, 'why': bad}]
  for name in ('options', 'versions', 'digests'):
    audit[name] = {bad: bad}
  page, text = _write(audit, tmp_path)
  assert 'script' not in page.tags
  assert text.count('&lt;script&gt;') >= 15
  assert page.text.count('<script>') >= 15


@pytest.mark.slow
def test_any_key_may_be_missing(audit, tmp_path, quick):
  drawn = ('attacks', 'confusion', 'picture')
  needed = ('measure', 'baseline', 'references', 'limit', 'level')
  for name in (*needed, 'audited', 'strongest'):
    _write({k: v for k, v in audit.items() if k != name}, tmp_path)
  small = {k: v for k, v in audit.items() if k not in drawn}
  for name in [name for name in small if name != 'verdict']:
    _write({k: v for k, v in small.items() if k != name}, tmp_path)
    _write(small | {name: None}, tmp_path)
  for name in audit['audited']:
    left = {k: v for k, v in audit['audited'].items() if k != name}
    _write(small | {'audited': left}, tmp_path)
  page, _ = _write({'verdict': 'pass'}, tmp_path)
  assert 'PASS' in page.text
  assert 'img' not in page.tags


def test_figures_without_intervals_or_means_are_shown_as_far_as_known(
  audit, tmp_path, quick
):
  for one in audit['attacks']:
    one['accuracy'] |= {'low': None, 'high': None}
  audit['attacks'][0]['leakage'] = None
  audit['attacks'][1]['accuracy'] = {'mean': None, 'low': None, 'high': None}
  audit['attacks'][2]['accuracy']['mean'] = float('nan')
  audit['leakage'] |= {'low': None, 'high': None}
  page, _ = _write(audit, tmp_path)
  assert '24.1 points of leakage, limit 5' in page.text
  assert 'nan' not in page.text
  assert 'None' not in page.text


def test_real_targets_have_no_classes(audit, tmp_path, quick):
  for name in ('recall', 'confusion', 'picture'):
    del audit[name]
  for name in ('classes', 'class_names', 'class_sizes'):
    del audit['audited'][name]
  for one in (*audit['attacks'], audit['strongest'], audit['baseline']):
    for name in ('balanced_accuracy', 'macro_f1', 'ari', 'auc'):
      one.pop(name)
    one['r2'] = one.pop('accuracy')
  audit['attacks'][-1]['r2'] = {'mean': -30.0, 'low': -41.0, 'high': -22.0}
  audit['references'] = [
    {'name': 'mean', 'r2': {'mean': 0.0, 'low': None, 'high': None}}
  ]
  page, _ = _write(audit | {'measure': 'r2'}, tmp_path)
  assert '-30.0 [-41.0, -22.0]' in page.text
  assert 'Confusion' not in page.text
  assert 'of each class' not in page.text
  [axes] = quick[0].axes
  assert axes.get_xlabel() == 'targets read, R2, %'
  assert axes.get_xlim()[0] < -30


def test_hundred_classes(audit, tmp_path, quick):
  rng = np.random.default_rng(0)
  recall = {'mean': 50.0, 'low': 40.0, 'high': 60.0}
  audit['audited'] |= {'classes': 100, 'class_sizes': [5] * 100}
  audit['audited']['class_names'] = [f'class {i}' for i in range(100)]
  audit['recall'] = [{'class': f'class {i}'} | recall for i in range(100)]
  audit['confusion'] = rng.uniform(0, 2, (100, 100)).tolist()
  for name in ('true', 'read'):
    labels = rng.integers(0, 100, len(audit['picture']['x']))
    audit['picture'][name] = labels.tolist()
  page, _ = _write(audit, tmp_path)
  assert 'class 99' in page.text
  assert '100, of 5 samples' in page.text


def test_templates_must_be_given_all_they_name():
  with pytest.raises(jinja2.UndefinedError):
    markup.render('run.html', title='a title')
