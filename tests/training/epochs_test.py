import functools

from absl.testing import parameterized
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from splitjax import models
from splitjax import training
from splitjax.defenses import mixup
from splitjax.training import inference
from splitjax.training import split
from splitjax.training.protection import Protection

LAYERS = models.mlp(3, hidden_sizes=(8,))
KWARGS = dict(
  model=split.SplitModel(LAYERS, (3,)), optimizers=[optax.sgd(0.1)] * 2
)


def _data(num_samples=22, seed=0):
  rng = np.random.default_rng(seed)
  inputs = jnp.asarray(rng.normal(size=(num_samples, 5)), jnp.float32)
  labels = jnp.asarray(rng.integers(0, 3, num_samples))
  return inputs, labels


def _record(exchanges):
  return exchanges[0]


def _epoch(inputs, labels, *, batch_size=4, **changes):
  """The states before and after an epoch, and its log."""
  kwargs = {**KWARGS, **changes}
  before = training.init(
    jax.random.key(0), inputs, **{name: kwargs[name] for name in KWARGS}
  )
  return before, *training.train_epoch(
    jax.random.key(1), before, inputs, labels, batch_size=batch_size, **kwargs
  )


def _assert_trees_close(actual, expected):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    actual,
    expected,
  )


class TrainEpochTest(parameterized.TestCase):
  @parameterized.parameters(1, 4, 11, 21, 22)
  def test_every_sample_is_used_once(self, batch_size):
    _, _, log = _epoch(*_data(), batch_size=batch_size, record_fn=_record)
    self.assertCountEqual(np.asarray(log.positions), range(22))
    np.testing.assert_array_equal(log.steps, np.arange(22) // batch_size)
    assert log.losses.shape == (-(-22 // batch_size),)
    assert log.recorded.cut_grads.shape == (22, 8)

  @parameterized.parameters(4, 11)
  def test_equals_plain_training_of_the_joined_model(self, batch_size):
    inputs, labels = _data()
    before, actual, log = _epoch(inputs, labels, batch_size=batch_size)
    params, losses = before.params, []

    @jax.jit
    @jax.value_and_grad
    def loss_fn(params, batch):
      logits, _ = KWARGS['model'].apply(params, before.state, inputs[batch])
      return optax.softmax_cross_entropy_with_integer_labels(
        logits, labels[batch]
      ).mean()

    for start in range(0, 22, batch_size):
      batch = log.positions[start : start + batch_size]
      loss, grads = loss_fn(params, batch)
      params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
      losses.append(loss)
    _assert_trees_close(actual.params, params)
    np.testing.assert_allclose(log.losses, losses, rtol=1e-5)

  def test_recorded_gradients_belong_to_their_samples(self):
    inputs, labels = _data()
    before, _, log = _epoch(
      inputs, labels, record_fn=_record, optimizers=[optax.sgd(0.0)] * 2
    )
    (whole,) = split.split_grads(
      jax.random.key(0),
      before.params,
      before.state,
      inputs,
      labels,
      model=KWARGS['model'],
    ).exchanges
    sizes = np.bincount(log.steps)[log.steps]  # Gradients are of batch means.
    np.testing.assert_allclose(
      log.recorded.cut_grads * sizes[:, None],
      whole.cut_grads[log.positions] * 22,
      rtol=1e-4,
      atol=1e-6,
    )
    np.testing.assert_allclose(
      log.recorded.smashed, whole.smashed[log.positions], rtol=1e-5, atol=1e-6
    )

  def test_pairs_are_rows_of_the_data_in_every_batch(self):
    def batch(key, inputs, labels):
      order = jax.random.permutation(key, len(inputs))
      return inputs[order], labels[order]

    def pairs(key, batch_size):
      order = jax.random.permutation(key, batch_size)
      return jnp.full(batch_size, 0.25), order

    _, _, log = _epoch(
      *_data(),
      protection=Protection(batch=batch, pairs=pairs),
      record_fn=lambda exchanges: exchanges[0].smashed,
      optimizers=[optax.sgd(0.0)] * 2,
    )
    _, _, plain = _epoch(
      *_data(),
      record_fn=lambda exchanges: exchanges[0].smashed,
      optimizers=[optax.sgd(0.0)] * 2,
    )
    assert plain.pairs is None
    weights, partners = log.pairs
    assert weights.tolist() == [0.25] * 22
    by_row = np.zeros_like(plain.recorded)
    by_row[np.asarray(plain.positions)] = plain.recorded
    np.testing.assert_allclose(log.recorded, by_row[partners], atol=1e-5)

  @parameterized.parameters(4, 5, 9, 10)
  def test_pairs_are_what_mixup_did(self, batch_size):
    """Mixed rows of the identity say who was mixed with whom."""
    mixing = Protection(
      batch=functools.partial(mixup.mix, num_classes=3, alpha=0.7),
      pairs=functools.partial(mixup.pairs, alpha=0.7),
    )
    _, _, log = _epoch(
      jnp.eye(10),
      jnp.arange(10) % 3,
      batch_size=batch_size,
      model=split.SplitModel((lambda x: x, nn.Dense(3)), (1,)),
      record_fn=lambda exchanges: exchanges[0].smashed,
      protection=mixing,
    )
    weights, partners = map(np.asarray, log.pairs)
    assert weights.shape == partners.shape == (10,)
    expected = weights[:, None] * np.eye(10)[log.positions]
    expected += (1 - weights[:, None]) * np.eye(10)[partners]
    np.testing.assert_allclose(log.recorded, expected, atol=1e-6)
    # Each batch has its own weight, and its partners among its own.
    for step in range(-(-10 // batch_size)):
      batch = np.asarray(log.steps) == step
      assert len(np.unique(weights[batch])) == 1
      assert set(partners[batch]) == set(np.asarray(log.positions)[batch])
    assert len(np.unique(weights)) == -(-10 // batch_size)

  def test_without_pairs_there_are_none_in_the_log(self):
    assert _epoch(*_data())[2].pairs is None
    other = Protection(batch=lambda key, inputs, labels: (inputs, labels))
    assert _epoch(*_data(), protection=other)[2].pairs is None

  def test_incomplete_batch_has_statistics_of_its_own(self):
    model = split.SplitModel(
      (nn.Dense(4), nn.BatchNorm(momentum=0.0), nn.Dense(3)), (2,)
    )
    inputs, labels = _data(10)
    _, state, log = _epoch(
      inputs, labels, model=model, optimizers=[optax.sgd(0.0)] * 2
    )
    hidden = inputs[log.positions[8:]] @ state.params[0][0]['kernel']
    np.testing.assert_allclose(
      state.state[0][1]['batch_stats']['mean'], hidden.mean(0), atol=1e-5
    )

  @parameterized.parameters(0, 23)
  def test_batch_size_is_checked(self, batch_size):
    with self.assertRaisesRegex(ValueError, 'batch_size must be between 1 and'):
      _epoch(*_data(), batch_size=batch_size)

  def test_each_part_has_its_own_optimizer(self):
    before, after, _ = _epoch(
      *_data(), optimizers=[optax.sgd(0.0), optax.adam(0.1)]
    )
    _assert_trees_close(after.params[0], before.params[0])
    moved = [
      not np.allclose(a, b)
      for a, b in zip(
        *map(jax.tree.leaves, (after.params[1], before.params[1])), strict=True
      )
    ]
    assert all(moved)

  def test_protection_draws_anew_in_every_step(self):
    noise_fn = lambda key, g, labels: jnp.full_like(g, jax.random.uniform(key))
    _, _, log = _epoch(
      *_data(),
      record_fn=_record,
      protection=split.Protection(cut_grads=noise_fn),
    )
    drawn = np.unique(np.asarray(log.recorded.cut_grads))
    assert len(drawn) == 6  # One for each step, the incomplete one included.


class TrainTest(parameterized.TestCase):
  def test_equals_init_and_epochs_one_by_one(self):
    inputs, labels = _data()
    key = jax.random.key(3)
    kwargs = dict(KWARGS, batch_size=4)
    state, log, losses = training.train(
      key, inputs, labels, num_epochs=3, record_fn=_record, **kwargs
    )
    expected = training.init(training.init_key(key), inputs, **KWARGS)
    for epoch in range(3):
      expected, epoch_log = training.train_epoch(
        training.epoch_key(key, epoch),
        expected,
        inputs,
        labels,
        record_fn=_record,
        **kwargs,
      )
      np.testing.assert_allclose(losses[epoch], epoch_log.losses, rtol=1e-4)
      if epoch == 0:
        _assert_trees_close(log, epoch_log)
    _assert_trees_close(state, expected)

  def test_keys_and_learning_rates_are_vmapped_axes(self):
    inputs, labels = _data()

    @jax.jit
    def run(key, learning_rate):
      return training.train(
        key,
        inputs,
        labels,
        num_epochs=2,
        batch_size=8,
        model=KWARGS['model'],
        optimizers=[optax.sgd(learning_rate)] * 2,
      )

    keys = jax.random.split(jax.random.key(0), 2)
    rates = jnp.array([0.01, 0.1, 1.0])
    sweep = jax.vmap(jax.vmap(run, (None, 0)), (0, None))
    actual = jax.jit(sweep)(keys, rates)
    for s, key in enumerate(keys):
      for r, rate in enumerate(rates):
        one = jax.tree.map(lambda x, s=s, r=r: x[s, r], actual)
        _assert_trees_close(one, run(key, rate))

  def test_epochs_differ_in_order_and_are_shuffled(self):
    inputs, labels = _data()
    key = jax.random.key(0)
    train_state = training.init(training.init_key(key), inputs, **KWARGS)
    orders = [
      np.asarray(
        training.train_epoch(
          training.epoch_key(key, epoch),
          train_state,
          inputs,
          labels,
          batch_size=11,
          **KWARGS,
        )[1].positions
      )
      for epoch in range(2)
    ]
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], np.arange(22))

  def test_no_key_of_a_run_is_used_twice(self):
    key = jax.random.key(0)
    keys = [training.init_key(key)]
    keys += [training.epoch_key(key, epoch) for epoch in range(5)]
    data = {tuple(jax.random.key_data(k).tolist()) for k in keys}
    assert len(data) == 6

  def test_number_of_epochs_is_checked(self):
    inputs, labels = _data()
    with self.assertRaisesRegex(ValueError, 'num_epochs must be at least 1'):
      training.train(
        jax.random.key(0), inputs, labels, num_epochs=0, batch_size=4, **KWARGS
      )

  def test_learns(self):
    inputs, _ = _data(200)
    labels = jnp.argmax(inputs[:, :3], axis=1)
    state, _, losses = jax.jit(
      lambda key: training.train(
        key, inputs, labels, num_epochs=60, batch_size=20, **KWARGS
      )
    )(jax.random.key(0))
    result = inference.evaluate(state, inputs, model=KWARGS['model'])
    assert losses.shape == (60, 10)
    assert np.mean(result.logits.argmax(-1) == labels) > 0.95

  def test_augmentation_changes_what_is_trained_on(self):
    epoch = functools.partial(
      _epoch,
      *_data(),
      batch_size=8,
      record_fn=lambda exchanges: exchanges[0].smashed,
    )
    noise_fn = lambda key, x: x + jax.random.normal(key, x.shape)
    _, _, plain = epoch()
    _, _, same = epoch(augment_fn=lambda key, x: x)
    _, _, noisy = epoch(augment_fn=noise_fn)
    np.testing.assert_array_equal(plain.positions, noisy.positions)
    np.testing.assert_array_equal(plain.recorded, same.recorded)
    assert np.abs(noisy.recorded - same.recorded).max() > 0.1
