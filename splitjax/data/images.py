"""Encoded images as arrays."""

from collections.abc import Iterable
import io

import numpy as np

_MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}


def decode_images(
  encoded: Iterable[bytes],
  *,
  shape: tuple[int | None, int | None, int | None],
  image_size: int | None = None,
) -> np.ndarray:
  """Decode PNG or JPEG images, and resize them if asked to.

  Args:
    encoded: contents of `N` files.
    shape: height, width and channels of the images; None where they differ. If
      the channels are unknown, three are made.
    image_size: height and width to resize the images to, bilinearly; None to
      keep their sizes.

  Returns:
    float32 `[N, H, W, C]` in `[0, 1]`: the bytes over 255.

  Raises:
    ValueError: if the images differ in size and `image_size` is None, if it is
      below 1, or if the number of channels is not 1, 3 or 4.
  """
  from PIL import Image  # Slow to import, and needed here alone.

  height, width, channels = shape
  channels = 3 if channels is None else channels
  if channels not in _MODES:
    raise ValueError(f'images must have 1, 3 or 4 channels, got {channels}.')
  if image_size is not None:
    height = width = image_size
  if height is None or width is None:
    raise ValueError('image_size must be given: the images differ in size.')
  if min(height, width) < 1:
    raise ValueError(f'image_size must be at least 1, got {image_size}.')
  pixels = []
  for file in encoded:
    image = Image.open(io.BytesIO(file)).convert(_MODES[channels])
    if image.size != (width, height):
      image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels.append(np.asarray(image).reshape(height, width, channels))
  stacked = np.stack(pixels)
  return np.divide(stacked, np.float32(255), dtype=np.float32)
