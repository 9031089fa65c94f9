"""What is granted of a late pass, from flags to figures."""

import pytest

from splitjax import engine
from splitjax.engine import problems
from splitjax.records.intermediates import Name

SMALL = dict(
  num_train=160, num_test=40, epochs=4, num_seeds=1, num_aux_draws=2,
  intermediates=('cut_grads',), classes=('0', '1', '2'),
)  # fmt: skip


def _chosen(**kwargs):
  attacks = kwargs.pop('attacks', ('strongest',))
  result = engine.run(engine.Config(**SMALL, attacks=attacks, **kwargs))
  return {
    row['measure']: row['mean']
    for row in result.rows()
    if row['attack'] == 'strongest' and row['intermediate'] == 'cut_grads'
  }


@pytest.mark.slow  # Compiles for long.
def test_a_late_pass_is_read_with_what_it_answers():
  found = _chosen(recorded_epoch=4)
  assert found['chose_matching'] == 1
  assert found['accuracy'] == 1


@pytest.mark.slow  # Compiles for long.
def test_other_attacks_change_nothing_in_the_first_pass():
  alone = _chosen()
  beside = _chosen(attacks=('strongest', 'gramssat:num_epochs=1'))
  drop = ('samples_per_second', 'compile_seconds')
  keep = lambda found: {k: v for k, v in found.items() if k not in drop}
  assert keep(alone) == keep(beside)
  assert 'chose_matching' not in alone


@pytest.mark.parametrize('width', [0, 64, 16])
def test_what_is_not_recorded_whole_is_not_granted(width):
  problem = problems.check(
    engine.Config(**SMALL, attacks=('strongest',), project_to=width)
  )
  assert (Name.SENT in problem.optional) == (width != 16)
