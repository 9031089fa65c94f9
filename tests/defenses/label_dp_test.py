from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.defenses import label_dp

_EPSILONS = np.float32([0.1, 0.5, 1, 5, 10])

# A prior with zeros and ties, one with all its mass on a class, and others.
_PRIORS = st.one_of(
  st.lists(st.sampled_from([0.0, 0.1, 0.5]), min_size=6, max_size=6),
  st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6),
  st.integers(0, 5).map(lambda i: np.eye(6)[i].tolist()),
)

_prior_channel = jax.jit(
  lambda prior, epsilon: label_dp.rr_with_prior_channel(prior, epsilon=epsilon)
)


def _top(prior, epsilon):
  """The classes that RRWithPrior responds with, in float64."""
  prior = np.asarray(prior, float)
  order = sorted(range(len(prior)), key=lambda i: (-prior[i], i))
  scores = [
    np.exp(epsilon) / (np.exp(epsilon) + k - 1) * prior[order[:k]].sum()
    for k in range(1, len(prior) + 1)
  ]
  return order[: int(np.argmax(scores)) + 1]


def _channel(top, num_classes, epsilon):
  """Randomized response among the classes of `top`."""
  rows = np.zeros((num_classes, num_classes))
  for label in range(num_classes):
    for released in top:
      if label not in top:
        rows[label, released] = 1 / len(top)
      else:
        weight = np.exp(epsilon) if released == label else 1
        rows[label, released] = weight / (np.exp(epsilon) + len(top) - 1)
  return rows


def _assert_private(channel, epsilon):
  rows = np.asarray(channel, float)
  np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
  # Of any two true labels, for any released one; 0 <= 0 where it is impossible.
  bound = np.exp(epsilon) * (1 + 1e-5)
  assert (rows[:, None] <= bound * rows[None]).all()


class ChannelTest(parameterized.TestCase):
  @parameterized.parameters(1, 2, 10)
  def test_randomized_response_matches_numpy(self, num_classes):
    channel_fn = lambda epsilon: label_dp.randomized_response_channel(
      num_classes=num_classes, epsilon=epsilon
    )
    actual = jax.jit(jax.vmap(channel_fn))(_EPSILONS)
    for channel, epsilon in zip(actual, _EPSILONS, strict=True):
      expected = _channel(range(num_classes), num_classes, float(epsilon))
      np.testing.assert_allclose(channel, expected, rtol=2e-6)
      _assert_private(channel, float(epsilon))

  @parameterized.parameters(1, 2, 7)
  def test_prior_matches_numpy(self, num_classes):
    rng = np.random.default_rng(0)
    priors = rng.dirichlet(np.full(num_classes, 0.3), 30).astype(np.float32)
    actual = jax.vmap(_prior_channel, (None, 0))(priors, _EPSILONS)
    assert actual.shape == (5, 30, num_classes, num_classes)
    sizes = set()
    for channels, epsilon in zip(actual, _EPSILONS, strict=True):
      for channel, prior in zip(channels, priors, strict=True):
        top = _top(prior, float(epsilon))
        sizes.add(len(top))
        expected = _channel(top, num_classes, float(epsilon))
        np.testing.assert_allclose(channel, expected, rtol=2e-6)
    assert len(sizes) == num_classes

  @hypothesis.given(_PRIORS, st.floats(0, 60, width=32))
  def test_prior_is_private_and_stays_within_the_top(self, prior, epsilon):
    prior = np.float32(prior)
    channel = np.asarray(_prior_channel(prior, np.float32(epsilon)))
    _assert_private(channel, epsilon)
    in_top = channel.sum(axis=0) > 0
    # Those in the top are at least as likely as those outside, ties in order.
    order = np.argsort(-prior, kind='stable')
    assert in_top[order[: in_top.sum()]].all()
    outside = channel[~in_top]
    expected = np.broadcast_to(in_top / in_top.sum(), outside.shape)
    np.testing.assert_allclose(outside, expected, rtol=1e-6)

  @hypothesis.given(_PRIORS, st.floats(0, 20, width=32))
  def test_no_other_number_of_classes_keeps_more(self, prior, epsilon):
    channel = _prior_channel(np.float32(prior), np.float32(epsilon))
    kept = float(np.diagonal(channel) @ np.float64(prior))
    order = np.argsort(-np.array(prior), kind='stable')
    for k in range(1, 7):
      other = _channel(order[:k].tolist(), 6, epsilon)
      assert kept >= np.diagonal(other) @ np.array(prior) - 1e-5

  def test_uniform_prior_is_randomized_response(self):
    for epsilon in _EPSILONS:
      np.testing.assert_array_equal(
        _prior_channel(jnp.full(4, 0.25), epsilon),
        label_dp.randomized_response_channel(num_classes=4, epsilon=epsilon),
      )

  def test_prior_ignores_its_scale_and_ties_go_to_the_first(self):
    prior = jnp.array([1.0, 5.0, 5.0, 0.0, 5.0])
    channel = _prior_channel(prior, 0.0)
    # At epsilon 0, any number of equally likely classes does: the least is one.
    np.testing.assert_array_equal(channel, np.tile(np.eye(5)[1], (5, 1)))
    np.testing.assert_array_equal(
      _prior_channel(prior, 2.0), _prior_channel(prior * 1024, 2.0)
    )

  @parameterized.parameters(88.0, 1e3, 3e38)
  def test_large_epsilon_does_not_overflow(self, epsilon):
    with jax.debug_nans(True):
      channel = label_dp.randomized_response_channel(
        num_classes=5, epsilon=epsilon
      )
      with_prior = _prior_channel(jnp.array([0.0, 1.0, 0.0]), epsilon)
    np.testing.assert_array_equal(channel > 0.9, np.eye(5, dtype=bool))
    # However large, only infinity is off.
    np.testing.assert_array_equal(with_prior, np.tile([0, 1, 0], (3, 1)))

  def test_infinite_epsilon_is_the_identity(self):
    priors = jnp.array([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5], [0.0, 0.0, 0.0]])
    with jax.debug_nans(True):
      channels = _prior_channel(priors, jnp.inf)
    np.testing.assert_array_equal(channels, np.stack([np.eye(3)] * 3))

  @parameterized.parameters(
    (2, [0.525, 0.622, 0.731, 0.993, 1.0]),
    (10, [0.109, 0.155, 0.232, 0.943, 0.9996]),
  )
  def test_keep_probability_is_the_papers(self, num_classes, expected):
    counts = jnp.full(num_classes, 600)
    channels = jax.vmap(_prior_channel, (None, 0))(counts, _EPSILONS)
    actual = label_dp.keep_probability(channels, counts)
    np.testing.assert_allclose(actual, expected, atol=5e-4)

  def test_keep_probability_weighs_classes_by_frequency(self):
    channels = _prior_channel(jnp.array([[0.9, 0.1], [0.5, 0.5]]), 1.0)
    e = np.exp(1)
    # The first prior lets class 0 alone through.
    np.testing.assert_allclose(
      label_dp.keep_probability(channels, jnp.array([3.0, 1.0])),
      [0.75, e / (e + 1)],
      rtol=1e-6,
    )


class DrawTest(parameterized.TestCase):
  num_draws = 20_000

  def _assert_drawn_from(self, drawn, labels, channel):
    num_classes = len(channel)
    for label in range(num_classes):
      released = np.bincount(
        np.asarray(drawn)[np.asarray(labels) == label], minlength=num_classes
      )
      share = released / released.sum()
      # Five standard errors of a share; one of 36 shares exceeds them in 50,000
      # runs.
      error = np.sqrt(channel[label] * (1 - channel[label]) / released.sum())
      np.testing.assert_array_less(
        abs(share - channel[label]), 5 * error + 1e-9
      )

  def test_randomized_response_follows_its_channel(self):
    labels = jnp.arange(self.num_draws) % 4
    draw_fn = lambda epsilon: label_dp.randomized_response(
      jax.random.key(0), labels, num_classes=4, epsilon=epsilon
    )
    epsilons = np.float32([0, 0.5, 3])
    for drawn, epsilon in zip(
      jax.jit(jax.vmap(draw_fn))(epsilons), epsilons, strict=True
    ):
      channel = _channel(range(4), 4, float(epsilon))
      self._assert_drawn_from(drawn, labels, channel)

  def test_prior_follows_its_channel(self):
    labels = jnp.arange(self.num_draws) % 4
    priors = jnp.array([[0.4, 0.0, 0.35, 0.25], [0.1, 0.1, 0.7, 0.1]])
    draw_fn = lambda prior: label_dp.rr_with_prior(
      jax.random.key(1), labels, num_classes=4, epsilon=1.0, prior=prior
    )
    for drawn, prior in zip(
      jax.jit(jax.vmap(draw_fn))(priors), priors, strict=True
    ):
      channel = _channel(_top(prior, 1.0), 4, 1.0)
      assert (channel.sum(axis=0) == 0).any()
      self._assert_drawn_from(drawn, labels, channel)

  def test_each_sample_can_have_its_prior(self):
    labels = jnp.arange(self.num_draws) % 3
    which = np.arange(self.num_draws) // 3 % 2
    priors = jnp.array([[0.6, 0.3, 0.1], [0.0, 0.5, 0.5]])
    drawn = jax.jit(label_dp.rr_with_prior, static_argnames='num_classes')(
      jax.random.key(2),
      labels,
      num_classes=3,
      epsilon=1.5,
      prior=priors[which],
    )
    drawn, labels = np.asarray(drawn), np.asarray(labels)
    for i in range(2):
      channel = _channel(_top(priors[i], 1.5), 3, 1.5)
      self._assert_drawn_from(drawn[which == i], labels[which == i], channel)

  @parameterized.parameters('int32', 'uint8')
  def test_infinite_epsilon_returns_the_labels(self, dtype):
    labels = jnp.array([3, 0, 1, 1, 2], dtype)
    prior = jnp.array([0.0, 0.0, 0.0, 1.0])

    @jax.jit
    def draw(epsilon):
      kwargs = dict(num_classes=4, epsilon=epsilon)
      key = jax.random.key(0)
      return (
        label_dp.randomized_response(key, labels, **kwargs),
        label_dp.rr_with_prior(key, labels, prior=prior, **kwargs),
        label_dp.second_stage(key, labels, jnp.zeros((5, 4)), **kwargs),
      )

    for drawn in draw(jnp.inf):
      assert drawn.dtype == dtype
      assert drawn.tobytes() == labels.tobytes()
    assert all(drawn.dtype == dtype for drawn in draw(0.5))
    np.testing.assert_array_equal(draw(0.5)[1], np.full(5, 3))

  def test_one_sample_and_one_class(self):
    for epsilon in (0.0, 1.0, jnp.inf):
      drawn = label_dp.rr_with_prior(
        jax.random.key(0),
        jnp.array([0]),
        num_classes=1,
        epsilon=epsilon,
        prior=jnp.ones(1),
      )
      np.testing.assert_array_equal(drawn, [0])

  def test_keys_differ_and_a_key_repeats(self):
    labels = jnp.zeros(100, jnp.int32)
    draw_fn = jax.jit(
      lambda seed: label_dp.randomized_response(
        jax.random.key(seed), labels, num_classes=10, epsilon=1.0
      )
    )
    np.testing.assert_array_equal(draw_fn(0), draw_fn(0))
    assert (draw_fn(0) != draw_fn(1)).any()

  @parameterized.named_parameters(
    ('epsilon', dict(epsilon=-1.0), 'epsilon must be at least 0, got -1.0'),
    ('nan', dict(epsilon=float('nan')), 'epsilon must be at least 0, got nan'),
    ('classes', dict(num_classes=0), 'num_classes must be at least 1, got 0'),
    ('labels', dict(labels=jnp.ones(3)), 'labels must be integers, got float'),
    ('prior', dict(prior=jnp.ones((2, 4))), r'prior must have .* got \(2, 4\)'),
  )
  def test_bad_argument_is_named(self, change, message):
    kwargs = dict(
      labels=jnp.arange(3), num_classes=4, epsilon=1.0, prior=jnp.ones(4)
    )
    with self.assertRaisesRegex(ValueError, message):
      label_dp.rr_with_prior(jax.random.key(0), **{**kwargs, **change})


class TwoStagesTest(parameterized.TestCase):
  @parameterized.parameters(1, 2, 7, 1000)
  def test_first_stage_is_half_of_the_samples(self, num_samples):
    first = label_dp.first_stage_split(jax.random.key(0), num_samples)
    assert first.shape == (num_samples,) and first.dtype == bool
    assert first.sum() == (num_samples + 1) // 2

  def test_first_stage_is_drawn_evenly(self):
    keys = jax.random.split(jax.random.key(0), 2000)
    split_fn = lambda key: label_dp.first_stage_split(key, 10)
    share = jax.vmap(split_fn)(keys).mean(axis=0)
    # The standard error is 0.5 / sqrt(2000) = 0.011.
    np.testing.assert_allclose(share, 0.5, atol=0.05)

  @parameterized.product(dtype=['float32', 'bfloat16'], temperature=[0.5, 4.0])
  def test_second_stage_has_the_softmax_as_prior(self, dtype, temperature):
    rng = np.random.default_rng(0)
    logits = jnp.asarray(3 * rng.normal(size=(500, 5)), dtype)
    labels = jnp.asarray(rng.integers(0, 5, 500))
    kwargs = dict(num_classes=5, epsilon=2.0)
    key = jax.random.key(0)
    actual = label_dp.second_stage(
      key, labels, logits, temperature=temperature, **kwargs
    )
    prior = np.exp(np.asarray(logits, float) / temperature)
    prior /= prior.sum(axis=1, keepdims=True)
    expected = label_dp.rr_with_prior(key, labels, prior=prior, **kwargs)
    np.testing.assert_array_equal(actual, expected)
    # A prior that is sure of a wrong label replaces it.
    assert 0 < (actual != labels).mean() < 1

  def test_second_stage_is_defined_for_any_logits(self):
    logits = jnp.array([[3e38, -3e38], [0.0, 0.0], [-1e30, -2e30]])
    with jax.debug_nans(True):
      drawn = label_dp.second_stage(
        jax.random.key(0),
        jnp.array([1, 1, 1]),
        logits,
        num_classes=2,
        epsilon=1.0,
        temperature=1e-30,
      )
    np.testing.assert_array_equal(drawn[jnp.array([0, 2])], [0, 0])

  def test_bad_argument_is_named(self):
    with self.assertRaisesRegex(ValueError, 'num_samples must be .* got 0'):
      label_dp.first_stage_split(jax.random.key(0), 0)
    with self.assertRaisesRegex(ValueError, 'temperature must be positive'):
      label_dp.second_stage(
        jax.random.key(0),
        jnp.arange(2),
        jnp.eye(2),
        num_classes=2,
        epsilon=1.0,
        temperature=0,
      )

  def test_epsilon_adds_up_over_uses(self):
    assert label_dp.composed_epsilon(0.5, 60) == 30
    np.testing.assert_array_equal(
      label_dp.composed_epsilon(jnp.array([1.0, jnp.inf]), 3), [3, np.inf]
    )
