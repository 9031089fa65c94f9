"""The order of defenses, and the answer in words."""

import pytest

from splitjax.defenses import parsing
from splitjax.defenses.plan import Plan
from splitjax.engine.studies import advice
from splitjax.engine.studies.worth import Share
from splitjax.engine.studies.worth import Worth

LIMITS = (0.02, 0.1)


def _worth(power, loss, leak, reach=0.001):
  share = lambda x: Share(x, x - reach, x + reach)
  specs = parsing.parse('defense', f'isotropic:ratio={power}')
  plan = Plan(specs, facts=None)
  read = {'one_pass': share(0.1 + leak), 'inference': share(0.9)}
  leaks = {'one_pass': share(leak), 'inference': share(0.8)}
  return Worth(plan, share(loss), read, leaks)


def _answer(*found):
  return advice.answer(found, ['one_pass'], LIMITS, 300)


def test_first_that_surely_keeps_to_the_limits_is_taken():
  found = _answer(_worth(1, 0.3, 0), _worth(2, 0.01, 0.05))
  assert found.startswith(
    'TAKE isotropic:ratio=2: at most 15.1% read from gradients of one pass; '
    '1.0 [0.9, 1.1] points of accuracy lost.'
  )


@pytest.mark.parametrize(
  ('loss', 'leak', 'lacking'),
  [(0.0195, 0.05, 'of the loss'), (0.01, 0.0995, 'of the leakage')],
)
def test_what_only_the_mean_keeps_to_is_no_promise(loss, leak, lacking):
  found = _answer(_worth(1, loss, leak))
  assert found.startswith('PERHAPS') and f'{lacking} the interval' in found


def test_where_none_will_do_the_nearest_is_named():
  found = _answer(_worth(1, 0.3, 0), _worth(2, 0.01, 0.2))
  assert found.startswith('NONE of the 300 tried') and 'ratio=2' in found


def test_what_is_beyond_a_limit_ranks_behind_what_is_not():
  within, beyond = _worth(1, 0.019, 0.09), _worth(2, 0.021, -0.1)
  judged = [
    x._replace(leaks={'one_pass': x.leaks['one_pass']})
    for x in (within, beyond)
  ]
  ranks = [advice.rank(one, limits=LIMITS) for one in judged]
  assert ranks[0] < ranks[1]


def test_two_looks_count_alike():
  found = advice.mean_of(_worth(1, 0.01, 0.1), _worth(1, 0.03, 0.3))
  assert found.loss.mean == pytest.approx(0.02)
  assert found.leaks['one_pass'].mean == pytest.approx(0.2)
