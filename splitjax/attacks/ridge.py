"""Ridge regression on a few known samples: what any analyst would try first.

It is no leak by itself. On raw inputs it says what the known samples alone
teach.
"""

import jax
import jax.numpy as jnp

from splitjax import linalg
from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning

# Penalties in units of the mean squared length of the known samples.
_PENALTIES = (1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2)


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
    aux_targets: real targets of these samples, `[A]`, at least three.

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
  _validate.matrices(vectors=vectors, aux_vectors=aux_vectors)
  _validate.targets_of('aux_targets', aux_targets, aux_vectors)
  num_aux = len(aux_vectors)
  _validate.count('the known samples', num_aux, at_least=3)
  vectors, aux_vectors = _standardize(vectors, aux_vectors)
  aux_targets = aux_targets.astype(jnp.float32)
  mean = jnp.mean(aux_targets)
  centre = jnp.mean(aux_vectors, axis=0)[None]
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

  duals, losses = jax.vmap(fit)(jnp.array(_PENALTIES))
  duals = duals[jnp.argmin(losses)]
  return mean + (vectors - centre) @ (known.T @ duals)


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
