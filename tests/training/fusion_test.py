import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.training import fusion


def test_vectors_of_any_width_are_joined():
  values = [jnp.full((2, 1), 1.0), jnp.full((2, 3), 2.0)]
  assert fusion.concat(values).tolist() == [[1.0, 2.0, 2.0, 2.0]] * 2


def test_images_of_one_size_are_joined_by_channels_and_others_flattened():
  square, wide = jnp.zeros((2, 3, 3, 1)), jnp.zeros((2, 3, 4, 1))
  assert fusion.concat([square, square]).shape == (2, 3, 3, 2)
  assert fusion.concat([square, wide]).shape == (2, 21)


@pytest.mark.parametrize('name', sorted(fusion.FUSIONS))
def test_what_one_party_sends_stays_as_it_is(name):
  value = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 3, 1)))
  np.testing.assert_array_equal(fusion.FUSIONS[name]([value]), value)


def test_sum_and_mean_are_those_of_numpy():
  values = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
  np.testing.assert_allclose(fusion.add(list(values)), values.sum(0), rtol=1e-5)
  np.testing.assert_allclose(
    fusion.mean(list(values)), values.mean(0), rtol=1e-5
  )


@pytest.mark.parametrize('fuse_fn', [fusion.add, fusion.mean])
def test_unequal_shapes_are_not_added(fuse_fn):
  values = [jnp.zeros((2, 3)), jnp.zeros((2, 1))]  # NumPy would broadcast.
  with pytest.raises(fusion.ShapesDifferError, match='equal shapes'):
    fuse_fn(values)
