"""Which defenses a search tries, and which of them are one program."""

import pytest

from splitjax.engine import problems
from splitjax.engine.studies import candidates
from splitjax.engine.studies import recommend
from splitjax.errors import ConfigError


@pytest.fixture(scope='module')
def problem():
  config = recommend.Config(num_train=100, num_test=50, epochs=2)
  return problems.check(config)


def test_clip_norms_and_strengths_are_one_program(problem):
  texts = (
    'dp_message:epsilon=3|10:clip_norm=0.1',
    'dp_message:epsilon=3:clip_norm=0.5',
    'label_dp:epsilon=1|2',
    'label_dp:epsilon=1:per_use=1',
  )
  plans = candidates.singles(texts, problem)
  groups = candidates.by_program(plans)
  assert [len(group) for group in groups] == [3, 2, 1]
  assert sum(groups, ()) == tuple(plans)


def test_default_skips_what_does_not_fit_and_names_do_not(problem):
  names = {x.specs[0].name for x in candidates.singles((), problem)}
  assert 'marvell_multiclass' in names and 'marvell' not in names
  with pytest.raises(ConfigError, match='data of two classes'):
    candidates.singles(('marvell:power=1',), problem)


def test_pairs_are_of_defenses_that_fit_each_other(problem):
  texts = ('label_dp:epsilon=1|2', 'alibi:epsilon=1', 'isotropic:ratio=1')
  found = candidates.pairs(candidates.singles(texts, problem), problem)
  assert [one.text for one in found] == [
    'label_dp:epsilon=1+isotropic:ratio=1',
    'label_dp:epsilon=2+isotropic:ratio=1',
    'alibi:epsilon=1+isotropic:ratio=1',
  ]
