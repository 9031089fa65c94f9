import functools
import itertools

from absl.testing import parameterized
from flax import linen as nn
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from splitjax import losses
from splitjax import training
from splitjax.data.feature_split import FeatureSplit
from splitjax.models import layering
from splitjax.training.fusion import FUSIONS
from splitjax.training.missing import DropOut
from splitjax.training.party_model import PartyModel

NUM_CLASSES = 3
NUM_FEATURES = 12


def _split(num_parties, *, active):
  """Columns of unequal number, some of them the label party's."""
  columns = np.arange(NUM_FEATURES)
  own = columns[-3:] if active else None
  rest = columns[: NUM_FEATURES - 3 * active]
  parts = [rest[p::num_parties] for p in range(num_parties)]
  shapes = tuple((len(part),) for part in parts)
  return FeatureSplit(tuple(parts), shapes, own, (3,) if active else None)


def _bottom(width, party):
  """Bottoms of one width, and of another depth for every other party."""
  layers = (nn.Dense(5), nn.BatchNorm(momentum=0.9), nn.relu, nn.Dropout(0.3))
  return (*layers[: 4 if party % 2 else 2], nn.Dense(width))


def _problem(num_parties, fusion='concat', *, active=False, seed=0, **kwargs):
  widths = [4 if fusion != 'concat' else 3 + p % 3 for p in range(num_parties)]
  model = PartyModel(
    _split(num_parties, active=active),
    tuple(_bottom(w, p) for p, w in enumerate(widths)),
    (nn.relu, nn.Dense(6), nn.Dense(NUM_CLASSES)),
    own=(nn.Dense(4),),
    fusion=fusion,
    **kwargs,
  )
  rng = np.random.default_rng(seed)
  inputs = jnp.asarray(rng.normal(size=(6, NUM_FEATURES)), jnp.float32)
  labels = jnp.asarray(rng.integers(0, NUM_CLASSES, 6))
  params, state = model.init(jax.random.key(seed), inputs)
  return model, params, state, inputs, labels


def _joined_loss(model, key, state, inputs, labels, params):
  """The network written out by hand, as one party would."""

  def run(layers, index, params, state, x):
    for layer, p, s in zip(layers, params, state, strict=True):
      layer_key = jax.random.fold_in(key, index)
      x, _ = layering.apply(layer, p, s, x, train=True, key=layer_key)
      index += 1
    return x

  size = len(model.top)
  firsts = np.cumsum([0, len(model.bottoms[0]), size, *model.cuts[1:]]).tolist()
  values = [
    run(
      model.bottoms[p],
      firsts[p + 1] if p else 0,
      params[p],
      state[p],
      inputs[:, columns],
    )
    for p, columns in enumerate(model.features.columns)
  ]
  if model.has_features:
    x = inputs[:, model.features.active_columns]
    values.append(run(model.own, firsts[-1], params[-1][:1], state[-1][:1], x))
  joined = {
    'concat': lambda: jnp.concatenate(values, axis=1),
    'sum': lambda: sum(values),
    'mean': lambda: sum(values) / len(values),
  }[model.fusion]()
  top = params[-1][-size:], state[-1][-size:]
  logits = run(model.top, firsts[1], *top, joined)
  return losses.cross_entropy(logits, labels).mean()


def _assert_close(actual, expected):
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6),
    actual,
    expected,
  )


@pytest.mark.slow
@hypothesis.settings(max_examples=12)  # Each is a program of its own.
@hypothesis.given(
  st.sampled_from([1, 2, 3, 8]),
  st.sampled_from(sorted(FUSIONS)),
  st.booleans(),
  st.integers(0, 3),
)
def test_gradients_equal_those_of_the_joined_network(
  num_parties, fusion, active, seed
):
  _check_gradients(num_parties, fusion, active=active, seed=seed)


def _check_gradients(num_parties, fusion, *, active, seed=0):
  model, params, *rest = _problem(num_parties, fusion, active=active, seed=seed)
  key = jax.random.key(7)
  actual = training.split_grads(key, params, *rest, model=model)
  key_dropout = jax.random.split(key, 6)[0]
  loss, grads = jax.value_and_grad(
    functools.partial(_joined_loss, model, key_dropout, *rest)
  )(params)
  np.testing.assert_allclose(actual.loss, loss, rtol=1e-6)
  _assert_close(actual.grads, grads)
  assert len(actual.exchanges) == num_parties


@pytest.mark.slow
def test_a_step_of_eight_parties_computes_what_the_joined_network_does():
  model, params, *rest = _problem(8)
  key = jax.random.key(7)
  joined_fn = functools.partial(_joined_loss, model, key, *rest)

  def split_fn(params):
    step = training.split_grads(key, params, *rest, model=model)
    return step.loss, step.grads

  def flops_of(fn):
    return jax.jit(fn).lower(params).compile().cost_analysis()['flops']

  joined = flops_of(jax.value_and_grad(joined_fn))
  assert flops_of(split_fn) < 1.1 * joined


@pytest.mark.parametrize(
  'fusion',
  [
    'concat',
    *(pytest.param(x, marks=pytest.mark.slow) for x in ('sum', 'mean')),
  ],
)
def test_one_party_is_the_two_party_model_bit_for_bit(fusion):
  layers = (*_bottom(4, 1), nn.relu, nn.Dense(6), nn.Dense(NUM_CLASSES))
  whole = FeatureSplit((np.arange(NUM_FEATURES),), ((NUM_FEATURES,),))
  party = PartyModel(whole, (layers[:5],), layers[5:], fusion=fusion)
  chain = training.SplitModel(layers, (5,))
  _, _, _, inputs, labels = _problem(1)
  noise_fn = lambda key, x, *_: x + jax.random.normal(key, x.shape)
  protection = training.Protection(cut_grads=noise_fn, smashed=noise_fn)

  def run(model):
    kwargs = {'model': model, 'protection': protection}
    params, state = model.init(jax.random.key(0), inputs)
    step = training.split_grads(
      jax.random.key(3), params, state, inputs, labels, **kwargs
    )
    found = training.evaluate(
      training.TrainState(params, step.state, ()),
      inputs,
      key=jax.random.key(1),
      record_fn=lambda smashed: smashed,
      **kwargs,
    )
    return step, found

  found = [
    jax.jit(lambda model=model: run(model))() for model in (party, chain)
  ]
  jax.tree.map(np.testing.assert_array_equal, *found)


class PartyModelTest(parameterized.TestCase):
  @parameterized.parameters(
    (2, 'concat', False), (3, 'sum', True), (1, 'mean', True)
  )
  def test_gradients_equal_those_of_jax_grad(self, num, fusion, active):
    _check_gradients(num, fusion, active=active)

  @pytest.mark.slow
  def test_runs_are_vmapped_over_seeds(self):
    model, _, _, inputs, labels = _problem(3, 'sum', active=True)

    def run(key):
      return training.train(
        key,
        inputs,
        labels,
        num_epochs=1,
        batch_size=3,
        model=model,
        optimizers=[optax.sgd(0.1)] * model.num_parts,
        record_fn=lambda exchanges: [x.cut_grads for x in exchanges],
      )

    keys = jax.random.split(jax.random.key(0), 2)
    both = jax.jit(jax.vmap(run))(keys)
    _assert_close(jax.tree.map(lambda x: x[1], both), run(keys[1]))
    assert [x.shape for x in both[1].recorded] == [(2, 6, 4)] * 3

  def test_under_a_sum_all_parties_receive_the_same_gradient(self):
    for active in (False, True):
      model, *arrays = _problem(3, 'sum', active=active)
      result = training.split_grads(jax.random.key(0), *arrays, model=model)
      first, *others = [x.cut_grads for x in result.exchanges]
      assert np.abs(first).max() > 0
      for other in others:
        np.testing.assert_array_equal(other, first)

  def test_each_party_sends_only_its_features(self):
    model, params, state, inputs, _ = _problem(2, active=True)
    before, _ = model.infer(params, state, inputs)
    changed = inputs.at[:, model.features.columns[1]].add(1.0)
    after, _ = model.infer(params, state, changed)
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.allclose(before[1], after[1])

  def test_a_protection_acts_on_each_party_with_a_key_of_its_own(self):
    model, *arrays = _problem(2, 'sum')
    noise_fn = lambda key, x, labels: jax.random.normal(key, x.shape)
    protection = training.Protection(cut_grads=noise_fn)
    run = functools.partial(
      training.split_grads, jax.random.key(0), *arrays, model=model
    )
    defended = run(protection=protection)
    first, second = [x.cut_grads for x in defended.exchanges]
    assert not np.allclose(first, second)
    plain = run()
    _assert_close(defended.grads[-1], plain.grads[-1])
    zeros_fn = lambda key, grads, labels: [0 * grads[0], grads[1]]
    joint = run(protection=training.Protection(party_cut_grads=zeros_fn))
    assert not np.any(joint.exchanges[0].cut_grads)
    _assert_close(joint.exchanges[1], plain.exchanges[1])
    assert all(not np.any(x) for x in jax.tree.leaves(joint.grads[0]))

  def test_a_missing_party_receives_nothing(self):
    model, *arrays = _problem(3, drop_out=DropOut(rate=0.5))
    step = jax.jit(
      jax.vmap(
        lambda key: training.split_grads(key, *arrays, model=model).exchanges
      )
    )
    exchanges = step(jax.random.split(jax.random.key(0), 64))
    there = np.array([np.any(x.cut_grads, axis=(1, 2)) for x in exchanges])
    assert 0.35 < there.mean() < 0.65
    assert len(np.unique(there, axis=1).T) == 8  # Parties are drawn apart.

  @parameterized.parameters('zeros', 'mean')
  def test_an_absent_party_is_filled_in(self, fill):
    model, params, state, inputs, labels = _problem(
      2, 'sum', drop_out=DropOut(absent=(1,), fill=fill)
    )
    result = training.split_grads(
      jax.random.key(0), params, state, inputs, labels, model=model
    )
    sent = result.exchanges[1].smashed
    smashed, logits = model.infer(params, result.state, inputs)
    taken = jnp.zeros_like(smashed[1])
    if fill == 'mean':
      taken = jnp.broadcast_to(sent.mean(axis=0), taken.shape)
    everyone = PartyModel(
      model.features, model.bottoms, model.top, fusion=model.fusion
    )
    size = len(model.top)
    top = training.SplitModel((lambda x: x, *model.top), (1,))
    expected, _ = top.apply_part(
      1, params[-1], result.state[-1][:size], smashed[0] + taken
    )
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
    state = (*result.state[:-1], result.state[-1][:size])
    others, complete = everyone.infer(params, state, inputs)
    np.testing.assert_array_equal(others[1], smashed[1])
    assert not np.allclose(complete, logits)

  def test_refuses_what_does_not_fit(self):
    features, bottom = _split(2, active=False), _bottom(4, 0)
    both = (bottom, bottom)
    for kwargs, message in (
      ({'bottoms': (bottom,)}, 'bottoms'),
      ({'bottoms': (bottom, ())}, 'bottoms'),
      ({'fusion': 'product'}, 'fusion'),
      ({'features': _split(2, active=True)}, 'own'),
      ({'drop_out': DropOut(absent=(2,))}, 'absent'),
      ({'drop_out': DropOut(fill='ones')}, 'fill'),
    ):
      fields = {'features': features, 'bottoms': both, 'top': (nn.Dense(2),)}
      with pytest.raises(ValueError, match=f'^{message}'):
        PartyModel(**fields | kwargs)

  def test_layers_have_keys_of_their_own(self):
    model, params, *_ = _problem(3, 'sum', active=True)
    kernels = [
      np.asarray(leaf) for leaf in jax.tree.leaves(params) if leaf.ndim == 2
    ]
    for one, other in itertools.combinations(kernels, 2):
      rows, columns = np.minimum(one.shape, other.shape)
      assert not np.array_equal(one[:rows, :columns], other[:rows, :columns])
    assert 'own' in model.describe()
