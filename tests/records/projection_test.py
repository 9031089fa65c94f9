from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

from splitjax.records import projection


def _normal(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class ProjectTest(parameterized.TestCase):
  @parameterized.parameters((6, 3), (64, 10), (100, 40), (1000, 7), (8192, 5))
  def test_is_the_written_out_matrix(self, num_features, width):
    drawn = projection.draw(
      jax.random.key(1), num_features=num_features, width=width
    )
    columns = np.arange(len(drawn.signs))
    # The rows of a Hadamard matrix that were chosen.
    matrix = (-1.0) ** np.bitwise_count(
      np.asarray(drawn.chosen)[:, None] & columns
    )
    if len(columns) < 100:
      whole = linalg.hadamard(len(columns))
      np.testing.assert_array_equal(matrix, whole[np.asarray(drawn.chosen)])
    matrix = (matrix * np.asarray(drawn.signs))[:, :num_features]
    vectors = _normal(4, num_features)
    expected = vectors @ matrix.T / np.sqrt(width)
    actual = jax.jit(projection.project)(drawn, vectors)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)

  def test_keeps_inner_products_on_average(self):
    vectors = _normal(2, 300)
    vectors[1] += vectors[0]
    keys = jax.random.split(jax.random.key(0), 2000)

    @jax.jit
    @jax.vmap
    def gram(key):
      drawn = projection.draw(key, num_features=300, width=50)
      projected = projection.project(drawn, vectors)
      return projected @ projected.T

    grams = np.asarray(gram(keys))
    error = np.abs(grams.mean(axis=0) - vectors @ vectors.T)
    assert (error < 4 * grams.std(axis=0) / np.sqrt(2000)).all()

  def test_spreads_a_vector_with_one_entry(self):
    vectors = np.eye(100, dtype=np.float32)[:3]
    drawn = projection.draw(jax.random.key(0), num_features=100, width=25)
    projected = projection.project(drawn, vectors)
    np.testing.assert_allclose(np.abs(projected), 0.2, rtol=1e-6)

  def test_standard_deviation_is_that_of_the_docstring(self):
    vectors = _normal(2000, 512)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    drawn = projection.draw(jax.random.key(0), num_features=512, width=64)
    projected = np.asarray(projection.project(drawn, vectors))
    error = np.sum(projected[::2] * projected[1::2], axis=1) - np.sum(
      vectors[::2] * vectors[1::2], axis=1
    )
    assert 0.9 < error.std() * np.sqrt(64) < 1.1

  @parameterized.parameters(jnp.float32, jnp.bfloat16)
  def test_flattens_and_answers_in_float32(self, dtype):
    vectors = jnp.asarray(_normal(3, 4, 5, 6), dtype)
    drawn = projection.draw(jax.random.key(0), num_features=120, width=10)
    projected = projection.project(drawn, vectors)
    assert projected.shape == (3, 10)
    assert projected.dtype == jnp.float32
    flat = projection.project(drawn, vectors.reshape(3, -1))
    np.testing.assert_array_equal(projected, flat)

  def test_is_not_wider_than_its_input(self):
    for width in (0, 12, 13):
      with pytest.raises(ValueError, match=f'got {width}'):
        projection.draw(jax.random.key(0), num_features=12, width=width)
