import jax
import jax.numpy as jnp
import numpy as np

from splitjax.attacks import passes


def _turning(seed, num_passes=8, num=200, width=6, noise=1.0):
  """Groups whose means turn a little from pass to pass."""
  rng = np.random.default_rng(seed)
  truth = rng.integers(0, 3, num)
  means = rng.normal(size=(3, width)) * 2
  points = []
  for _ in range(num_passes):
    means = means + 0.2 * rng.normal(size=means.shape)
    points.append(means[truth] + noise * rng.normal(size=(num, width)))
  return jnp.asarray(np.stack(points), jnp.float32), truth


def _slow_log_likelihoods(points, members):
  """In float64, with loops, of means and spreads made of memberships."""
  total = 0
  for x, weights in zip(np.float64(points), np.float64(members), strict=True):
    means = (weights.T @ x) / weights.sum(0)[:, None]
    far = ((x[:, None] - means[None]) ** 2).sum(-1)
    spread = (weights * far).sum() / x.size
    total = total - far / (2 * spread) - x.shape[1] / 2 * np.log(spread)
  return total


def test_each_pass_adds_its_own_likelihood():
  points, truth = _turning(0)
  members = jnp.broadcast_to(jax.nn.one_hot(truth, 3), (8, 200, 3)) * 0.8 + 0.1
  sent = jnp.ones((8, 200), bool)
  found = passes._each_pass(points, members, sent=sent, loo=False)
  found = jnp.sum(found, axis=0)
  expected = _slow_log_likelihoods(points, members)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=0.5)


def test_fit_finds_groups_that_one_pass_does_not_tell():
  points, truth = _turning(1, noise=4.0)
  rng = np.random.default_rng(0)
  start = np.where(rng.random(200) < 0.4, rng.integers(0, 3, 200), truth)
  one_hot = jax.nn.one_hot(jnp.asarray(start), 3)
  share = {}
  for num in (1, 8):
    members = jnp.broadcast_to(one_hot, (num, 200, 3))
    found = jax.jit(passes.fit)(points[:num], members)
    labels = jnp.argmax(found.log_likelihoods, axis=1)
    share[num] = np.mean(labels == truth)
  assert share[8] > 0.85 > share[1] + 0.1


def test_pass_in_which_nothing_was_sent_of_a_sample_says_nothing():
  points, truth = _turning(4, noise=0.5)
  rng = np.random.default_rng(4)
  sent = rng.random((8, 200)) < 0.3
  sent[0] = True
  # Without it, what half of the samples have in common would be a group.
  fits = [
    jax.jit(passes.fit)(
      jnp.where(sent[..., None], points, other),
      jnp.broadcast_to(jax.nn.one_hot(truth, 3), (8, 200, 3)),
      sent,
    )
    for other in (0.0, 50.0)
  ]
  for found in fits:
    labels = jnp.argmax(found.log_likelihoods, axis=1)
    assert np.mean(labels == truth) > 0.99
  np.testing.assert_array_equal(*(x.log_likelihoods for x in fits))


def test_groups_are_carried_on_while_samples_move():
  rng = np.random.default_rng(2)
  points, _ = _turning(2, noise=0.2)
  drawn = rng.integers(0, 3, (8, 200))
  means = rng.normal(size=(3, 6)) * 3
  turns = np.cumsum(0.2 * rng.normal(size=(8, 3, 6)), axis=0)
  points = (means[None] + turns)[np.arange(8)[:, None], drawn]
  points = jnp.float32(points + 0.2 * rng.normal(size=points.shape))
  found = jax.jit(passes.carry_on, static_argnums=2)(points, drawn[0], 3)
  assert np.mean(found == drawn) > 0.99


def test_likeliest_start_wins():
  points, truth = _turning(3, noise=0.5)
  worse = np.where(np.arange(200) < 100, 0, 1)
  starts = [np.broadcast_to(x, (8, 200)) for x in (worse, truth)]
  found = passes.best_fit(points, jnp.asarray(np.stack(starts)), 3)
  alone = passes.fit(points, jax.nn.one_hot(starts[1], 3))
  np.testing.assert_allclose(found.total, alone.total, rtol=1e-5)


def test_empty_group_keeps_its_mean():
  means = jnp.array([[0.0, 1.0], [5.0, 5.0]])
  found = passes.means_of(jnp.ones((3, 2)), jnp.zeros(3, int), means)
  assert found.tolist() == [[1.0, 1.0], [5.0, 5.0]]
