"""Defenses that act together, in a problem."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from scipy import stats

from splitjax import defenses
from splitjax import losses
from splitjax.defenses import catalog
from splitjax.defenses import parsing
from splitjax.defenses.defense import Facts
from splitjax.defenses.plan import Plan
from splitjax.training.countering import Counter
from splitjax.training.protection import Protection

FACTS = Facts(prior=(0.5, 0.5), num_samples=100, batch_size=10, epochs=3)
REAL = FACTS._replace(prior=())


def _plan(text, facts=FACTS, **kwargs):
  return Plan(parsing.parse('defense', text), facts, **kwargs)


def _facts_of(name):
  return FACTS if 'class' in catalog.DEFENSES[name].targets else REAL


def test_no_defense_is_none():
  plan = _plan('none')
  assert (plan.name, plan.text, plan.strength) == ('none', 'none', 0.0)
  assert plan.off and not plan.defended


def test_strength_of_the_first_is_apart_from_the_name():
  plan = _plan('label_dp:epsilon=1:per_use=1+compression:ratio=0.5')
  assert plan.name == 'label_dp:per_use=1+compression:ratio=0.5'
  assert plan.text == 'label_dp:epsilon=1:per_use=1+compression:ratio=0.5'
  assert plan.strength == 1
  other = _plan('label_dp:epsilon=7:per_use=1+compression:ratio=0.5')
  assert (other.name, other.strength) == (plan.name, 7)


def test_defense_of_ones_own_is_composed_with_the_others():
  own = Protection(cut_grads=lambda key, grads, labels: 2 * grads)
  plan = _plan('none', own=own)
  assert (plan.name, plan.text, plan.strength) == ('own', 'own', 0.0)
  assert plan.defended and not plan.off and not plan.has_guarantee
  assert plan.averaged == 'pass'
  place = plan.protect(plan.strengths)
  grads = jnp.ones((2, 3))
  np.testing.assert_array_equal(
    place.cut_grads(jax.random.key(0), grads, jnp.array([0, 1])), 2 * grads
  )


def test_extended_labels_add_outputs():
  assert _plan('rle_like:num_extra=2', REAL).extra_outputs == 2
  assert _plan('mle_like', REAL).extra_outputs == 4
  assert _plan('max_norm').extra_outputs == 0


def _squared_or_cross_entropy(outputs, labels):
  """The loss of each example, of classes, soft labels or real targets."""
  if labels.ndim == 2 and outputs.shape[1] == 2:
    return -jnp.sum(labels * jax.nn.log_softmax(outputs), axis=-1)
  if labels.dtype == jnp.float32:
    return losses.squared_error(outputs, labels)
  return losses.cross_entropy(outputs, labels)


def _protected(plan, key=0):
  """All places of a plan applied to small arrays, under jit."""
  rng = np.random.default_rng(0)
  smashed = jnp.asarray(rng.normal(size=(8, 3)), jnp.float32)
  labels = jnp.asarray([0, 1] * 4)
  if not plan.facts.num_classes:
    labels = jnp.linspace(-1.0, 1.0, 8)
  width = (plan.facts.num_classes or 1) + plan.extra_outputs
  if any(one.defense.second_top for one in plan.specs):
    width = 3 * plan.facts.num_classes  # Two tops and distances to centres.
  params = {'w': jnp.asarray(rng.normal(size=(3, width)), jnp.float32)}
  plain_loss = _squared_or_cross_entropy

  @jax.jit
  def run(strengths, key):
    place = plan.protect(strengths)
    x, y = smashed, labels
    if place.stored_labels:
      y = place.stored_labels(key, y)
    if place.first_labels:
      y = place.first_labels(key, y, x)
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
    if place.party_cut_grads:
      cut_grads, _ = place.party_cut_grads(key, (cut_grads, x), y)
    if place.server_grads:
      grads = place.server_grads(key, loss, params, x, y)
    else:
      grads = jax.grad(loss)(params, x, y)
    logits = x @ params['w']
    return cut_grads, grads, place.answers(logits) if place.answers else logits

  return run(plan.strengths, jax.random.key(key))


@pytest.fixture(scope='module')
def plain():
  """What no defense makes of them, by kind of target."""
  return {
    'class': _protected(_plan('none')),
    'real': _protected(_plan('none', REAL)),
  }


# Every defense with every kind of target that it is defined for.
CASES = [
  (name, target)
  for name, defense in catalog.DEFENSES.items()
  for target in defense.targets
]
# Extended labels have no strength at which they are off.
WITH_OFF = [
  (name, target)
  for name, target in CASES
  if catalog.DEFENSES[name].within[0]
  <= catalog.DEFENSES[name].off
  <= catalog.DEFENSES[name].within[1]
]


@pytest.mark.parametrize(('name', 'target'), CASES)
def test_every_defense_does_something_finite_with_its_defaults(
  plain, name, target
):
  actual = _protected(_plan(name, FACTS if target == 'class' else REAL))
  for leaf in jax.tree.leaves(actual):
    assert np.isfinite(leaf).all()
  same = jax.tree.map(np.array_equal, plain[target], actual)
  assert not all(jax.tree.leaves(same))


@pytest.mark.parametrize(('name', 'target'), WITH_OFF)
def test_off_is_undefended_bit_for_bit(plain, name, target):
  defense = catalog.DEFENSES[name]
  facts = FACTS if target == 'class' else REAL
  plan = _plan(f'{name}:{defense.strength}={defense.off}', facts)
  assert plan.off
  actual = _protected(plan)
  pairs = map(jax.tree.leaves, (plain[target], actual))
  for one, other in zip(*pairs, strict=True):
    assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_all_but_those_that_change_the_outputs_can_be_off():
  always = {name for name, _ in set(CASES) - set(WITH_OFF)}
  assert always == {'rle_like', 'mle_like', 'lcd_like'}


def test_merged_labels_are_known_to_be_merged():
  facts = FACTS._replace(prior=(0.25,) * 4)
  assert _plan('lcd_like:num_labels=3', facts).num_merged == 3
  assert _plan('lcd_like:num_labels=4', facts).num_merged == 0
  assert _plan('label_dp', facts).num_merged == 0


def _closed_form(gap, delta):
  """Epsilon of a Gaussian mechanism (Balle and Wang, 2018, theorem 8)."""
  cdf = stats.norm.cdf
  return optimize.brentq(
    lambda x: (
      cdf(gap / 2 - x / gap) - np.exp(x) * cdf(-gap / 2 - x / gap) - delta
    ),
    0,
    200,
  )


class TestGuarantees:
  @pytest.mark.parametrize(
    'text',
    [
      'marvell:power=0',
      'marvell_dynamic:error=0',
      'compression:ratio=0.5+marvell:power=0',
      'compression:ratio=0.5+marvell_dynamic:error=0',
    ],
  )
  def test_marvell_that_is_off_promises_nothing(self, text):
    found = _plan(text).guarantees(None)
    assert found['auc_bound'] == 1 and found['detection_error_bound'] == 0

  def test_label_mechanism_promises_the_same_whatever_follows(self):
    for other in ('dp_message:epsilon=2', 'dp_sgd:epsilon=2', 'compression'):
      found = _plan(f'label_dp:epsilon=1+{other}').guarantees(None)
      np.testing.assert_allclose(found['epsilon'], [[1]])
      kept = np.e / (np.e + 1)
      np.testing.assert_allclose(found['keep_probability'], [[kept]], rtol=1e-5)

  def test_one_place_alone_promises_nothing_of_all_that_is_sent(self):
    for name, place in (('dp_sgd', 'update'), ('dp_message', 'message')):
      found = _plan(f'{name}:epsilon=10').guarantees(None)
      assert np.isinf(found['epsilon']).all()
      np.testing.assert_allclose(found[f'{place}_epsilon'], 10, rtol=2e-3)

  @pytest.mark.parametrize('swap', [False, True])
  def test_both_places_compose_for_a_label_that_is_replaced(self, swap):
    texts = ['dp_sgd:epsilon=10', 'dp_message:epsilon=10']
    found = _plan('+'.join(texts[::-1] if swap else texts)).guarantees(None)
    noises = [
      found[f'{place}_noise_multiplier'].item()
      for place in ('message', 'update')
    ]
    # As one Gaussian mechanism of three passes, which is at most the sum.
    gap = 2 * np.sqrt(3 * sum(1 / noise**2 for noise in noises))
    together = _closed_form(gap, 2 * FACTS.delta)
    epsilon = found['epsilon'].item()
    assert together < epsilon < 1.5 * together
    replaced = _closed_form(2 * np.sqrt(3) / noises[1], FACTS.delta)
    np.testing.assert_allclose(epsilon, 10 + replaced, rtol=2e-3)

  def test_noise_for_fewer_passes_promises_for_all(self):
    found = _plan('dp_sgd:epsilon=10:passes=1').guarantees(None)
    assert found['update_epsilon'] > 15

  def test_message_that_others_see_labels_of_promises_nothing(self):
    for other in ('marvell_multiclass', 'gradient_averaging', 'lp_2st'):
      found = _plan(f'dp_message:epsilon=2+{other}').guarantees(None)
      assert np.isinf(found['message_epsilon']).all()

  def test_label_noise_drawn_at_every_use_costs_every_use(self):
    found = _plan('label_dp:epsilon=1:per_use=1').guarantees(None)
    np.testing.assert_allclose(found['epsilon'], [[3]])
    assert _plan('label_dp:per_use=1').averaged == 'vector'
    assert _plan('label_dp').averaged is None
    assert _plan('max_norm+label_dp').averaged == 'pass'
    assert _plan('max_norm+label_dp:per_use=1').averaged == 'vector'

  def test_update_says_both_epsilons(self):
    found = _plan('dp_sgd:epsilon=10').guarantees(None)
    np.testing.assert_allclose(found['update_epsilon'], [[10]], rtol=2e-3)
    assert found['update_epsilon_if_poisson'] < 7
    poisson = _plan('dp_sgd:epsilon=10:poisson=1').guarantees(None)
    np.testing.assert_allclose(
      poisson['update_epsilon_if_poisson'], 10, rtol=2e-3
    )
    noise = 'update_noise_multiplier'
    assert poisson[noise] < found[noise]

  @pytest.mark.parametrize('name', ['dp_sgd', 'dp_message'])
  def test_noise_is_looked_for_once_and_is_the_one_that_is_drawn(self, name):
    plan = _plan(f'{name}:epsilon=10')
    with mock.patch.object(
      defenses.accounting, 'noise_multiplier_for', side_effect=[1.5]
    ):
      (traced,), found = plan.strengths, plan.guarantees(None)
    noise = f'{name[3:].replace("sgd", "update")}_noise_multiplier'
    assert traced['noise_multiplier'] == found[noise] == 1.5

  def test_noise_may_be_for_more_passes_than_are_made(self):
    one, more = (
      _plan(text).guarantees(None)['update_noise_multiplier']
      for text in ('dp_sgd', 'dp_sgd:passes=48')
    )
    # Sixteen times as many releases need four times the noise.
    np.testing.assert_allclose(more, 4 * one, rtol=2e-3)

  def test_marvell_reports_the_bound_of_each_seed(self):
    noted = {'sum_kl': np.full((2, 5), 0.5), 'auc_bound': np.full((2, 5), 0.7)}
    noted |= {'negatives': np.full((2, 5), 4), 'positives': np.full((2, 5), 4)}
    found = _plan('marvell').guarantees(noted)
    distance = np.sqrt(1 - np.exp(-0.5))
    assert distance > 0.5  # So that Pinsker's bound is the smaller one.
    np.testing.assert_allclose(found['auc_bound'], [[0.875], [0.875]])
    np.testing.assert_allclose(found['batch_auc_bound'], [[0.7], [0.7]])
    found = _plan('compression+marvell').guarantees(noted)
    np.testing.assert_array_equal(found['auc_bound'], 1)


_COUNTERS = {
  'compression': (Counter.MISSING,),
  'compression_per_sample': (Counter.MISSING,),
  'gradient_averaging': (Counter.BATCH_MEANS,),
  'mixup': (Counter.PAIRS,),
  'max_norm': (Counter.LINES,),
  'marvell': (Counter.ONE_CLASS,),
  'marvell_dynamic': (Counter.ONE_CLASS,),
  'marvell_multiclass': (Counter.ONE_CLASS,),
}


@pytest.mark.parametrize('name', catalog.DEFENSES)
def test_what_an_attacker_undoes_is_known(name):
  plan = _plan(name, _facts_of(name))
  assert plan.counters == _COUNTERS.get(name, ())
  off = catalog.DEFENSES[name].off
  weak = f'{name}:{catalog.DEFENSES[name].strength}={off}'
  if catalog.DEFENSES[name].within[0] <= off:
    assert _plan(weak).counters == () and _plan(weak).channel is None


@pytest.mark.parametrize('name', ['label_dp', 'randomized_response', 'lp_2st'])
def test_channel_of_labels_is_known_with_its_prior(name):
  facts = FACTS._replace(prior=(0.8, 0.2))
  channel = _plan(f'{name}:epsilon=0.5', facts).channel
  np.testing.assert_allclose(channel.probabilities.sum(1), 1, rtol=1e-6)
  np.testing.assert_allclose(channel.prior, facts.prior)
  only_first = channel.probabilities[:, 0].tolist() == [1, 1]
  assert only_first == (name == 'label_dp')


def test_channel_that_is_not_one_matrix_is_none():
  assert _plan('alibi').channel is None
  assert _plan('label_dp+alibi').channel is None
  assert _plan('compression').channel is None


def test_labels_are_fresh_where_they_are_drawn_at_every_use():
  assert _plan('label_dp:per_use=1').fresh_labels
  assert not _plan('label_dp').fresh_labels
  assert not _plan('label_dp:epsilon=inf:per_use=1').fresh_labels


SEVERAL = FACTS._replace(prior=(0.5, 0.3, 0.15, 0.05))
OTHERS = [
  x
  for x, one in catalog.DEFENSES.items()
  if x not in ('label_dp', 'randomized_response', 'lp_2st')
]


@pytest.mark.parametrize('name', OTHERS)
def test_channel_is_that_of_label_mechanisms_alone(name):
  plan = _plan(name, _facts_of(name))
  assert plan.channel is None and not plan.fresh_labels


@pytest.mark.parametrize('per_use', [0, 1])
@pytest.mark.parametrize('name', ['label_dp', 'randomized_response'])
def test_channel_is_how_often_labels_become_others(name, per_use):
  plan = _plan(f'{name}:epsilon=1:per_use={per_use}', SEVERAL)
  assert plan.fresh_labels == bool(per_use)
  place = plan.protect(plan.strengths)
  draw_fn = place.labels if per_use else place.stored_labels
  labels = np.arange(8000) % 4
  drawn = draw_fn(jax.random.key(0), jnp.asarray(labels))
  channel = plan.channel
  np.testing.assert_allclose(channel.prior, SEVERAL.prior, rtol=1e-6)
  for label, expected in enumerate(channel.probabilities):
    counts = np.bincount(drawn[labels == label], minlength=4)
    # The standard error of a share of 2,000 is at most 0.011.
    np.testing.assert_allclose(counts / 2000, expected, atol=0.045)


@pytest.mark.parametrize(
  'text',
  [
    'label_dp+randomized_response',
    'label_dp+alibi',
    'randomized_response+cae',
    'lp_2st+label_dp',
  ],
)
def test_two_mechanisms_of_labels_have_no_channel_together(text):
  assert _plan(text).channel is None


def test_defense_that_is_off_leaves_the_channel_of_the_other():
  both = _plan('label_dp:epsilon=inf+randomized_response:epsilon=1').channel
  alone = _plan('randomized_response:epsilon=1').channel
  np.testing.assert_array_equal(both.probabilities, alone.probabilities)
  assert _plan('label_dp:epsilon=inf').channel is None
  # Nor does one that hides gradients change what became of the labels.
  noisy = _plan('randomized_response:epsilon=1+max_norm').channel
  np.testing.assert_array_equal(noisy.probabilities, alone.probabilities)


def test_counters_of_several_defenses_are_each_named_once():
  plan = _plan('max_norm+mixup+gradient_averaging:weight=0.5')
  assert plan.counters == (
    Counter.LINES,
    Counter.PAIRS,
    Counter.BATCH_MEANS,
  )
  plan = _plan('max_norm:strength=0+mixup:alpha=0.5')
  assert plan.counters == (Counter.PAIRS,)


def test_of_a_defense_of_ones_own_nothing_is_undone():
  plan = _plan('none', own=Protection(cut_grads=lambda key, x, y: -x))
  assert plan.counters == () and plan.channel is None
  assert not plan.fresh_labels
