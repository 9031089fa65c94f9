"""How what crosses wide cuts is kept."""

import math

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.engine import sketches
from splitjax.models import layers
from splitjax.records import pooling
from splitjax.records import projection
from splitjax.training.split import SplitModel

KEY = jax.random.key(3)
# Across the cuts go 5x7x1, 5x7x6, 210 and 4 numbers of a sample.
MODEL = SplitModel(
  (nn.relu, nn.Conv(6, (3, 3)), layers.flatten, nn.Dense(4), nn.Dense(3)),
  (1, 2, 3, 4),
)
EXAMPLE = jnp.ones((1, 5, 7, 1))
SHAPES = [(5, 7, 1), (5, 7, 6), (210,), (4,)]
WIDTHS = [0, 2, 5, 24, 40, 72, 100, 300]


def _crossing(dtype=np.float32):
  rng = np.random.default_rng(0)
  return [jnp.asarray(rng.normal(size=(3, *x)), dtype) for x in SHAPES]


def _sketch(width, vectors):
  sketch_fn = sketches.make_sketch(KEY, MODEL, EXAMPLE, width)
  return jax.jit(sketch_fn)(vectors)


def _pooled(images, factor):
  """Add every position to the square that it lies in."""
  _, height, width, channels = images.shape
  shape = (-(-height // factor), -(-width // factor), channels)
  sums = np.zeros((len(images), *shape), np.float32)
  for y in range(height):
    for x in range(width):
      sums[:, y // factor, x // factor] += images[:, y, x]
  return sums.reshape(len(images), -1)


@pytest.mark.parametrize('width', WIDTHS)
def test_kept_shapes_are_those_of_the_sketch(width):
  kept = sketches.kept_shapes(MODEL, EXAMPLE, width)
  found = _sketch(width, _crossing())
  assert [x.shape for x in found] == [(3, math.prod(x)) for x in kept]
  assert all(x.dtype == jnp.float32 for x in found)
  if width:
    assert all(math.prod(shape) <= width for shape in kept)


@pytest.mark.parametrize('width', [0, 210, 300])
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_narrow_cuts_are_kept_bit_for_bit(width, dtype):
  vectors = _crossing(dtype)
  assert sketches.kept_shapes(MODEL, EXAMPLE, width) == SHAPES
  for x, found in zip(vectors, _sketch(width, vectors), strict=True):
    expected = np.asarray(x, np.float32).reshape(3, -1)
    assert np.asarray(found).tobytes() == expected.tobytes()


def test_narrow_cuts_do_not_depend_on_the_width_of_others():
  vectors = _crossing()
  found = _sketch(40, vectors)
  for index in (0, 3):
    expected = np.asarray(vectors[index]).reshape(3, -1)
    assert np.asarray(found[index]).tobytes() == expected.tobytes()


def test_images_are_summed_and_flat_cuts_are_projected():
  vectors = _crossing()
  found = _sketch(72, vectors)
  kept = sketches.kept_shapes(MODEL, EXAMPLE, 72)
  assert kept == [(5, 7, 1), (3, 4, 6), (72,), (4,)]
  np.testing.assert_allclose(
    found[1], _pooled(np.asarray(vectors[1]), 2), rtol=1e-5, atol=1e-5
  )
  drawn = projection.draw(
    jax.random.fold_in(KEY, 3), num_features=210, width=72
  )
  np.testing.assert_allclose(
    found[2], projection.project(drawn, vectors[2]), rtol=1e-5, atol=1e-6
  )


def test_one_position_that_is_still_too_wide_is_projected():
  vectors = _crossing()
  found = _sketch(5, vectors)
  assert sketches.kept_shapes(MODEL, EXAMPLE, 5)[1] == (5,)
  drawn = projection.draw(jax.random.fold_in(KEY, 2), num_features=6, width=5)
  sums = pooling.sum_neighbours(vectors[1], 8)
  np.testing.assert_allclose(
    sums.reshape(3, 6), np.asarray(vectors[1]).sum((1, 2)), rtol=1e-5, atol=1e-5
  )
  np.testing.assert_allclose(
    found[1], projection.project(drawn, sums), rtol=1e-5, atol=1e-5
  )


def test_one_sketch_is_the_same_linear_map_for_all():
  """Gradients and smashed data of a cut are comparable, and so are steps."""
  sketch_fn = sketches.make_sketch(KEY, MODEL, EXAMPLE, 24)
  vectors = _crossing()
  doubled = [x.at[0].multiply(-2) for x in vectors]
  for one, other in zip(sketch_fn(vectors), sketch_fn(doubled), strict=True):
    np.testing.assert_allclose(other[0], -2 * one[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(other[1:], one[1:], rtol=1e-5, atol=1e-5)
