"""Random changes of images that leave their classes as they are."""

import jax
import jax.numpy as jnp


def crop_and_flip(
  key: jax.Array, images: jax.Array, *, padding: int = 4
) -> jax.Array:
  """Shift each image at random, and mirror it with probability 1/2.

  An image is padded with zeros, cropped back to its size at a random place, and
  flipped left to right or not, as it is usual for CIFAR-10 (He et al., section
  4.2, https://arxiv.org/abs/1512.03385). Each image has its own shift and flip.

  Args:
    key: random key for the shifts and the flips.
    images: images `[B, H, W, C]`.
    padding: the largest shift in each direction, in pixels.

  Returns:
    Images of the shape and the type of `images`.

  Raises:
    ValueError: if the images lack an axis, or `padding` is negative.
  """
  if images.ndim != 4:
    raise ValueError(
      f'images must have shape [B, H, W, C], got {images.shape}.'
    )
  if padding < 0:
    raise ValueError(f'padding must be at least 0, got {padding}.')
  key_crop, key_flip = jax.random.split(key)
  starts = jax.random.randint(key_crop, (len(images), 2), 0, 2 * padding + 1)
  flips = jax.random.bernoulli(key_flip, shape=(len(images),))
  margins = (padding, padding)
  padded = jnp.pad(images, ((0, 0), margins, margins, (0, 0)))

  def crop(image: jax.Array, start: jax.Array) -> jax.Array:
    return jax.lax.dynamic_slice(image, (*start, 0), images.shape[1:])

  cropped = jax.vmap(crop)(padded, starts)
  return jnp.where(flips[:, None, None, None], cropped[:, :, ::-1], cropped)
