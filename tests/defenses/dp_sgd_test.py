import functools

from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from splitjax import losses
from splitjax.defenses import dp_sgd

_INF = float('inf')


def _loss(params, smashed, labels):
  logits = smashed @ params['w'] + params['b'][None]
  return jnp.mean(losses.cross_entropy(logits, labels))


_grad = jax.jit(jax.grad(_loss))


def _draw(batch=7, dtype='float32', seed=0):
  rng = np.random.default_rng(seed)
  draw = lambda *shape: jnp.asarray(rng.normal(size=shape), dtype)
  params = {'w': draw(4, 3), 'b': draw(3)}
  return params, draw(batch, 4), jnp.asarray(rng.integers(0, 3, batch))


def _clipped_mean(params, smashed, labels, clip_norm):
  """A loop over samples, clipped and averaged in float64."""
  totals = jax.tree.map(lambda p: np.zeros(p.shape), params)
  for i in range(len(smashed)):
    grads = _grad(params, smashed[i : i + 1], labels[i : i + 1])
    grads = jax.tree.map(lambda g: np.asarray(g, np.float64), grads)
    norm = np.sqrt(sum((g**2).sum() for g in jax.tree.leaves(grads)))
    totals = jax.tree.map(
      lambda t, g, n=norm: t + g * min(1, clip_norm / n), totals, grads
    )
  return jax.tree.map(lambda t: t / len(smashed), totals)


@functools.partial(jax.jit, static_argnames='microbatch')
def _update(key, params, smashed, labels, clip, noise, microbatch=None):
  return dp_sgd.server_update(
    key,
    _loss,
    params,
    smashed,
    labels,
    clip_norm=clip,
    noise_multiplier=noise,
    microbatch=microbatch,
  )


@jax.jit
def _message(key, cut_grads, clip, noise):
  return dp_sgd.message(
    key, cut_grads, None, clip_norm=clip, noise_multiplier=noise
  )


class ServerUpdateTest(parameterized.TestCase):
  @parameterized.parameters('float32', 'bfloat16')
  def test_matches_a_loop(self, dtype):
    params, smashed, labels = _draw(dtype=dtype)
    clips = np.array([0.1, 0.5, 1.5, _INF])
    actual = jax.vmap(_update, (None, None, None, None, 0, None))(
      jax.random.key(0), params, smashed, labels, clips, 0.0
    )
    for i, clip in enumerate(clips):
      expected = _clipped_mean(params, smashed, labels, clip)
      for name, grads in actual.items():
        assert grads.dtype == dtype
        np.testing.assert_allclose(
          np.asarray(grads[i], float),
          expected[name],
          rtol=1e-5 if dtype == 'float32' else 2e-2,
          atol=1e-6 if dtype == 'float32' else 1e-2,
        )

  def test_the_largest_clip_is_not_all_of_the_gradient(self):
    # So that the loop above saw both clipped and unclipped samples.
    params, smashed, labels = _draw()
    means = [_clipped_mean(params, smashed, labels, c)['w'] for c in (1.5, 9e9)]
    assert np.abs(means[0] - means[1]).max() > 1e-3

  @parameterized.parameters(1, 3)
  def test_microbatches_change_rounding_alone(self, microbatch):
    args = (jax.random.key(0), *_draw(), 0.5, 1.0)
    whole, parts = _update(*args), _update(*args, microbatch=microbatch)
    for a, b in zip(*map(jax.tree.leaves, (whole, parts)), strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

  @parameterized.parameters((False, 'float32'), (True, 'bfloat16'))
  def test_off_is_the_undefended_gradient_bit_for_bit(self, soft, dtype):
    params, smashed, labels = _draw(dtype=dtype)
    labels = jax.nn.one_hot(labels, 3) if soft else labels
    expected = _grad(params, smashed, labels)
    with jax.debug_nans(True):
      actual = _update(jax.random.key(0), params, smashed, labels, _INF, 0.0)
    assert jax.tree.map(lambda x: x.tobytes(), jax.device_get(actual)) == (
      jax.tree.map(lambda x: x.tobytes(), jax.device_get(expected))
    )

  def test_noise_has_the_stated_deviation(self):
    params, smashed, labels = _draw()
    keys = jax.random.split(jax.random.key(0), 1000)
    clip, multiplier = 0.5, 2.0
    run = jax.vmap(_update, (0, None, None, None, None, None))
    noised = run(keys, params, smashed, labels, clip, multiplier)
    mean = _clipped_mean(params, smashed, labels, clip)
    deviation = clip * multiplier / 7
    noises = []
    for name, grads in noised.items():
      noise = np.asarray(grads).reshape(1000, -1) - mean[name].reshape(1, -1)
      # Standard errors: s / sqrt(1000) of a mean, s / sqrt(2000) of a standard
      # deviation; 5 of them for 15 coordinates.
      assert np.abs(noise.mean(0)).max() < 5 * deviation / np.sqrt(1000)
      assert np.abs(noise.std(0) - deviation).max() < 5 * deviation / np.sqrt(
        2000
      )
      noises.append(noise)
    # Also across leaves: one key must not serve two.
    correlations = np.corrcoef(np.concatenate(noises, 1).T) - np.eye(15)
    assert np.abs(correlations).max() < 5 / np.sqrt(1000)

  @hypothesis.given(
    st.integers(0, 1000), st.sampled_from([1e-12, 1e-3, 0.7, 1e3])
  )
  def test_one_sample_moves_the_sum_by_at_most_the_clip_norm(self, seed, clip):
    params, smashed, labels = _draw(seed=seed)
    shrunk = jax.tree.map(lambda p: p * 3, params)
    run = lambda x, y: _update(jax.random.key(0), shrunk, x, y, clip, 0.0)
    before, after = (
      run(smashed, labels),
      run(smashed.at[0].multiply(-9), labels.at[0].set((labels[0] + 1) % 3)),
    )
    moved = jax.tree.map(lambda a, b: 7 * np.asarray(a - b), before, after)
    norm = np.sqrt(sum((m**2).sum() for m in jax.tree.leaves(moved)))
    assert norm <= 2 * clip * (1 + 1e-5) + 1e-5 * np.sqrt(15) * (clip > 1)

  def test_extreme_gradients_stay_finite(self):
    params, smashed, labels = _draw()
    update = lambda scale: dp_sgd.server_update(
      jax.random.key(0),
      lambda p, x, y: scale * _loss(p, x, y),
      params,
      smashed,
      labels,
      clip_norm=0.1,
      noise_multiplier=1.0,
    )
    scales = np.array([0.0, 1e-30, 1e30], np.float32)
    with jax.debug_nans(True):
      grads = jax.jit(jax.vmap(update))(scales)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))

  def test_one_sample_and_no_parameters(self):
    params, smashed, labels = _draw(batch=1)
    grads = _update(jax.random.key(0), params, smashed, labels, 1e-3, 0.0)
    norm = np.sqrt(sum((np.asarray(g) ** 2).sum() for g in grads.values()))
    np.testing.assert_allclose(norm, 1e-3, rtol=1e-5)
    assert not dp_sgd.server_update(
      jax.random.key(0),
      lambda p, x, y: jnp.mean(x),
      {},
      smashed,
      labels,
      clip_norm=1.0,
      noise_multiplier=1.0,
    )

  @parameterized.named_parameters(
    ('clip', dict(clip_norm=0.0), 'clip_norm must be positive, got 0.0'),
    ('noise', dict(noise_multiplier=-1), 'noise_multiplier must be .* got -1'),
    ('both', dict(clip_norm=_INF), 'clip_norm must be finite with noise'),
    ('microbatch', dict(microbatch=0), 'microbatch must be at least 1, got 0'),
  )
  def test_bad_argument_is_named(self, change, message):
    kwargs = dict(clip_norm=1.0, noise_multiplier=1.0) | change
    with self.assertRaisesRegex(ValueError, message):
      dp_sgd.server_update(jax.random.key(0), _loss, *_draw(), **kwargs)


class MessageTest(parameterized.TestCase):
  @parameterized.product(
    shape=[(1, 1), (6, 5), (4, 2, 3)], dtype=['float32', 'bfloat16']
  )
  def test_matches_a_loop(self, shape, dtype):
    grads = np.random.default_rng(0).normal(size=shape) / shape[0]
    grads = jnp.asarray(grads, dtype)
    clips = np.array([1e-20, 0.3, 2.0, 1e9])
    actual = jax.vmap(_message, (None, None, 0, None))(
      jax.random.key(0), grads, clips, 0.0
    )
    assert actual.dtype == dtype
    for i, clip in enumerate(clips):
      own = np.asarray(grads, float) * shape[0]
      expected = np.stack(
        [g * min(1, clip / np.linalg.norm(g.ravel())) for g in own]
      )
      np.testing.assert_allclose(
        np.asarray(actual[i], float),
        expected / shape[0],
        rtol=1e-5 if dtype == 'float32' else 1e-2,
      )

  def test_clipping_does_not_depend_on_the_batch_size(self):
    rows = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    run = lambda g: _message(jax.random.key(0), g, 1.0, 0.0)
    np.testing.assert_allclose(8 * run(rows / 8)[:2], 2 * run(rows[:2] / 2))

  @parameterized.parameters('float32', 'bfloat16')
  def test_off_is_the_identity_bit_for_bit(self, dtype):
    grads = jnp.asarray([[0.0, -0.0, 1.0], [1e-38, -3e38, 1e-3]], dtype)
    actual = _message(jax.random.key(0), grads, _INF, 0.0)
    assert np.asarray(actual).tobytes() == np.asarray(grads).tobytes()

  def test_noise_has_the_stated_deviation(self):
    rows = np.random.default_rng(0).normal(size=(10, 5)).astype(np.float32)
    keys = jax.random.split(jax.random.key(1), 4000)
    noised = jax.vmap(_message, (0, None, None, None))(keys, rows, 0.2, 3.0)
    silent = _message(keys[0], rows, 0.2, 0.0)
    deviation = 3 * 0.2 / 10
    noise = np.asarray(noised - silent[None]).reshape(4000, -1)
    # 5 standard errors for 50 coordinates.
    assert np.abs(noise.mean(0)).max() < 5 * deviation / np.sqrt(4000)
    assert np.abs(noise.std(0) / deviation - 1).max() < 5 / np.sqrt(8000)
    correlations = np.corrcoef(noise.T) - np.eye(50)
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)

  @parameterized.parameters(1e-36, 1e-25, 1.0, 1e25, 1e37)
  def test_no_scale_leaves_the_bound(self, scale):
    rows = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    rows[1] = 0
    with jax.debug_nans(True):
      actual = _message(jax.random.key(0), rows * np.float32(scale), 1e-3, 0.0)
    norms = 4 * np.linalg.norm(np.asarray(actual, float), axis=1)
    expected = np.minimum(4 * scale * np.linalg.norm(rows, axis=1), 1e-3)
    np.testing.assert_allclose(norms, expected, rtol=1e-5)
    assert np.isfinite(
      _message(jax.random.key(0), rows * 1e37, 1e-3, 1.0)
    ).all()

  def test_bad_argument_is_named(self):
    with self.assertRaisesRegex(ValueError, 'clip_norm must be positive'):
      dp_sgd.message(
        jax.random.key(0),
        jnp.ones((2, 2)),
        None,
        clip_norm=-1.0,
        noise_multiplier=1.0,
      )
