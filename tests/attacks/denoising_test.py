import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import attacks
from splitjax.attacks import denoising

KEY = jax.random.key(0)


def _wide(seed, num=400, width=600, num_classes=4, gap=12.0):
  rng = np.random.default_rng(seed)
  truth = rng.integers(0, num_classes, num)
  means = gap * rng.normal(size=(num_classes, width)) / width**0.5
  return (means[truth] + rng.normal(size=(num, width))).astype('f'), truth


def _slow_units(vectors):
  rows = np.float64(vectors)
  rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
  rows -= rows.mean(0, keepdims=True)
  rows /= np.where(rows.std(0) > 0, rows.std(0), 1)[None]
  return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('power', [-30, 0, 15])
def test_units_are_standardized_whatever_the_scale(dtype, power):
  vectors = jnp.asarray(_wide(0, width=30)[0] * np.float32(10.0**power), dtype)
  np.testing.assert_allclose(
    denoising.standardized_units(vectors),
    _slow_units(np.float32(vectors)),
    atol=2e-5,
  )


def test_constant_coordinates_and_zero_rows_stay_finite():
  vectors = np.zeros((6, 4), 'f')
  vectors[1:, 0] = [1, 2, 3, -4, 5]
  vectors[:, 1] = 1e-3
  units = denoising.standardized_units(vectors)
  assert np.isfinite(units).all()
  assert not np.any(denoising.standardized_units(np.ones((5, 3), 'f')))


def test_directions_that_stand_out_are_those_of_the_classes():
  vectors, truth = _wide(1)
  found = attacks.denoise(KEY, vectors, num_classes=4)
  assert found.points.shape == (400, 12)
  assert 3 <= found.num_directions <= 4
  assert not np.any(found.points[:, int(found.num_directions) :])
  np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), 1, rtol=1e-5)
  means = np.stack([found.points[truth == c].mean(0) for c in range(4)])
  far = ((np.asarray(found.points)[:, None] - means[None]) ** 2).sum(-1)
  assert np.mean(far.argmin(1) == truth) > 0.97


def test_of_noise_the_least_number_is_kept():
  noise = np.random.default_rng(2).normal(size=(300, 200)).astype('f')
  found = attacks.denoise(KEY, noise, num_classes=6)
  assert 5 <= found.num_directions <= 7


def test_narrow_vectors_keep_all_coordinates():
  vectors = _wide(3, width=64)[0]
  units, points, num = attacks.denoise(KEY, vectors, num_classes=4)
  assert num == 64
  assert (points == units).all()


def test_bad_arguments_are_named():
  with pytest.raises(ValueError, match='num_classes must be at least 2'):
    attacks.denoise(KEY, np.ones((4, 3), 'f'), num_classes=1)
  with pytest.raises(ValueError, match='vectors must have shape'):
    attacks.denoise(KEY, np.ones(4, 'f'), num_classes=2)
