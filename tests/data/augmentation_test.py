from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from splitjax import data

_crop_and_flip = jax.jit(data.crop_and_flip, static_argnames='padding')


def _loop(key, images, padding):
  """The same draws, applied one image at a time."""
  key_crop, key_flip = jax.random.split(key)
  shape = (len(images), 2)
  starts = jax.random.randint(key_crop, shape, 0, 2 * padding + 1)
  flips = jax.random.bernoulli(key_flip, shape=shape[:1])
  _, height, width, channels = images.shape
  changed = np.zeros_like(images)
  for i, image in enumerate(images):
    padded = np.zeros(
      (height + 2 * padding, width + 2 * padding, channels), images.dtype
    )
    padded[padding : padding + height, padding : padding + width] = image
    top, left = np.asarray(starts[i])
    crop = padded[top : top + height, left : left + width]
    changed[i] = np.fliplr(crop) if flips[i] else crop
  return changed


class CropAndFlipTest(parameterized.TestCase):
  @parameterized.parameters(
    (jnp.float32, 4, 16),
    (jnp.float32, 0, 16),
    (jnp.float32, 1, 1),
    (jnp.bfloat16, 4, 16),
  )
  def test_matches_numpy_loop(self, dtype, padding, num):
    images = np.random.default_rng(0).random((num, 6, 5, 3)).astype(dtype)
    key = jax.random.key(3)
    actual = _crop_and_flip(key, images, padding=padding)
    assert actual.dtype == dtype
    np.testing.assert_array_equal(actual, _loop(key, images, padding))

  def test_vmap_equals_a_loop(self):
    images = np.random.default_rng(0).random((3, 4, 6, 6, 1), 'f')
    keys = jax.random.split(jax.random.key(0), 3)
    together = jax.jit(jax.vmap(data.crop_and_flip))(keys, images)
    pairs = zip(keys, images, strict=True)
    one_by_one = [_crop_and_flip(*pair) for pair in pairs]
    np.testing.assert_array_equal(together, np.stack(one_by_one))

  def test_images_draw_for_themselves_and_keys_differ(self):
    images = np.tile(
      np.random.default_rng(0).random((1, 8, 8, 1), 'f'), (64, 1, 1, 1)
    )
    first = np.asarray(_crop_and_flip(jax.random.key(0), images))
    second = np.asarray(_crop_and_flip(jax.random.key(1), images))
    assert len({image.tobytes() for image in first}) > 30
    assert not np.array_equal(first, second)

  def test_half_of_the_images_are_flipped(self):
    images = np.tile(
      np.arange(4.0, dtype='f')[None, None, :, None], (400, 1, 1, 1)
    )
    changed = _crop_and_flip(jax.random.key(0), images, padding=0)
    assert 160 < np.sum(changed[:, 0, 0, 0] == 3) < 240

  def test_refused_arguments_are_named(self):
    with self.assertRaisesRegex(ValueError, 'padding must .* -1'):
      data.crop_and_flip(jax.random.key(0), jnp.ones((1, 2, 2, 1)), padding=-1)
    with self.assertRaisesRegex(ValueError, r'images must .*\(2, 2, 1\)'):
      data.crop_and_flip(jax.random.key(0), jnp.ones((2, 2, 1)))
