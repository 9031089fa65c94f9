import fractions

from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.defenses import compression

_RATIOS = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0]
_FNS = {
  'per_batch': jax.jit(
    lambda g, ratio: compression.per_batch(None, g, None, ratio=ratio)
  ),
  'per_sample': jax.jit(
    lambda g, ratio: compression.per_sample(None, g, None, ratio=ratio)
  ),
}


def _drop_smallest(entries, ratio):
  """The defense on one vector, one entry at a time."""
  entries = np.array(entries)
  exact = fractions.Fraction(str(ratio)) * entries.size
  magnitudes = np.abs(entries).astype(float)
  for _ in range(min(int(exact), entries.size - 1)):
    first = int(np.argmin(magnitudes))
    entries[first], magnitudes[first] = 0, np.inf
  return entries


class CompressionTest(parameterized.TestCase):
  @parameterized.product(
    shape=[(1, 1), (6, 10), (5, 3, 4)], dtype=['float32', 'bfloat16']
  )
  def test_matches_a_loop(self, shape, dtype):
    grads = np.random.default_rng(0).normal(size=shape).round(1)  # With ties.
    grads = jnp.asarray(grads, dtype)
    run = lambda name: jax.vmap(_FNS[name], (None, 0))(
      grads, np.array(_RATIOS, np.float32)
    )
    whole, rowwise = run('per_batch'), run('per_sample')
    assert whole.dtype == rowwise.dtype == dtype
    for i, ratio in enumerate(_RATIOS):
      expected = _drop_smallest(np.asarray(grads).ravel(), ratio)
      np.testing.assert_array_equal(whole[i], expected.reshape(shape))
      expected = [_drop_smallest(np.asarray(g).ravel(), ratio) for g in grads]
      np.testing.assert_array_equal(
        rowwise[i], np.stack(expected).reshape(shape)
      )

  @parameterized.product(
    name=['per_batch', 'per_sample'], dtype=['float32', 'bfloat16']
  )
  def test_off_is_the_identity_bit_for_bit(self, name, dtype):
    grads = jnp.asarray([[0.0, -0.0, 1.0], [1e-38, -3e38, 1e-3]], dtype)
    actual = _FNS[name](grads, 0.0)
    assert np.asarray(actual).tobytes() == np.asarray(grads).tobytes()

  @hypothesis.given(
    st.integers(1, 10_000_000),
    st.integers(0, 1000),
    st.sampled_from([10, 1000]),
  )
  def test_count_is_exact_for_decimal_ratios(
    self, size, numerator, denominator
  ):
    numerator = min(numerator, denominator)
    dropped = compression._num_dropped(numerator / denominator, size)
    assert dropped == min(size * numerator // denominator, size - 1)

  @parameterized.parameters(
    (0.9, 10**6), (0.95, 10**7), (0.999, 2**24 + 1), (0.7, 2**30), (0.1, 10)
  )
  def test_count_of_large_vectors(self, ratio, size):
    expected = int(fractions.Fraction(str(ratio)) * size)
    count = jax.jit(compression._num_dropped, static_argnums=1)
    assert count(ratio, size) == expected

  def test_a_million_entries(self):
    grads = np.random.default_rng(0).normal(size=(10, 10**5)).astype(np.float32)
    kept = _FNS['per_batch'](grads, 0.9) != 0
    assert kept.sum() == 10**5
    assert np.abs(grads[kept]).min() > np.abs(grads[~kept]).max()

  def test_equal_entries_are_dropped_in_order(self):
    kept = _FNS['per_batch'](jnp.ones((2, 5)), 0.7)
    np.testing.assert_array_equal(kept, [[0] * 5, [0, 0, 1, 1, 1]])

  def test_variants_differ_on_rows_of_small_norm(self):
    grads = jnp.array([[1e-6, 2e-6], [1.0, 2.0]])
    np.testing.assert_array_equal(
      _FNS['per_batch'](grads, 0.5), np.array([[0, 0], [1, 2]], np.float32)
    )
    np.testing.assert_array_equal(
      _FNS['per_sample'](grads, 0.5), np.array([[0, 2e-6], [0, 2]], np.float32)
    )

  def test_something_is_always_kept(self):
    grads = jnp.array([[3.0, -4.0, 1.0], [0.2, 0.1, 0.0]])
    np.testing.assert_array_equal(
      _FNS['per_batch'](grads, 1.0), [[0, -4, 0], [0, 0, 0]]
    )
    np.testing.assert_array_equal(
      _FNS['per_sample'](grads, 1.0),
      np.array([[0, -4, 0], [0.2, 0, 0]], np.float32),
    )

  @parameterized.parameters(compression.per_batch, compression.per_sample)
  def test_bad_ratio_is_named(self, fn):
    with self.assertRaisesRegex(ValueError, 'ratio must lie .* got 1.5'):
      fn(None, jnp.ones((2, 2)), None, ratio=1.5)
