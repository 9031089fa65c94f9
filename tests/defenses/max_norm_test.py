from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.defenses import max_norm

_noise = jax.jit(max_norm.noise)


def _grads(shape=(6, 5), dtype='float32', scale=1.0):
  """Rows of norms that span three decades, the first of zeros."""
  grads = scale * np.random.default_rng(0).normal(size=shape)
  grads *= np.logspace(-3, 0, len(grads)).reshape(-1, *[1] * (len(shape) - 1))
  grads[0] = -0.0
  return jnp.asarray(grads, dtype)


class NoiseTest(parameterized.TestCase):
  @parameterized.product(
    dtype=['float32', 'bfloat16'],
    scale=[1e-25, 1.0, 1e8],
    strength=[0.3, 1.0],
  )
  def test_matches_a_loop(self, dtype, scale, strength):
    grads = _grads((6, 2, 3), dtype, scale)
    key = jax.random.key(1)
    actual = _noise(key, grads, jnp.zeros(6, int), strength=strength)
    assert actual.dtype == dtype
    wide = np.asarray(grads, float)
    normal = np.asarray(jax.random.normal(key, (6,)), float)
    largest = max(np.linalg.norm(g) for g in wide)
    for g, noisy, n in zip(
      wide, np.asarray(actual, float), normal, strict=True
    ):
      norm = np.linalg.norm(g)
      sigma = np.sqrt(largest**2 / norm**2 - 1) if norm > 0 else 0
      rtol = 2e-3 if dtype == 'float32' else 1e-2
      np.testing.assert_allclose(
        noisy, g * (1 + strength * sigma * n), rtol=rtol, atol=1e-6 * scale
      )

  def test_expected_squared_norms_are_equal_and_noise_is_parallel(self):
    grads = _grads()
    keys = jax.random.split(jax.random.key(2), 20_000)
    draw = lambda key: max_norm.noise(key, grads, None)
    noisy = np.asarray(jax.jit(jax.vmap(draw))(keys), float)  # [K, B, D]
    np.testing.assert_array_equal(noisy[:, 0], 0)
    rows = np.asarray(grads, float)[1:]
    norms = np.linalg.norm(rows, axis=1)
    units = rows / norms[:, None]
    along = np.einsum('kbd,bd->kb', noisy[:, 1:], units)
    off = noisy[:, 1:] - along[..., None] * units
    np.testing.assert_allclose(off, 0, atol=1e-6 * norms.max())
    squares = np.sum(noisy[:, 1:] ** 2, axis=2)
    # At most sqrt(2 / K) = 1% of the largest squared norm.
    errors = squares.std(axis=0) / np.sqrt(len(keys))
    np.testing.assert_array_less(
      np.abs(squares.mean(axis=0) - norms.max() ** 2), 4 * errors + 1e-5
    )
    # One scalar a sample, independent between samples.
    correlation = np.corrcoef(along[:, norms < norms.max()].T)
    np.testing.assert_allclose(correlation, np.eye(4), atol=4 / np.sqrt(20_000))

  @parameterized.parameters('float32', 'bfloat16')
  def test_strength_zero_returns_the_bits(self, dtype):
    grads = _grads(dtype=dtype)
    actual = _noise(jax.random.key(0), grads, None, strength=0.0)
    assert actual.tobytes() == grads.tobytes()

  def test_vmap_over_strengths_equals_a_loop(self):
    grads, key, strengths = _grads(), jax.random.key(3), jnp.array([0, 0.5, 1])
    fn = lambda strength: _noise(key, grads, None, strength=strength)
    np.testing.assert_allclose(
      jax.vmap(fn)(strengths), [fn(s) for s in strengths], rtol=1e-5
    )

  def test_far_smaller_rows_are_finite_and_lifted(self):
    grads = jnp.array([[1e-30, 0.0], [0.0, 1e6], [0.0, 0.0]])
    with jax.debug_nans(True):
      noisy = _noise(jax.random.key(0), grads, None)
    normal = jax.random.normal(jax.random.key(0), (3,))
    expected = [[1e6 * normal[0], 0], [0, 1e6], [0, 0]]
    np.testing.assert_allclose(noisy, expected, rtol=1e-5)

  def test_zero_gradients_stay_zero_and_derivatives_finite(self):
    with jax.debug_nans(True):
      for grads in (jnp.zeros((1, 1)), jnp.zeros((3, 2)), _grads()):
        fn = lambda g, strength: jnp.sum(
          max_norm.noise(jax.random.key(0), g, None, strength=strength)
        )
        wrt_grads, wrt_strength = jax.jit(jax.grad(fn, (0, 1)))(grads, 1.0)
        np.testing.assert_array_equal(wrt_grads, np.ones(grads.shape))
        assert np.isfinite(wrt_strength)
      zero = _noise(jax.random.key(0), jnp.zeros((3, 2)), None)
    np.testing.assert_array_equal(zero, np.zeros((3, 2)))
