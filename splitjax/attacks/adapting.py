"""Gradients of defended passes, made comparable again.

In shape descriptions `T` is the number of passes, `N` that of samples, which
are the rows of every pass in the same order, and `D` the width of the cut.
"""

from collections.abc import Collection
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from splitjax.attacks import conditioning
from splitjax.attacks import similarity
from splitjax.attacks import spectral
from splitjax.training.countering import Counter

# How many directions lines are compared in; they make 55 numbers, so that no
# further directions have to be looked for.
_LINE_DIRECTIONS = 10


class Draws(NamedTuple):
  """What the client knows of how each pass was made.

  Attributes:
    steps: step of each sample, `[T, N]`.
    partners: row of the sample that each was mixed with, `[T, N]`; None if
      nothing was mixed.
    weights: weight of the sample itself in the mixture, `[T, N]`; None if
      nothing was mixed.
  """

  steps: jax.Array
  partners: jax.Array | None = None
  weights: jax.Array | None = None


def adapt(
  key: jax.Array,
  passes: jax.Array,
  draws: Draws,
  counters: Collection[Counter],
  *,
  num_classes: int,
) -> jax.Array:
  """Undo what can be undone of the defenses at work.

  Args:
    key: random key for the search for directions.
    passes: cut gradients of each pass, `[T, N, D]`.
    draws: what is known of each pass.
    counters: what to undo.
    num_classes: number of classes; of two, lines are the same.

  Returns:
    Gradients to compare by their directions, `[T, N, D']`, float32 or wider;
    NaN for a sample whose gradient is not finite in some pass.

  Example:
    >>> passes = jnp.array([[[1.0], [3.0], [9.0]]])
    >>> draws = Draws(jnp.array([[0, 0, 1]]))
    >>> counters = [Counter.BATCH_MEANS]
    >>> found = adapt(
    ...   jax.random.key(0), passes, draws, counters, num_classes=3
    ... )
    >>> found[0, :, 0].tolist()
    [-1.0, 1.0, 0.0]
  """
  finite = jnp.all(conditioning.finite_rows(passes), axis=0)[None, :, None]
  passes = jnp.where(finite, similarity.to_accumulator(passes), 0)
  if passes.shape[-1] > 2:
    # Where all entries were rounded to the same value, nothing was sent.
    alike = jnp.all(passes == passes[..., :1], axis=-1, keepdims=True)
    passes = jnp.where(alike, 0, passes)
  # Of one size, or squares would leave the range.
  passes = passes * conditioning.power_of_two(jnp.max(jnp.abs(passes)))
  if Counter.BATCH_MEANS in counters:
    passes = jax.lax.map(lambda x: _without_batch_means(*x), (passes, draws[0]))
  if Counter.PAIRS in counters and draws.partners is not None:
    assert draws.weights is not None
    passes = jax.vmap(_to_heavier)(passes, draws.partners, draws.weights)
  if Counter.LINES in counters and num_classes > 2:
    keys = jax.random.split(key, len(passes))
    passes = jax.lax.map(lambda x: _lines(*x), (keys, passes))
  return jnp.where(finite, passes, jnp.nan)


def _without_batch_means(gradients: jax.Array, steps: jax.Array) -> jax.Array:
  """Subtract from each gradient the mean of its batch."""
  num = len(gradients)  # More batches than samples there cannot be.
  total = jax.ops.segment_sum(gradients, steps, num)
  sizes = jax.ops.segment_sum(jnp.ones(num, gradients.dtype), steps, num)
  return gradients - (total / jnp.maximum(sizes, 1)[:, None])[steps]


def _to_heavier(
  gradients: jax.Array, partners: jax.Array, weights: jax.Array
) -> jax.Array:
  """Move each gradient to the row of the sample that weighs more in it.

  A batch has one weight and each sample is the partner of one other, so that
  every row gets one gradient.
  """
  rows = jnp.where(weights >= 0.5, jnp.arange(len(gradients)), partners)
  return jnp.zeros_like(gradients).at[rows].set(gradients)


def _lines(key: jax.Array, gradients: jax.Array) -> jax.Array:
  """Return the products of all pairs of coordinates of unit vectors.

  They are the same for a gradient and its negative. Only the strongest
  directions are taken, or there would be too many.
  """
  units = similarity.unit_normalize(gradients)
  num = min(_LINE_DIRECTIONS, units.shape[1])
  # Around 0, not around the mean: lines go through it.
  both = jnp.concatenate([units, -units])
  directions = spectral.top_directions(key, both, num_directions=num)
  along = similarity.inner_products(units, directions)
  along = similarity.unit_normalize(along)
  first, second = np.triu_indices(num)
  # Off the diagonal a product stands for two entries of the matrix.
  weights = np.where(first == second, 1, 2**0.5).astype(along.dtype)
  products = along[:, first] * along[:, second] * weights[None]
  return products - jnp.mean(products, axis=0, keepdims=True)
