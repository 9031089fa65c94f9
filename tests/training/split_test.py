import functools

from absl.testing import parameterized
from flax import linen as nn
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import losses
from splitjax import models
from splitjax.training import split

NUM_CLASSES = 3


def _mlp():
  return models.mlp(NUM_CLASSES, hidden_sizes=(8, 6)), (4, 4, 1)


def _conv_net():
  return models.conv_net(NUM_CLASSES), (4, 4, 1)


def _with_state():
  """Batch statistics, dropout and a module that is told whether it trains."""

  class Shift(nn.Module):
    @nn.compact
    def __call__(self, x, train):
      shift = self.param('shift', nn.initializers.ones, x.shape[1:])
      return x + (2.0 if train else 1.0) * shift[None]

  layers = (
    nn.Dense(8),
    nn.BatchNorm(momentum=0.9),
    nn.relu,
    nn.Dropout(0.5),
    Shift(),
    nn.LayerNorm(),
    nn.Dense(NUM_CLASSES),
  )
  return layers, (5,)


def _embedding():
  """Integer inputs, which have no gradient."""
  return (nn.Embed(11, 4), lambda x: x.mean(1), nn.Dense(NUM_CLASSES)), (6,)


ARCHITECTURES = {
  'mlp': _mlp,
  'conv_net': _conv_net,
  'with_state': _with_state,
  'embedding': _embedding,
}


def _problem(name, cuts, batch=6, seed=0):
  layers, shape = ARCHITECTURES[name]()
  model = split.SplitModel(layers, cuts)
  rng = np.random.default_rng(seed)
  if name == 'embedding':
    inputs = jnp.asarray(rng.integers(0, 11, (batch, *shape)))
  else:
    inputs = jnp.asarray(rng.normal(size=(batch, *shape)), jnp.float32)
  labels = jnp.asarray(rng.integers(0, NUM_CLASSES, batch))
  params, state = model.init(jax.random.key(seed), inputs)
  return model, params, state, inputs, labels


def _joined_grads(model, key, params, state, inputs, labels):
  """What one party with the whole model would compute."""
  key_dropout = jax.random.split(key, 5)[0]

  def loss_fn(params):
    logits, new_state = model.apply(
      params, state, inputs, train=True, key=key_dropout
    )
    return losses.cross_entropy(logits, labels).mean(), new_state

  (loss, new_state), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
  return loss, grads, new_state


def _assert_trees_close(actual, expected, **kwargs):
  kwargs = {'rtol': 1e-5, 'atol': 1e-6, **kwargs}
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, **kwargs), actual, expected
  )


def _num_layers(name):
  return len(ARCHITECTURES[name]()[0])


class SplitGradsTest(parameterized.TestCase):
  @hypothesis.settings(max_examples=12)  # Each is a program of its own.
  @hypothesis.given(st.data(), st.sampled_from(sorted(ARCHITECTURES)))
  def test_undefended_gradients_equal_those_of_the_joined_model(
    self, data, name
  ):
    layers = range(1, _num_layers(name))
    num_cuts = data.draw(st.integers(1, min(3, len(layers))))
    cuts = tuple(sorted(data.draw(st.permutations(layers))[:num_cuts]))
    problem = _problem(name, cuts, seed=data.draw(st.integers(0, 3)))
    key = jax.random.key(7)
    model, *arrays = problem
    actual = split.split_grads(key, *arrays, model=model)
    loss, grads, state = _joined_grads(model, key, *arrays)
    np.testing.assert_allclose(actual.loss, loss, rtol=1e-6)
    _assert_trees_close(actual.grads, grads)
    _assert_trees_close(actual.state, state)

  @parameterized.parameters('mlp', 'conv_net')
  def test_every_single_cut_gives_the_same_gradients(self, name):
    found = []
    for cut in range(1, _num_layers(name)):
      model, *arrays = _problem(name, (cut,))
      result = split.split_grads(jax.random.key(0), *arrays, model=model)
      found.append([grads for part in result.grads for grads in part])
    for other in found[1:]:
      _assert_trees_close(other, found[0])

  def test_exchange_is_what_the_paper_says(self):
    model, *arrays = _problem('mlp', (5,))
    params, state, inputs, labels = arrays
    result = split.split_grads(jax.random.key(0), *arrays, model=model)
    (exchange,) = result.exchanges
    smashed, _ = model.apply_part(0, params[0], state[0], inputs)
    logits, _ = model.apply(params, state, inputs)
    jacobian = jax.jacobian(
      lambda h: model.apply_part(1, params[1], state[1], h[None])[0][0]
    )
    residual = jax.nn.softmax(logits) - jax.nn.one_hot(labels, NUM_CLASSES)
    expected = [
      jacobian(h).T @ r / len(labels)
      for h, r in zip(smashed, residual, strict=True)
    ]
    _assert_trees_close(exchange.smashed, smashed)
    _assert_trees_close(exchange.cut_grads, np.stack(expected))

  @parameterized.parameters((('mlp', (3,)),), (('conv_net', (4,)),))
  def test_defended_client_receives_exactly_what_is_recorded(self, case):
    model, *arrays = _problem(*case)
    params, state, inputs, _ = arrays

    def noise_fn(key, cut_grads, labels):
      del labels
      return cut_grads + jax.random.normal(key, cut_grads.shape)

    protection = split.Protection(cut_grads=noise_fn)
    run = functools.partial(split.split_grads, jax.random.key(3), *arrays)
    plain = run(model=model)
    defended = run(model=model, protection=protection)
    received = defended.exchanges[0].cut_grads
    assert not np.allclose(received, plain.exchanges[0].cut_grads)
    _, vjp_fn = jax.vjp(
      lambda p: model.apply_part(0, p, state[0], inputs)[0], params[0]
    )
    _assert_trees_close(defended.grads[0], vjp_fn(received)[0])
    # The label party's own update is what it was.
    _assert_trees_close(defended.grads[1], plain.grads[1])

  def test_every_draw_of_a_step_has_its_own_key(self):
    layers = (*_with_state()[0][:4], nn.Dense(NUM_CLASSES))
    model = split.SplitModel(layers, (3,))
    inputs, labels = jnp.ones((4, 5)), jnp.arange(4) % NUM_CLASSES
    params, state = model.init(jax.random.key(0), inputs)
    keys = {}
    spy_fn = lambda place: (
      lambda key, x, *rest: (
        keys.update({place: jax.random.key_data(key).tolist()}),
        x,
      )[1]
    )

    def server_fn(key, loss_fn, params, smashed, labels):
      keys['server'] = jax.random.key_data(key).tolist()
      return jax.grad(loss_fn)(params, smashed, labels)

    key = jax.random.key(5)
    split.split_grads(
      key,
      params,
      state,
      inputs,
      labels,
      model=model,
      protection=split.Protection(
        labels=spy_fn('labels'),
        smashed=spy_fn('smashed'),
        cut_grads=spy_fn('cut_grads'),
        server_grads=server_fn,
      ),
    )
    dropout = jax.random.key_data(jax.random.split(key, 5)[0]).tolist()
    found = {tuple(k) for k in (*keys.values(), dropout)}
    assert len(found) == 5

  def test_pairs_are_drawn_with_the_key_of_the_batch(self):
    model, *arrays = _problem('mlp', (3,))
    keys = {}

    def batch_fn(key, inputs, labels):
      keys['batch'] = jax.random.key_data(key).tolist()
      return inputs, labels

    def pairs_fn(key, batch_size):
      keys['pairs'] = jax.random.key_data(key).tolist()
      return jnp.full(batch_size, 0.5), jnp.arange(batch_size)[::-1]

    result = split.split_grads(
      jax.random.key(0),
      *arrays,
      model=model,
      protection=split.Protection(batch=batch_fn, pairs=pairs_fn),
    )
    assert keys['pairs'] == keys['batch']
    weights, partners = result.pairs
    np.testing.assert_array_equal(weights, [0.5] * 6)
    np.testing.assert_array_equal(partners, [5, 4, 3, 2, 1, 0])

  def test_pairs_change_no_gradient_and_are_none_without(self):
    model, *arrays = _problem('mlp', (3,))
    run = functools.partial(
      split.split_grads, jax.random.key(0), *arrays, model=model
    )
    pairs_fn = lambda key, size: (jnp.ones(size), jnp.arange(size))
    plain = run()
    paired = run(protection=split.Protection(pairs=pairs_fn))
    assert plain.pairs is None
    jax.tree.map(
      np.testing.assert_array_equal, paired._replace(pairs=None), plain
    )

  def test_labels_are_protected_before_the_loss(self):
    model, *arrays = _problem('mlp', (3,))
    params, state, inputs, labels = arrays
    flip = lambda key, labels: (labels + 1) % NUM_CLASSES
    key = jax.random.key(0)
    actual = split.split_grads(
      key, *arrays, model=model, protection=split.Protection(labels=flip)
    )
    expected = split.split_grads(
      key, params, state, inputs, flip(None, labels), model=model
    )
    _assert_trees_close(actual, expected)

  def test_cut_gradient_defense_sees_the_labels_trained_on(self):
    model, *arrays = _problem('mlp', (3,))
    seen = []

    def spy_fn(key, cut_grads, labels):
      del key
      seen.append(labels)
      return cut_grads

    split.split_grads(
      jax.random.key(0),
      *arrays,
      model=model,
      protection=split.Protection(
        labels=lambda key, labels: jnp.zeros_like(labels), cut_grads=spy_fn
      ),
    )
    np.testing.assert_array_equal(seen[0], np.zeros(6))

  def test_soft_labels_are_accepted(self):
    model, *arrays = _problem('mlp', (3,))
    soft = lambda key, labels: jax.nn.one_hot(labels, NUM_CLASSES)
    key = jax.random.key(0)
    actual = split.split_grads(
      key, *arrays, model=model, protection=split.Protection(labels=soft)
    )
    _assert_trees_close(actual, split.split_grads(key, *arrays, model=model))

  def test_server_update_is_protected_and_the_message_is_not(self):
    model, *arrays = _problem('mlp', (3,))

    def clipped_fn(key, loss_fn, params, smashed, labels):
      del key
      grads = jax.grad(loss_fn)(params, smashed, labels)
      return jax.tree.map(lambda g: g / 2, grads)

    run = functools.partial(
      split.split_grads, jax.random.key(0), *arrays, model=model
    )
    plain = run()
    actual = run(protection=split.Protection(server_grads=clipped_fn))
    _assert_trees_close(actual.exchanges, plain.exchanges)
    _assert_trees_close(actual.grads[0], plain.grads[0])
    _assert_trees_close(
      actual.grads[1], jax.tree.map(lambda g: g / 2, plain.grads[1])
    )

  def test_protected_smashed_data_is_what_the_server_receives(self):
    model, *arrays = _problem('mlp', (3,))
    protection = split.Protection(smashed=lambda key, smashed: 0 * smashed)
    result = split.split_grads(
      jax.random.key(0), *arrays, model=model, protection=protection
    )
    np.testing.assert_array_equal(result.exchanges[0].smashed, 0)

  def test_u_shaped_server_in_the_middle_sees_both_exchanges(self):
    model, *arrays = _problem('mlp', (3, 5))
    params, state, inputs, _ = arrays

    def noise_fn(key, cut_grads, labels):
      del labels
      return cut_grads + jax.random.normal(key, cut_grads.shape)

    result = split.split_grads(
      jax.random.key(0),
      *arrays,
      model=model,
      protection=split.Protection(cut_grads=noise_fn),
    )
    first, second = result.exchanges
    forward = lambda part, x: model.apply_part(
      part, params[part], state[part], x
    )
    _assert_trees_close(first.smashed, forward(0, inputs)[0])
    _assert_trees_close(second.smashed, forward(1, first.smashed)[0])
    # What the server returns follows from the protected message it got.
    _, vjp_fn = jax.vjp(lambda x: forward(1, x)[0], first.smashed)
    _assert_trees_close(first.cut_grads, vjp_fn(second.cut_grads)[0])

  def test_client_gradient_depends_on_labels_through_the_cut_alone(self):
    model, *arrays = _problem('mlp', (3,))
    params, state, inputs, labels = arrays
    blocked = split.Protection(cut_grads=lambda key, g, labels: 0 * g)
    result = split.split_grads(
      jax.random.key(0), *arrays, model=model, protection=blocked
    )
    jax.tree.map(lambda g: np.testing.assert_array_equal(g, 0), result.grads[0])

  def test_vmap_over_seeds_equals_a_loop(self):
    model, _, _, inputs, labels = _problem('with_state', (3,))

    def run(key):
      params, state = model.init(key, inputs)
      return split.split_grads(key, params, state, inputs, labels, model=model)

    keys = jax.random.split(jax.random.key(0), 3)
    actual = jax.jit(jax.vmap(run))(keys)
    for index, key in enumerate(keys):
      one = jax.tree.map(lambda x, index=index: x[index], actual)
      _assert_trees_close(one, run(key))


class SplitModelTest(parameterized.TestCase):
  @parameterized.parameters(
    ((),), ((0,),), ((8,),), ((3, 3),), ((5, 2),), ((-1,),)
  )
  def test_cuts_outside_the_model_are_refused(self, cuts):
    layers, _ = _mlp()
    with self.assertRaisesRegex(ValueError, 'between 1 and 7, got cuts='):
      split.SplitModel(layers, cuts)

  def test_initialisation_does_not_depend_on_the_cut(self):
    layers, shape = _mlp()
    drawn = [
      split.SplitModel(layers, cuts).init(
        jax.random.key(0), jnp.ones((1, *shape))
      )
      for cuts in ((2,), (5,), (1, 4))
    ]
    flat = [jax.tree.leaves(params) for params, _ in drawn]
    for other in flat[1:]:
      jax.tree.map(np.testing.assert_array_equal, flat[0], other)

  def test_modes_reach_the_layers(self):
    model, params, state, inputs, _ = _problem('with_state', (3,))
    once = model.apply(params, state, inputs)[0]
    np.testing.assert_array_equal(once, model.apply(params, state, inputs)[0])
    key = jax.random.key(0)
    trained, new_state = model.apply(params, state, inputs, train=True, key=key)
    assert not np.allclose(once, trained)
    before, after = (jax.tree.leaves(s) for s in (state, new_state))
    assert any(
      not np.allclose(a, b) for a, b in zip(before, after, strict=True)
    )

  def test_model_is_hashable_and_described(self):
    layers, _ = _mlp()
    model = split.SplitModel(layers, (3, 5))
    assert hash(model) == hash(split.SplitModel(layers, (3, 5)))
    assert model.describe() == (
      'flatten, Dense 8, relu | Dense 6, relu | Dense 6, Dense 6, Dense 3'
    )


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_cross_entropy_is_computed_in_float32(dtype):
  logits = jnp.asarray([[2.0, -1.0, 0.5]], dtype)
  expected = -np.log(np.exp(-1) / np.exp([2, -1, 0.5]).sum())
  loss = losses.cross_entropy(logits, jnp.array([1]))
  assert loss.dtype == jnp.float32
  np.testing.assert_allclose(loss, [expected], rtol=1e-6)
