"""A sample's gradients of several passes, averaged: fresh noise cancels.

The protocol tells the attacker which sample each cut gradient belongs to (it
sent that sample's smashed data), so that it can add up what the same sample
received in every pass. For example, noise of Marvell at power s leaves
Phi(1 / (2 sqrt(s))) of the labels to read in one pass, and
Phi(sqrt(T) / (2 sqrt(s))) in T passes, as far as the gradients stay what they
were while the model trains.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import similarity

UNITS = ('pass', 'vector')


@functools.partial(_kernel.jit, static_argnames='unit')
def average_by_sample(
  vectors: jax.Array, sample_ids: jax.Array, *, unit: str = 'pass'
) -> tuple[jax.Array, jax.Array]:
  """Average the vectors that each sample has in several passes.

  Args:
    vectors: cut gradients or smashed data of T passes, each pass in its own
      order, `[T, N, D]`.
    sample_ids: the sample that each vector belongs to, `[T, N]`; every pass has
      the same ids.
    unit: what weighs as much as any other, a 'pass' or a 'vector'. With 'pass'
      each pass is divided by the root mean square of its norms: for noise that
      is added to gradients. With 'vector' each vector is scaled to length 1:
      for labels that are drawn anew in each pass, since later in training a
      wrong label makes a long gradient and a right one a short one.

  Returns:
    The ids in ascending order `[N]`, and the mean vector of each `[N, D]` in
    the type of `vectors`, not finite where one of its vectors is not.

  Raises:
    ValueError: at trace time, if a shape, type or name is not as above.

  Example:
    >>> vectors = jnp.array([[[2, 0], [0, 3]], [[0, 5], [1, 0]]], jnp.float32)
    >>> sample_ids = jnp.array([[7, 4], [4, 7]])
    >>> ids, means = average_by_sample(vectors, sample_ids, unit='vector')
    >>> ids.tolist(), means.tolist()
    ([4, 7], [[0.0, 1.0], [1.0, 0.0]])
  """
  _check(vectors, sample_ids, unit)
  order = jnp.argsort(sample_ids, axis=1)

  def add(
    total: jax.Array, one_pass: tuple[jax.Array, jax.Array]
  ) -> tuple[jax.Array, None]:
    rows, one = one_pass
    wide = similarity.to_accumulator(one)
    if unit == 'vector':
      return total + similarity.unit_normalize(wide)[rows], None
    finite = conditioning.finite_rows(wide)
    known = jnp.where(finite[:, None], wide, 0)
    largest = similarity.largest_entry(known)  # Else squares underflow.
    wide, known = wide / largest, known / largest
    mean_square = jnp.sum(known**2) / jnp.maximum(jnp.sum(finite), 1)
    scale = jnp.where(mean_square > 0, jnp.sqrt(mean_square), 1)
    return total + wide[rows] / scale, None

  start = jnp.zeros(
    vectors.shape[1:], jnp.promote_types(vectors.dtype, jnp.float32)
  )
  total, _ = jax.lax.scan(add, start, (order, vectors))
  ids = jnp.take_along_axis(sample_ids[0], order[0], axis=0)
  return ids, (total / len(vectors)).astype(vectors.dtype)


def _check(vectors: jax.Array, sample_ids: jax.Array, unit: str) -> None:
  """Check the arguments of `average_by_sample`."""
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
