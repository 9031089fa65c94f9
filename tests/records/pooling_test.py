"""Sums over neighbouring positions, next to loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.records import pooling

# Height, width and channels, and how many positions to sum along a side.
CASES = [
  ((4, 4, 3), 2),
  ((5, 8, 3), 2),
  ((8, 5, 2), 4),
  ((7, 3, 1), 4),
  ((1, 9, 2), 2),
  ((3, 3, 5), 4),
]


def _images(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _loop(images, factor):
  """Add every position to the square that it lies in."""
  shape = pooling.pooled_shape(images.shape[1:], factor)
  sums = np.zeros((len(images), *shape))
  for y in range(images.shape[1]):
    for x in range(images.shape[2]):
      sums[:, y // factor, x // factor] += images[:, y, x]
  return sums


@pytest.mark.parametrize(('shape', 'factor'), CASES)
def test_sums_are_those_of_a_loop(shape, factor):
  images = _images(4, *shape)
  sum_fn = jax.jit(pooling.sum_neighbours, static_argnums=1)
  sums = sum_fn(images, factor)
  assert sums.dtype == jnp.float32
  np.testing.assert_allclose(sums, _loop(images, factor), rtol=1e-5, atol=1e-5)


def test_narrow_types_are_summed_in_float32():
  """In bfloat16, 256 and 1 make 256."""
  images = jnp.ones((1, 2, 2, 1), jnp.bfloat16).at[0, 0, 0].set(256)
  sums = pooling.sum_neighbours(images, 2)
  assert sums.dtype == jnp.float32
  assert sums.item() == 259


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize('shape', [(5,), (4, 6), (3, 5, 2), (2, 2, 2, 2)])
def test_factor_of_one_is_the_same_array(shape, dtype):
  x = jnp.asarray(_images(3, *shape), dtype)
  assert pooling.sum_neighbours(x, 1) is x
  assert pooling.pooled_shape(shape, 1) == shape


def _smallest_factor(shape, width):
  """Try the powers of 2 until it fits or a single position is left."""
  factor = 1
  while True:
    kept = np.zeros(shape)[::factor, ::factor]
    if kept.size <= width or kept.shape[:2] == (1, 1):
      return factor
    factor *= 2


@pytest.mark.parametrize('width', [1, 3, 12, 13, 48, 100, 1000])
@pytest.mark.parametrize('shape', [shape for shape, _ in CASES])
def test_factor_is_the_smallest_with_which_it_fits(shape, width):
  factor = pooling.factor_for(shape, width)
  assert factor == _smallest_factor(shape, width)
  sums = pooling.sum_neighbours(_images(2, *shape), factor)
  assert sums.shape[1:] == pooling.pooled_shape(shape, factor)


@pytest.mark.parametrize(
  ('shape', 'width'),
  [((16, 16, 8), 0), ((300,), 100), ((20, 30), 100), ((2, 3, 4, 5), 10)],
)
def test_nothing_is_summed_without_positions_or_limit(shape, width):
  assert pooling.factor_for(shape, width) == 1
