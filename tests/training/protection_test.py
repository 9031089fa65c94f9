"""Where defenses act in a step, and how several compose."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from splitjax import models
from splitjax import training
from splitjax.training import inference
from splitjax.training import protection
from splitjax.training import split

MODEL = split.SplitModel(models.mlp(3, hidden_sizes=(8, 6)), (3,))


def _problem():
  rng = np.random.default_rng(0)
  inputs = jnp.asarray(rng.normal(size=(6, 5)), jnp.float32)
  labels = jnp.asarray([0, 1, 2, 0, 1, 2])
  return *MODEL.init(jax.random.key(0), inputs), inputs, labels


def _grads(defended, key=0):
  return split.split_grads(
    jax.random.key(key), *_problem(), model=MODEL, protection=defended
  )


def _close(actual, expected):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    actual,
    expected,
  )


def test_batch_is_what_both_parties_train_on():
  params, state, inputs, labels = _problem()

  def turned(key, inputs, labels):
    del key
    return inputs[::-1] / 2, labels[::-1]

  expected = split.split_grads(
    jax.random.key(0), params, state, inputs[::-1] / 2, labels[::-1],
    model=MODEL,
  )  # fmt: skip
  _close(_grads(protection.Protection(batch=turned)), expected)


def test_loss_is_minimised_instead_and_sees_the_smashed_data():
  """A penalty on the smashed data reaches the message, and the client."""

  def penalised(loss_fn, logits, smashed, labels):
    return loss_fn(logits, labels) + jnp.sum(smashed**2, axis=1)

  plain = _grads(protection.Protection())
  actual = _grads(protection.Protection(loss=penalised))
  (exchange,) = plain.exchanges
  expected = exchange.cut_grads + 2 * exchange.smashed / 6
  _close(actual.exchanges[0].cut_grads, expected)
  _close(actual.grads[1], plain.grads[1])


def test_monitor_notes_what_the_defense_then_hides():
  note = lambda cut_grads, labels: {
    'sum': jnp.sum(cut_grads),
    'classes': labels,
  }
  hidden = protection.Protection(
    cut_grads=lambda key, g, labels: 0 * g, monitor=note
  )
  result = _grads(hidden)
  plain = _grads(protection.Protection())
  assert plain.monitored is None
  np.testing.assert_allclose(
    result.monitored['sum'], plain.exchanges[0].cut_grads.sum(), rtol=1e-4
  )
  np.testing.assert_array_equal(result.monitored['classes'], _problem()[3])


@pytest.mark.parametrize('batch_size', [3, 4])
def test_epoch_keeps_what_was_noted_of_each_step(batch_size):
  inputs, labels = _problem()[2:]
  kwargs = dict(model=MODEL, optimizers=[optax.sgd(0.1)] * 2)
  _, log = training.train_epoch(
    jax.random.key(1),
    training.init(jax.random.key(0), inputs, **kwargs),
    inputs,
    labels,
    batch_size=batch_size,
    protection=protection.Protection(monitor=lambda g, labels: labels.sum()),
    **kwargs,
  )
  first = labels[log.positions[:batch_size]].sum()
  np.testing.assert_array_equal(log.monitored, [first, labels.sum() - first])


def test_stored_labels_are_drawn_once_and_by_the_run():
  inputs, labels = _problem()[2:]
  draw = lambda key, labels: jax.random.randint(key, labels.shape, 0, 3)
  seen = []

  def spy(key, labels):
    del key
    jax.debug.callback(lambda x: seen.append(np.asarray(x)), labels)
    return labels

  run = lambda key: training.train(
    key,
    inputs,
    labels,
    num_epochs=2,
    batch_size=6,
    model=MODEL,
    optimizers=[optax.sgd(0.1)] * 2,
    protection=protection.Protection(stored_labels=draw, labels=spy),
  )
  _, log, _ = run(jax.random.key(5))
  jax.effects_barrier()
  stored = protection.draw_stored_labels(
    jax.random.key(5), labels, protection.Protection(stored_labels=draw)
  )
  np.testing.assert_array_equal(seen[0], stored[log.positions])
  np.testing.assert_array_equal(np.sort(seen[0]), np.sort(seen[1]))
  other = protection.draw_stored_labels(
    jax.random.key(6), labels, protection.Protection(stored_labels=draw)
  )
  assert not np.array_equal(stored, other)


def test_inference_sends_protected_smashed_data_and_reads_answers():
  params, state, inputs, _ = _problem()
  train_state = training.TrainState(params, state, ())
  noisy = protection.Protection(
    smashed=lambda key, x: x + jax.random.normal(key, x.shape),
    answers=lambda logits: -logits,
  )
  run = functools.partial(
    inference.evaluate,
    train_state,
    inputs,
    model=MODEL,
    record_fn=lambda smashed: smashed[0],
    batch_size=4,
  )
  plain = run()
  one = run(protection=noisy, key=jax.random.key(0))
  noise = np.asarray(one.recorded - plain.recorded)
  assert len(np.unique(noise.round(5))) == noise.size  # Each batch its own.
  logits, _ = MODEL.apply_part(1, params[1], state[1], one.recorded)
  np.testing.assert_allclose(one.logits, -logits, rtol=1e-5, atol=1e-6)


class TestCompose:
  def test_nothing_is_nothing(self):
    assert protection.compose([]) == protection.Protection()

  def test_one_is_itself(self):
    one = protection.Protection(labels=lambda key, labels: labels)
    assert protection.compose([one]) == one

  def test_each_acts_on_what_the_one_before_made(self):
    add = protection.Protection(
      stored_labels=lambda key, y: y + 1,
      labels=lambda key, y: y + 1,
      batch=lambda key, x, y: (x + 1, y + 1),
      smashed=lambda key, x: x + 1,
      cut_grads=lambda key, g, y: g + 1,
      answers=lambda x: x + 1,
      loss=lambda fn, logits, smashed, y: fn(logits, y) + smashed,
    )
    double = protection.Protection(
      stored_labels=lambda key, y: 2 * y,
      labels=lambda key, y: 2 * y,
      batch=lambda key, x, y: (2 * x, 2 * y),
      smashed=lambda key, x: 2 * x,
      cut_grads=lambda key, g, y: 2 * g,
      answers=lambda x: 2 * x,
      loss=lambda fn, logits, smashed, y: 2 * fn(logits, y),
    )
    both = protection.compose([add, protection.Protection(), double])
    key = jax.random.key(0)
    assert both.stored_labels(key, 1) == 4
    assert both.labels(key, 1) == 4
    assert both.batch(key, 1, 2) == (4, 6)
    assert both.smashed(key, 1) == 4
    assert both.cut_grads(key, 1, None) == 4
    assert both.answers(1) == 4
    assert both.loss(lambda logits, y: logits * y, 3, 5, 7) == 2 * (21 + 5)

  def test_draws_are_independent(self):
    draw = protection.Protection(
      cut_grads=lambda key, g, y: g + jax.random.normal(key, g.shape)
    )
    key = jax.random.key(0)
    both = protection.compose([draw, draw]).cut_grads(key, jnp.zeros(2000), 0)
    # The variance of a sum of two; 4 if they were the same draw.
    np.testing.assert_allclose(np.var(both), 2, rtol=0.15)

  @pytest.mark.parametrize('place', ['server_grads', 'monitor', 'pairs'])
  def test_two_of_what_only_one_can_do_are_refused(self, place):
    one = protection.Protection(**{place: lambda *args: None})
    with pytest.raises(ValueError, match=f'one {place} at most, got 2'):
      protection.compose([one, one])

  @pytest.mark.parametrize('before', [0, 1, 2])
  @pytest.mark.parametrize('after', [0, 1])
  def test_pairs_are_those_of_the_batch_beside_other_defenses(
    self, before, after
  ):
    """Other defenses of the batch take keys of their own."""
    draw = lambda key, size: jax.random.permutation(key, size)
    mixing = protection.Protection(
      batch=lambda key, x, y: (x[draw(key, len(x))], y),
      pairs=lambda key, size: (jnp.ones(size), draw(key, size)),
    )
    other = protection.Protection(
      batch=lambda key, x, y: (x + 0 * jax.random.normal(key, x.shape), y)
    )
    silent = protection.Protection(labels=lambda key, y: y)
    all_of_them = [*[other] * before, silent, mixing, *[other] * after]
    both = protection.compose(all_of_them)
    key = jax.random.key(2)
    mixed, _ = both.batch(key, jnp.arange(20.0), None)
    _, partners = both.pairs(key, 20)
    np.testing.assert_array_equal(mixed, partners)

  def test_pairs_are_recorded_and_nothing_else_is_paired(self):
    assert _grads(protection.Protection()).pairs is None
    reverse = protection.Protection(
      pairs=lambda key, size: (jnp.full(size, 0.75), jnp.arange(size)[::-1])
    )
    weights, partners = _grads(reverse).pairs
    np.testing.assert_array_equal(weights, [0.75] * 6)
    np.testing.assert_array_equal(partners, [5, 4, 3, 2, 1, 0])
