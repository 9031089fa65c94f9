import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import surrogate_fit


@pytest.mark.parametrize('num, batch_size', [(1, 5), (8, 4), (7, 3)])
def test_fit_visits_every_sample_in_every_epoch(num, batch_size):
  def loss_fn(key, progress, top, labels, rows):
    del key, rows
    # Constant gradients: Adam's steps are then exactly the learning rate.
    return jnp.mean(labels) + top + jax.lax.stop_gradient(progress - top)

  num_epochs, num_batches = 4, -(-num // batch_size)
  top, labels, losses = jax.jit(
    lambda key: surrogate_fit.fit(
      key,
      jnp.zeros(()),
      jnp.zeros((num, 1)),
      loss_fn,
      num_epochs=num_epochs,
      batch_size=batch_size,
      learning_rate=0.5,
      label_learning_rate=0.1,
    )
  )(jax.random.key(0))
  assert float(top) == pytest.approx(-0.5 * num_epochs * num_batches, rel=1e-4)
  steps = -np.asarray(labels) / 0.1
  np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
  assert steps.min() > num_epochs - 0.1  # Batches may be filled up, never cut.
  size = -(-num // num_batches)
  assert steps.sum() == pytest.approx(num_epochs * num_batches * size, rel=1e-4)
  progress = np.arange(num_epochs) / num_epochs
  assert losses[0] <= progress[0] and losses[-1] <= progress[-1]


def test_fit_draws_a_new_order_and_new_keys():
  def loss_fn(key, progress, top, labels, rows):
    del progress, labels
    draw = jax.lax.stop_gradient(jax.random.uniform(key) + rows[0])
    return draw + 0.0 * top

  fit = lambda key: surrogate_fit.fit(
    key,
    jnp.zeros(()),
    jnp.zeros((64, 0)),
    loss_fn,
    num_epochs=5,
    batch_size=64,
    learning_rate=0.1,
  )[2]
  losses = jax.jit(jax.vmap(fit))(jax.random.split(jax.random.key(0), 2))
  assert len(np.unique(np.asarray(losses) % 1)) == 10
  assert len(np.unique(np.floor(losses))) > 4
