"""What `--defense` can say."""

from unittest import mock

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import common
from splitjax import defenses
from splitjax.defenses import catalog as defense_catalog
from splitjax.defenses import defense as defending
from splitjax.defenses import plan as defense_plan
from splitjax.engine import problems

FACTS = defending.Facts(
  prior=(0.5, 0.5), num_samples=100, batch_size=10, epochs=3
)


def _plan(text, facts=FACTS):
  return defense_plan.Plan(defense_plan.parse('defense', text), facts)


class ParseTest(parameterized.TestCase):
  def test_numbers_not_named_have_their_defaults(self):
    (one,) = defense_plan.parse('defense', 'dp_sgd:clip_norm=2')
    assert one.numbers == {
      'epsilon': 30.0,
      'clip_norm': 2.0,
      'poisson': 0.0,
      'passes': 0.0,
    }

  def test_none_is_none(self):
    assert defense_plan.parse('defense', 'none') == ()
    plan = _plan('none')
    assert (plan.name, plan.strength, plan.off) == ('none', 0.0, True)

  def test_strength_of_the_first_is_apart_from_the_name(self):
    plan = _plan('label_dp:epsilon=1:per_use=1+compression:ratio=0.5')
    assert plan.name == 'label_dp:per_use=1+compression:ratio=0.5'
    assert plan.strength == 1
    assert plan.at(7.0).strength == 7
    assert plan.at(7.0).name == plan.name

  def test_sweep_takes_the_papers_strengths_or_those_named(self):
    sweep = lambda text: [
      specs[0].strength for specs in defense_plan.parse_sweep('x', text)
    ]
    assert sweep('compression') == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert sweep('marvell') == [0.1, 0.5, 1, 5, 10]
    assert sweep('label_dp') == [0.1, 0.5, 1, 5, 10]
    assert sweep('dp_sgd') == [0.1, 10, 30, 50, 100]
    assert sweep('compression:ratio=0.2') == [0.2]
    specs = defense_plan.parse_sweep(
      'x', 'dp_sgd:epsilon=1|2:clip_norm=3+kdk:k=2'
    )
    assert [one[0].strength for one in specs] == [1, 2]
    assert all(one[0].numbers['clip_norm'] == 3 for one in specs)
    assert all(one[1].numbers['k'] == 2 for one in specs)

  @parameterized.parameters(
    ('dpsgd', '--defense=dpsgd: expected one of dp_sgd, '),
    (
      'compression:power=1',
      '--defense=compression:power=1: expected compression with any of ratio,',
    ),
    ('compression:ratio', 'expected compression with any of ratio, as compre'),
    ('compression:ratio=x', 'compression:ratio=x: expected a number for ratio'),
    ('compression:ratio=1', 'expected ratio between 0 and 0.999999'),
    ('compression:ratio=nan', 'expected ratio between 0 and'),
    ('label_dp:epsilon=0', 'expected epsilon between 0.001 and inf'),
    ('marvell_dynamic:error=0.5', 'expected error between 0 and 0.499'),
    ('max_norm+', '--defense=: expected one of dp_sgd'),
  )
  def test_bad_text_is_named_with_what_was_expected(self, text, message):
    with self.assertRaisesRegex(common.FlagError, message) as caught:
      defense_plan.parse('defense', text)
    assert '\n' not in str(caught.exception)

  def test_strength_twice_is_refused(self):
    with self.assertRaisesRegex(common.FlagError, 'expected each strength onc'):
      defense_plan.parse_sweep('defenses', 'compression:ratio=0.5|0.50')


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(defense='marvell'), 'marvell:power=1: expected data of two classes'),
    (
      dict(
        defense='dp_sgd', model='simple_net', image_size=32, cuts=(46,)
      ),
      'expected a server that does not mix examples .* --norm=group',
    ),
    (
      dict(defense='dp_sgd+distance_correlation'),
      'expected no loss across examples beside differential',
    ),
    (dict(defense='max_norm+max_norm'), 'expected each defense once'),
    (
      dict(defense='label_dp+alibi'),
      'expected one defense at most that replaces the labels',
    ),
  )  # fmt: skip
  def test_defenses_that_do_not_fit_are_refused(self, change, message):
    with self.assertRaisesRegex(common.FlagError, message):
      problems.check(problems.Config(**change))

  @parameterized.parameters(
    (dict(norm='group', cuts=(46,)),), (dict(cuts=(50,)),)
  )
  def test_dp_sgd_takes_a_server_without_batch_statistics(self, change):
    problem = problems.check(
      problems.Config(
        defense='dp_sgd', model='simple_net', image_size=32, **change
      )
    )
    assert problem.plan.specs[0].name == 'dp_sgd'

  def test_mixup_needs_inputs_that_can_be_mixed(self):
    with self.assertRaisesRegex(common.FlagError, 'inputs that can be mixed'):
      defense_plan.check(
        'defense',
        defense_plan.parse('defense', 'mixup'),
        num_classes=2,
        server_has_state=False,
        floating_inputs=False,
      )


def _protected(plan, key=0):
  """All places of a plan applied to small arrays, under jit."""
  rng = np.random.default_rng(0)
  smashed = jnp.asarray(rng.normal(size=(8, 3)), jnp.float32)
  labels = jnp.asarray([0, 1] * 4)
  params = {'w': jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)}
  plain_loss = lambda logits, y: (
    -jnp.sum(
      (y if y.ndim == 2 else jax.nn.one_hot(y, 2)) * jax.nn.log_softmax(logits),
      axis=-1,
    )
  )

  @jax.jit
  def run(strengths, key):
    place = plan.protect(strengths)
    x, y = smashed, labels
    if place.stored_labels:
      y = place.stored_labels(key, y)
    if place.batch:
      x, y = place.batch(key, x, y)
    if place.labels:
      y = place.labels(key, y)
    loss = lambda params, x, y: jnp.mean(
      place.loss(plain_loss, x @ params['w'], x, y)
      if place.loss
      else plain_loss(x @ params['w'], y)
    )
    cut_grads = jax.grad(loss, argnums=1)(params, x, y)
    if place.cut_grads:
      cut_grads = place.cut_grads(key, cut_grads, y)
    if place.server_grads:
      grads = place.server_grads(key, loss, params, x, y)
    else:
      grads = jax.grad(loss)(params, x, y)
    logits = x @ params['w']
    return cut_grads, grads, place.answers(logits) if place.answers else logits

  return run(plan.strengths(), jax.random.key(key))


@pytest.fixture(scope='module')
def plain():
  """What no defense makes of them."""
  return _protected(_plan('none'))


@pytest.mark.parametrize('name', defense_catalog.DEFENSES)
def test_every_defense_does_something_finite_with_its_defaults(plain, name):
  actual = _protected(_plan(name))
  for leaf in jax.tree.leaves(actual):
    assert np.isfinite(leaf).all()
  same = jax.tree.map(np.array_equal, plain, actual)
  assert not all(jax.tree.leaves(same))


@pytest.mark.parametrize('name', defense_catalog.DEFENSES)
def test_off_is_undefended_bit_for_bit(plain, name):
  plan = _plan(name).at(defense_catalog.DEFENSES[name].off)
  assert plan.off
  actual = _protected(plan)
  for one, other in zip(*map(jax.tree.leaves, (plain, actual)), strict=True):
    assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_off_is_warned_of(capsys):
  problem = problems.check(problems.Config(defense='compression:ratio=0'))
  assert problem.plan.off
  assert 'warning: --defense=compression:ratio=0 defends nothing' in (
    capsys.readouterr().err
  )


class TestGuarantees:
  def test_epsilons_add_up_and_the_rest_is_kept(self):
    plan = _plan('label_dp:epsilon=1+dp_message:epsilon=2')
    found = plan.guarantees(None)
    np.testing.assert_allclose(found['epsilon'], [[3]], rtol=2e-3)
    kept = np.e / (np.e + 1)
    np.testing.assert_allclose(found['keep_probability'], [[kept]], rtol=1e-5)

  def test_label_noise_drawn_at_every_use_costs_every_use(self):
    found = _plan('label_dp:epsilon=1:per_use=1').guarantees(None)
    np.testing.assert_allclose(found['epsilon'], [[3]])
    assert _plan('label_dp:per_use=1').averaged == 'vector'
    assert _plan('label_dp').averaged is None
    assert _plan('max_norm+label_dp').averaged == 'pass'
    assert _plan('max_norm+label_dp:per_use=1').averaged == 'vector'

  def test_update_says_both_epsilons(self):
    found = _plan('dp_sgd:epsilon=10').guarantees(None)
    np.testing.assert_allclose(found['epsilon'], [[10]], rtol=2e-3)
    assert found['epsilon_if_poisson'] < 7
    poisson = _plan('dp_sgd:epsilon=10:poisson=1').guarantees(None)
    np.testing.assert_allclose(poisson['epsilon_if_poisson'], 10, rtol=2e-3)
    assert poisson['noise_multiplier'] < found['noise_multiplier']

  @pytest.mark.parametrize('name', ['dp_sgd', 'dp_message'])
  def test_noise_is_looked_for_once_and_is_the_one_that_is_drawn(self, name):
    plan = _plan(f'{name}:epsilon=10')
    with mock.patch.object(
      defenses.accounting, 'noise_multiplier_for', side_effect=[1.5]
    ):
      (traced,), found = plan.strengths(), plan.guarantees(None)
    assert traced['noise_multiplier'] == found['noise_multiplier'] == 1.5

  def test_noise_may_be_for_more_passes_than_are_made(self):
    one, more = (
      _plan(text).guarantees(None)['noise_multiplier']
      for text in ('dp_sgd', 'dp_sgd:passes=48')
    )
    # Sixteen times as many releases need four times the noise.
    np.testing.assert_allclose(more, 4 * one, rtol=2e-3)

  def test_marvell_reports_the_bound_of_each_seed(self):
    noted = {'sum_kl': np.ones((2, 5)), 'auc_bound': np.full((2, 5), 0.7)}
    found = _plan('marvell').guarantees(noted)
    np.testing.assert_allclose(found['auc_bound'], [[0.7], [0.7]])
