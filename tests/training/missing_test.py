import jax
import jax.numpy as jnp
import numpy as np

from splitjax.training import missing


def test_nobody_is_drawn_missing_without_a_rate():
  assert missing.DropOut().draw(jax.random.key(0), 3) is None
  assert missing.DropOut().in_inference(3) is None


def test_absent_parties_are_those_named():
  found = missing.DropOut(absent=(0, 2)).in_inference(4)
  assert found.tolist() == [False, True, False, True]


def test_running_mean_is_that_of_the_steps_in_which_the_party_was_there():
  rng = np.random.default_rng(0)
  sent = rng.normal(size=(8, 2, 6, 3)).astype(np.float32)  # Steps, parties.
  there = rng.uniform(size=(8, 2)) < 0.6
  means = missing.start_means(list(sent[0]))
  for values, present in zip(sent, there, strict=True):
    means = missing.update_means(means, list(values), jnp.asarray(present))
  for party in range(2):  # Up to ten steps all count alike.
    expected = sent[there[:, party], party].mean(axis=(0, 1))
    np.testing.assert_allclose(means.values[party], expected, rtol=1e-4)
  np.testing.assert_array_equal(means.counts, there.sum(axis=0))


def test_running_mean_forgets_what_was_sent_long_ago():
  means = missing.start_means([jnp.zeros((1, 1))])
  for value in [100.0] * 20 + [1.0] * 100:
    means = missing.update_means(means, [jnp.full((1, 1), value)], None)
  assert 1.0 < float(means.values[0][0]) < 1.01


def test_no_gradient_goes_to_what_is_missing():
  def total(sent):
    filled = missing.fill_in([sent, sent], jnp.array([True, False]), None)
    return jnp.sum(filled[0]) + 10 * jnp.sum(filled[1])

  np.testing.assert_array_equal(jax.grad(total)(jnp.ones((2, 2))), 1.0)
