import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import losses as losses_lib
from splitjax.attacks import surrogate

SQUARED = lambda outputs, targets: jnp.sum((outputs - targets) ** 2, axis=1)


def _draw(seed=0, num=6, width=5, num_outputs=3, hidden_sizes=()):
  rng = np.random.default_rng(seed)
  layers = surrogate.init_top(
    jax.random.key(seed), width, num_outputs, hidden_sizes
  )
  layers = tuple(
    (kernel, jnp.asarray(rng.normal(size=bias.shape), jnp.float32))
    for kernel, bias in layers
  )
  draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
  return layers, draw(num, width), draw(num, width), draw(num, num_outputs)


def _outputs(layers, row):
  """Layer by layer."""
  for kernel, bias in layers:
    row = row @ kernel + bias
  return row


def _slow_grads(layers, smashed, targets, loss_fn):
  """Of each sample's own loss, one sample after the other."""
  loss = lambda row, target: loss_fn(_outputs(layers, row)[None], target[None])[
    0
  ]
  grad_fn = jax.jit(jax.grad(loss))
  pairs = zip(smashed, targets, strict=True)
  return np.array([grad_fn(*pair) for pair in pairs])


@pytest.mark.parametrize('hidden_sizes', [(), (4, 7)])
@pytest.mark.parametrize('form', ['hard', 'soft', 'real'])
def test_grads_equal_differentiation_sample_by_sample(form, hidden_sizes):
  layers, smashed, _, free = _draw(hidden_sizes=hidden_sizes)
  targets, loss_fn = {
    'hard': (jnp.arange(6) % 3, losses_lib.cross_entropy),
    'soft': (jax.nn.softmax(free), losses_lib.cross_entropy),
    'real': (free, SQUARED),
  }[form]
  actual = surrogate.surrogate_grads(layers, smashed, targets, loss_fn)
  expected = _slow_grads(layers, smashed, targets, loss_fn)
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('hidden_sizes', [(), (4, 7)])
def test_class_mismatch_equals_a_loop_over_classes(hidden_sizes):
  layers, smashed, received, _ = _draw(num=7, hidden_sizes=hidden_sizes)
  received = received.at[2].set(0.0)
  units = surrogate.units_of(received)
  actual = surrogate.class_mismatch(layers, smashed, units)
  chunked = surrogate.class_mismatches(layers, smashed, units)
  for label in range(3):
    labels = jnp.full(7, label)
    grads = _slow_grads(layers, smashed, labels, losses_lib.cross_entropy)
    grads = grads / np.linalg.norm(grads, axis=1, keepdims=True)
    expected = np.sum((grads - np.asarray(units)) ** 2, axis=1)
    np.testing.assert_allclose(actual[:, label], expected, rtol=1e-4)
  np.testing.assert_allclose(chunked, actual, rtol=1e-5)


def test_mismatches_do_not_depend_on_scale():
  _, grads, received, _ = _draw()
  units = surrogate.units_of(received)
  cosines = np.sum(np.asarray(units * surrogate.units_of(grads)), axis=1)
  for scale in (1e-4, 1.0, 1e4):
    np.testing.assert_allclose(
      surrogate.mismatch(scale * grads, units), 2 - 2 * cosines, rtol=1e-4
    )
    np.testing.assert_allclose(
      surrogate.relative_mismatch(scale * grads, received / scale),
      surrogate.relative_mismatch(grads, received),
      rtol=1e-4,
    )
  np.testing.assert_allclose(
    surrogate.relative_mismatch(received * 3, received), np.zeros(6), atol=1e-6
  )
  # Lengths within the batch do count.
  longer = received.at[0].multiply(2.0)
  assert np.all(surrogate.relative_mismatch(longer, received) > 1e-4)


def test_zero_gradients_have_finite_derivatives():
  zeros = jnp.zeros((3, 4))
  for fn in (surrogate.mismatch, surrogate.relative_mismatch):
    for received in (zeros, jnp.ones((3, 4))):
      with jax.debug_nans(True):
        grads = jax.grad(lambda x: jnp.sum(fn(x, received)))(zeros)  # noqa: B023
      assert np.isfinite(grads).all()


def test_standardize_centres_and_keeps_shape():
  _, smashed, aux, _ = _draw(num=50)
  for scale, shift in ((1.0, 0.0), (1e-25, 0.0), (1e25, 0.0), (1.0, 100.0)):
    new, new_aux = surrogate.standardize(
      smashed * scale + shift, aux * scale + shift
    )
    np.testing.assert_allclose(np.mean(new, axis=0), np.zeros(5), atol=1e-4)
    assert np.mean(np.asarray(new) ** 2) == pytest.approx(1, rel=1e-3)
    centre = np.mean(np.asarray(smashed), axis=0)
    spread = np.std(np.asarray(smashed) - centre)
    expected = (np.asarray(aux) - centre) / spread
    np.testing.assert_allclose(new_aux, expected, atol=1e-3)
  constant, _ = surrogate.standardize(jnp.full((4, 2), 3.0), aux[:, :2])
  np.testing.assert_array_equal(constant, np.zeros((4, 2)))


def test_best_of_restarts_ended_lowest():
  keys = jax.random.split(jax.random.key(0), 3)
  draws = jax.vmap(jax.random.uniform)(keys)

  def run(key):
    draw = jax.random.uniform(key)
    return draw, jnp.stack([1 - draw, draw])  # The first loss is no matter.

  best, losses = surrogate.best_of_restarts(jax.random.key(0), run, 3)
  assert best == draws.min() < draws.max()
  np.testing.assert_array_equal(losses, jnp.stack([1 - best, best]))


def test_bad_arguments_are_named():
  good = dict(num_epochs=1, batch_size=1)
  rows, fewer = jnp.ones((4, 2)), jnp.ones((3, 2))
  for message, args, kwargs in (
    ('cut_grads must have one row', (rows, fewer, ()), good),
    ('cut_grads must have one row', (rows[:0], rows[:0], ()), good),
    (
      'aux_cut_grads must have one row',
      (rows, rows, ()),
      good | dict(aux_smashed=fewer, aux_cut_grads=rows),
    ),
    ('hidden_sizes must be at least 1', (rows, rows, (3, 0)), good),
    ('num_epochs must be', (rows, rows, ()), good | dict(num_epochs=0)),
    ('batch_size must be', (rows, rows, ()), good | dict(batch_size=0)),
  ):
    with pytest.raises(ValueError, match=message):
      surrogate.check(*args, **kwargs)
