"""A sample's gradients of several passes, averaged: fresh noise cancels.

The protocol tells the attacker which sample each cut gradient belongs to (it
sent that sample's smashed data), so that nothing hinders it from adding up what
the same sample received in every pass. Noise of Marvell at power s, for one,
leaves Phi(1 / (2 sqrt(s))) of the labels to read in a pass, and
Phi(sqrt(T) / (2 sqrt(s))) in T passes, as far as the gradients stay what they
were while the model trains.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _validate
from splitjax.attacks import similarity

UNITS = ('pass', 'vector')


@functools.partial(jax.jit, static_argnames='unit')
def average_by_sample(
  vectors: jax.Array, sample_ids: jax.Array, *, unit: str = 'pass'
) -> tuple[jax.Array, jax.Array]:
  """The mean vector of each sample over passes.

  Args:
    vectors: of each pass in its own order, `[T, N, D]`.
    sample_ids: whose they are, `[T, N]`; every pass has the same ids.
    unit: what counts the same. With 'pass' each pass is divided by the root
      mean square of its norms: for noise that is added to gradients. With
      'vector' each vector is scaled to length 1: for labels that are drawn
      anew, since later in training a wrong label makes a long gradient, and a
      right one a short one.

  Returns:
    The ids in ascending order `[N]`, and their means `[N, D]` in the type of
    `vectors`.

  Raises:
    ValueError: at trace time, if a shape, type or name is another.
  """
  _validate.choice('unit', unit, UNITS)
  if vectors.ndim != 3 or not jnp.issubdtype(vectors.dtype, jnp.floating):
    raise ValueError(
      f'vectors must be floating of shape [T, N, D], got {vectors.dtype} of '
      f'{vectors.shape}.'
    )
  if sample_ids.shape != vectors.shape[:2]:
    raise ValueError(
      f'sample_ids must have shape {vectors.shape[:2]}, got {sample_ids.shape}.'
    )
  order = jnp.argsort(sample_ids, axis=1)

  def add(total, one_pass):
    rows, one = one_pass
    wide = similarity.to_accumulator(one)
    if unit == 'vector':
      return total + similarity.unit_normalize(wide)[rows], None
    largest = jnp.max(jnp.abs(wide))
    wide = wide / jnp.where(largest > 0, largest, 1)  # Else squares underflow.
    mean_square = jnp.sum(wide**2) / len(wide)
    scale = jnp.where(mean_square > 0, jnp.sqrt(mean_square), 1)
    return total + wide[rows] / scale, None

  start = jnp.zeros(
    vectors.shape[1:], jnp.promote_types(vectors.dtype, jnp.float32)
  )
  total, _ = jax.lax.scan(add, start, (order, vectors))
  ids = jnp.take_along_axis(sample_ids[0], order[0], axis=0)
  return ids, (total / len(vectors)).astype(vectors.dtype)
