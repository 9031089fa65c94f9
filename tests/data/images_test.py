import io

import numpy as np
from PIL import Image
import pytest

from splitjax.data import images


def _png(array):
  buffer = io.BytesIO()
  Image.fromarray(array).save(buffer, 'PNG')
  return buffer.getvalue()


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_values_are_the_bytes_over_255(channels):
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (3, 5, 4, channels), np.uint8)
  encoded = [
    _png(image[..., 0] if channels == 1 else image) for image in pixels
  ]
  decoded = images.decode_images(encoded, shape=(5, 4, channels))
  assert decoded.dtype == np.float32
  np.testing.assert_array_equal(decoded, pixels.astype('f') / np.float32(255))


def test_gray_files_of_a_set_in_colour_get_three_equal_channels():
  gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
  decoded = images.decode_images([_png(gray)], shape=(3, 4, None))
  assert decoded.shape == (1, 3, 4, 3)
  np.testing.assert_array_equal(decoded[..., 0], decoded[..., 2])


def test_resizing_is_bilinear():
  pixels = np.array([[0, 100], [200, 40]], np.uint8)
  decoded = images.decode_images([_png(pixels)], shape=(2, 2, 1), image_size=4)
  # Pixel centres: the new ones lie a quarter and three quarters between.
  weights = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
  expected = weights @ pixels @ weights.T / 255
  np.testing.assert_allclose(decoded[0, :, :, 0], expected, atol=1.01 / 255)


def test_images_of_many_sizes_need_image_size():
  files = [_png(np.full(size, 9, np.uint8)) for size in [(3, 4), (6, 5)]]
  with pytest.raises(ValueError, match='image_size must be given'):
    images.decode_images(files, shape=(None, None, 1))
  decoded = images.decode_images(files, shape=(None, None, 1), image_size=2)
  np.testing.assert_array_equal(decoded, np.full((2, 2, 2, 1), 9 / 255, 'f'))


def test_refused_arguments_are_named():
  with pytest.raises(ValueError, match='channels, got 2'):
    images.decode_images([], shape=(2, 2, 2))
  with pytest.raises(ValueError, match='image_size must be at least 1, got 0'):
    images.decode_images([], shape=(2, 2, 1), image_size=0)
