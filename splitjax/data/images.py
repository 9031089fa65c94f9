"""Encoded images as arrays."""

from collections.abc import Iterable
import io
import struct
import warnings
import zlib

import numpy as np

from splitjax import checks

_MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}
# What Pillow raises where a file is damaged, or is a bomb.
_DAMAGE = (
  OSError,
  SyntaxError,
  ValueError,
  EOFError,
  IndexError,
  struct.error,
  zlib.error,
)


def check_memory(num: int, size: int, channels: int) -> None:
  """Raise `ConfigError` if images would not fit in memory.

  Args:
    num: how many images there are.
    size: their height and width.
    channels: of each image.
  """
  checks.memory('image_size', size, 4.0 * num * size * size * channels)


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
      below 1 or too large for the memory, if the number of channels is not 1, 3
      or 4, or if an image is damaged, or is not of the size that `shape` says.
  """
  from PIL import Image  # Slow to import, and needed here alone.

  encoded = list(encoded)

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
  bombs = Image.DecompressionBombError, Image.DecompressionBombWarning
  check_memory(len(encoded), max(height, width), channels)
  stacked = np.empty((len(encoded), height, width, channels), np.uint8)
  for index, file in enumerate(encoded):
    try:
      with warnings.catch_warnings():
        warnings.simplefilter('error', Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(file)).convert(_MODES[channels])
    except (*_DAMAGE, *bombs) as error:
      reason = ' '.join(str(error).split()) or type(error).__name__
      raise ValueError(
        f'images must be whole PNG or JPEG files, got in sample {index}: '
        f'{reason}.'
      ) from error
    if image.size != (width, height):
      if image_size is None:
        raise ValueError(
          f'images must have the size {height}x{width} of their feature, got '
          f'{image.size[1]}x{image.size[0]} in sample {index}; see image_size.'
        )
      image = image.resize((width, height), Image.Resampling.BILINEAR)
    stacked[index] = np.asarray(image).reshape(height, width, channels)
  return np.divide(stacked, np.float32(255), dtype=np.float32)
