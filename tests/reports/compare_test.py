"""Audits beside each other, as text and as a page."""

import copy

import numpy as np
import pytest

from splitjax.reports import compare


@pytest.fixture
def audits(audit):
  other = copy.deepcopy(audit)
  other['verdict'] = 'pass'
  other['leakage'] = {'mean': 2.1, 'low': 0.3, 'high': 3.9}
  other['options']['noise'] = 1.5
  other['digests'] = {'g.npy': 'sha256:2', 'labels.npy': 'sha256:3'}
  return {'no <defense>': audit, 'noise': other}


def test_text_has_a_line_for_each_audit(audits):
  lines = compare.to_text(audits).splitlines()
  assert lines[2].split()[2] == 'FAIL'
  assert '24.1 [22.7, 25.4]' in lines[2]
  assert lines[3].split()[1] == 'PASS'
  assert '-22.0 [-24.2, -19.7]' in lines[3]
  assert 'independent' in lines[-1]


def test_interval_of_a_difference_covers(audits):
  """Of two independent normal leakages, 95% intervals make a 95% interval."""
  rng = np.random.default_rng(0)
  covered = []
  for _ in range(2000):
    pair = []
    for truth, scale in ((20.0, 3.0), (5.0, 1.0)):
      mean = rng.normal(truth, scale)
      ends = {'low': mean - 1.96 * scale, 'high': mean + 1.96 * scale}
      pair.append({'leakage': {'mean': mean} | ends})
    found = compare.difference(*pair)
    covered.append(found['low'] <= -15.0 <= found['high'])
  assert 0.935 <= np.mean(covered) <= 0.965


def test_ends_of_a_difference_come_from_the_right_sides():
  first = {'leakage': {'mean': 10.0, 'low': 6.0, 'high': 10.0}}
  other = {'leakage': {'mean': 10.0, 'low': 10.0, 'high': 13.0}}
  found = compare.difference(first, other)
  assert found == {'mean': 0.0, 'low': 0.0, 'high': 5.0}


def test_difference_without_intervals_has_none(audits):
  first, other = audits.values()
  del other['leakage']['low']
  found = compare.difference(first, other)
  assert found == {'mean': pytest.approx(-22.0), 'low': None, 'high': None}
  other['leakage'] = None
  assert compare.difference(first, other)['mean'] is None


def test_notes_name_what_makes_audits_differ(audits):
  first, other = audits.values()
  assert len(compare.notes(audits)) == 1
  other['limit'] = 10.0
  other['digests']['y.npy'] = first['digests']['labels.npy']
  notes = ' '.join(compare.notes(audits))
  assert 'The limits differ: 5.0; 10.0.' in notes
  assert 'the same files (labels.npy, y.npy)' in notes


def test_page_compares(audits, tmp_path, quick):
  compare.write(audits, tmp_path)
  text = (tmp_path / 'compare.html').read_text()
  assert 'no &lt;defense&gt;' in text
  assert 'no <defense>' not in text
  assert '-22.0 [-24.2, -19.7]' in text
  assert 'class="tag pass"' in text
  assert 'Settings that differ' in text
  assert len(quick) == 4


def test_page_needs_no_more_than_verdicts(tmp_path, quick):
  compare.write({'a': {'verdict': 'pass'}, 'b': {'verdict': 'fail'}}, tmp_path)
  assert '<img' not in (tmp_path / 'compare.html').read_text()


def test_nothing_and_different_measures_are_errors(audits):
  with pytest.raises(ValueError, match='no audit'):
    compare.to_text({})
  audits['noise']['measure'] = 'r2'
  with pytest.raises(ValueError, match='different things'):
    compare.to_text(audits)
