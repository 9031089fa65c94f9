"""Ridge regression on a few known samples: what any analyst would try first.

It is no leak by itself. On raw inputs it says what the known samples alone
teach.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax import linalg
from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import similarity
from splitjax.attacks import spectral

# Penalties in units of the mean squared length of the known samples.
_PENALTIES = (1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2)
_SMALL_PENALTIES = (1e-5, 1e-4)  # Where few coordinates say all.
# Singular values below this share of the largest are what learning moved.
_FLOOR = 0.02
_MOST_DIRECTIONS = 32


@_kernel.jit
def ridge_targets(
  vectors: jax.Array, aux_vectors: jax.Array, aux_targets: jax.Array
) -> jax.Array:
  r"""Predict real targets by ridge regression with an intercept.

  Of six penalties, from 0.001 to 100 times the mean squared length of the known
  samples, it takes the one with the least squared error when each known sample
  is left out in turn. This error has a closed form: with
  $G = (K + \lambda I)^{-1} - 11^T / (\lambda A)$ of the centred Gram matrix
  $K$ and $c = G y$, the error of sample `i` is $c_i / G_{ii}$.

  Columns are shifted and scaled so that `vectors`, which the attacker has
  whole, have mean 0 and variance 1.

  Args:
    vectors: what to predict from, `[N, D]`.
    aux_vectors: vectors of the samples whose targets are known, `[A, D]`.
    aux_targets: real targets of these samples, `[A]`, at least three. Those of
      a vector that is not finite are ignored.

  Returns:
    Targets `[N]` in float32; NaN for a vector that is not finite.

  Raises:
    ValueError: at trace time, if a shape or type is not as above, or fewer
      than three targets are known.

  Example:
    >>> vectors = jnp.arange(6.0)[:, None]
    >>> targets = ridge_targets(vectors, vectors[:4], 2 * jnp.arange(4.0))
    >>> targets.round(1).tolist()
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
  """
  return _fit(vectors, aux_vectors, aux_targets).targets


class _Fit(NamedTuple):
  """Targets `[N]`, and the mean squared error of left-out known samples."""

  targets: jax.Array
  error: jax.Array


@_kernel.jit
def gradient_targets(
  key: jax.Array,
  cut_grads: jax.Array,
  aux_rows: jax.Array,
  aux_targets: jax.Array,
  smashed: jax.Array | None = None,
) -> jax.Array:
  """Predict real targets by ridge regression along the gradients' directions.

  Under a linear top, gradients lie in as many directions as the label has
  entries, one as a rule and more where it was extended. The target is a linear
  function of a gradient along these, and of the smashed data along the same
  ones, since that is what the top reads of them. A few known samples determine
  it. The number of directions is where the singular values fall most. Where the
  known samples, left out in turn, are predicted better by `ridge_targets` on
  all coordinates, that is taken.

  Args:
    key: random key for the search for directions.
    cut_grads: gradients of each sample's own loss, `[N, D]`.
    aux_rows: rows of the samples whose targets are known, `[A]`.
    aux_targets: real targets of these samples, `[A]`, at least three.
    smashed: the smashed data that they answer, `[N, D]`, if known.

  Returns:
    Targets `[N]` in float32; NaN for a sample that is not finite.

  Raises:
    ValueError: at trace time, as `ridge_targets`.

  Example:
    >>> smashed = jax.random.normal(jax.random.key(0), (20, 3))
    >>> targets, weights = jnp.arange(20.0), jnp.array([[1.0, 2.0, 3.0]])
    >>> cut_grads = (smashed @ weights.T - targets[:, None]) * weights
    >>> known = jnp.array([3, 7, 11, 16])
    >>> found = gradient_targets(
    ...   jax.random.key(0), cut_grads, known, targets[known], smashed
    ... )
    >>> bool(jnp.max(jnp.abs(found - targets)) < 0.1)
    True
  """
  _validate.matrices(cut_grads=cut_grads)
  gradients = cut_grads.astype(jnp.float32)
  finite = conditioning.finite_rows(gradients)[:, None]
  largest = similarity.largest_entry(jnp.where(finite, gradients, 0))
  # Else squares underflow.
  gradients = gradients / jnp.where(largest > 0, largest, 1)
  counted = jnp.where(finite, gradients, 0)
  # All but a few of the directions would be no news.
  most = min(_MOST_DIRECTIONS, gradients.shape[1] // 2 + 1)
  directions = spectral.top_directions(
    key, counted, num_directions=min(most + 1, counted.shape[1])
  )
  sizes = jnp.std(similarity.inner_products(counted, directions), axis=0)
  floor = jnp.maximum(_FLOOR * sizes[0], jnp.finfo(jnp.float32).tiny)
  falls = (sizes[:most] + floor) / (jnp.append(sizes[1:], 0)[:most] + floor)
  kept = jnp.arange(len(sizes)) <= jnp.argmax(falls)
  directions = jnp.where(kept[:, None], directions, 0)
  both = [gradients]
  if smashed is not None:
    both = [smashed.astype(jnp.float32), gradients]
  along = [similarity.inner_products(x, directions) for x in both]

  def fit(parts: Sequence[jax.Array], penalties: Sequence[float]) -> _Fit:
    vectors = jnp.concatenate(parts, axis=1)
    return _fit(vectors, vectors[aux_rows], aux_targets, penalties)

  few = fit(along, _SMALL_PENALTIES + _PENALTIES)
  every = fit(both, _PENALTIES)
  return jnp.where(few.error <= every.error, few.targets, every.targets)


def _fit(
  vectors: jax.Array,
  aux_vectors: jax.Array,
  aux_targets: jax.Array,
  penalties: Sequence[float] = _PENALTIES,
) -> _Fit:
  """Fit the penalty that predicts left-out known samples best."""
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  _validate.targets_of('aux_targets', aux_targets, aux_vectors)
  num_aux = len(aux_vectors)
  _validate.count('the known samples', num_aux, at_least=3)
  vectors, aux_vectors = _standardize(vectors, aux_vectors)
  counts = conditioning.finite_rows(aux_vectors)
  mean_of = lambda x: jnp.sum(x, axis=0) / jnp.maximum(jnp.sum(counts), 1)
  mean = mean_of(jnp.where(counts, aux_targets.astype(jnp.float32), 0))
  aux_targets = jnp.where(counts, aux_targets, mean)
  centre = mean_of(jnp.where(counts[:, None], aux_vectors, 0))[None]
  # A known sample that says nothing lies amid the others.
  aux_vectors = jnp.where(counts[:, None], aux_vectors, centre)
  known = aux_vectors - centre  # [A, D]
  gram = known @ known.T
  size = jnp.trace(gram) / num_aux
  size = jnp.where(size > 0, size, 1)

  def fit(penalty: jax.Array) -> tuple[jax.Array, jax.Array]:
    inverse = linalg.inverse(gram + penalty * size * jnp.eye(num_aux))
    inverse = inverse - 1 / (penalty * size * num_aux)
    duals = inverse @ (aux_targets - mean)
    left_out = duals / jnp.diagonal(inverse)
    return duals, jnp.sum(left_out**2)

  duals, losses = jax.vmap(fit)(jnp.array(penalties))
  best = jnp.argmin(losses)
  targets = mean + (vectors - centre) @ (known.T @ duals[best])
  return _Fit(targets, losses[best] / num_aux)


def _standardize(
  vectors: jax.Array, aux_vectors: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Standardize both in float32 by the columns of `vectors`.

  A column that is constant in `vectors` becomes 0.
  """
  vectors, aux_vectors = (x.astype(jnp.float32) for x in (vectors, aux_vectors))
  finite = conditioning.finite_rows(vectors)[:, None]
  count = jnp.maximum(jnp.sum(finite), 1)
  mean_of = lambda x: jnp.sum(jnp.where(finite, x / count, 0), axis=0)[None]
  centre = mean_of(vectors)
  centre = centre + mean_of(vectors - centre)  # Far from 0 a mean rounds.
  centred = vectors - centre
  largest = jnp.max(jnp.where(finite, jnp.abs(centred), 0), axis=0)[None]
  # Squares of tiny gradients underflow, unless they are scaled before.
  scale = jnp.where(largest > 0, 1 / jnp.where(largest > 0, largest, 1), 0)
  spread = jnp.sqrt(mean_of((centred * scale) ** 2))
  scale = scale / jnp.where(spread > 0, spread, 1)
  return centred * scale, (aux_vectors - centre) * scale
