"""Distance correlation: smashed data that depend less on the labels.

Szekely et al., "Measuring and testing dependence by correlation of distances"
(2007, https://arxiv.org/abs/0803.4101); as a loss on labels, Sun et al., "Label
leakage and protection from forward embedding in vertical federated learning"
(2022, https://arxiv.org/abs/2203.01451).
"""

from collections.abc import Callable
import numbers

import jax
import jax.numpy as jnp

# A smaller correlation counts as this, and has no gradient.
_FLOOR = 1e-6
_TINY = 1e-30
_UNRESOLVED = 1e-5
_ENTRIES_AT_ONCE = 2**22


def loss(
  loss_fn: Callable[[jax.Array, jax.Array], jax.Array],
  logits: jax.Array,
  smashed: jax.Array,
  labels: jax.Array,
  *,
  weight: jax.typing.ArrayLike,
) -> jax.Array:
  r"""Adds the logarithm of the correlation of smashed data and labels.

  $\ell_i + \lambda \log \mathrm{dCor}(h, y)$ with one-hot labels $y$. A
  correlation below 1e-6 counts as 1e-6.

  Args:
    loss_fn: `(logits, labels) -> losses [B]`.
    logits: `[B, C]`.
    smashed: `[B, ...]`.
    labels: classes `[B]`, or soft labels `[B, C]`.
    weight: lambda; 0 is off.

  Returns:
    Losses `[B]`; the added term is the same for all.

  Raises:
    ValueError: at trace time, if `weight` is negative.
  """
  if isinstance(weight, numbers.Real) and not weight >= 0:
    raise ValueError(f'weight must be at least 0, got {weight}.')
  losses = loss_fn(logits, labels)
  if labels.ndim == 1:
    labels = jax.nn.one_hot(labels, logits.shape[-1])
  correlation = distance_correlation(smashed, labels)
  penalty = weight * jnp.log(jnp.maximum(correlation, _FLOOR))
  penalised = (losses + penalty).astype(losses.dtype)
  return jnp.where(jnp.asarray(weight) <= 0, losses, penalised)


def distance_correlation(x: jax.Array, y: jax.Array) -> jax.Array:
  """The sample distance correlation, of Szekely et al. (biased).

  Invariant to shifts, rotations and scales of either. The value and gradients
  are finite for all finite inputs.

  Args:
    x: `[B, ...]`.
    y: `[B, ...]`.

  Returns:
    A float32 in `[0, 1]`; 0 if all rows of `x` or all of `y` are equal.
  """
  a, b = _centred_distances(x), _centred_distances(y)
  product = jnp.mean(a * a) * jnp.mean(b * b)
  is_varied = product > 0
  squared = jnp.mean(a * b) / jnp.sqrt(jnp.where(is_varied, product, 1))
  # Roots have no finite slope at 0.
  is_correlated = is_varied & (squared > _FLOOR**2)
  root = jnp.sqrt(jnp.where(is_correlated, squared, 1))
  return jnp.where(is_correlated, jnp.minimum(root, 1), 0)


@jax.custom_jvp
def pairwise_distances(x: jax.Array) -> jax.Array:
  """Euclidean distances of all rows to each other.

  From differences, in chunks: near rows are exact, and memory does not grow as
  `B` squared times `D`. The gradient is one matrix product, and leaves out
  pairs that are too near for that: 1e-5 of the largest norm about the mean.

  Args:
    x: `[B, D]` in float32; squares must stay in range.

  Returns:
    `[B, B]`.
  """
  squared = lambda row: jnp.sum((x - row[None]) ** 2, axis=1)
  rows = max(1, _ENTRIES_AT_ONCE // max(x.size, 1))
  return jnp.sqrt(jax.lax.map(squared, x, batch_size=rows))


@pairwise_distances.defjvp
def _pairwise_distances_jvp(primals, tangents):
  """(x_i - x_j) (t_i - t_j) / distance, multiplied out."""
  (x,), (tangent,) = primals, tangents
  distances = pairwise_distances(x)
  x = x - jnp.mean(x, axis=0, keepdims=True)
  largest = jnp.sqrt(jnp.max(jnp.sum(x**2, axis=1)))
  cross = jnp.matmul(x, tangent.T, precision='highest')
  own = jnp.sum(x * tangent, axis=1)
  products = own[:, None] + own[None, :] - cross - cross.T
  is_apart = distances > _UNRESOLVED * largest
  slopes = products / jnp.where(is_apart, distances, 1)
  return distances, jnp.where(is_apart, slopes, 0)


def _centred_distances(x):
  """Distances less their row and column means, `[B, B]`, in float32."""
  x = x.astype(jnp.float32).reshape(x.shape[0], -1)
  # The correlation does not change with shift and scale, nor do its gradients
  # if these are constants; squares stay in range.
  largest = jnp.maximum(jnp.max(jnp.abs(x)), 1)
  x = x / jax.lax.stop_gradient(largest)
  x = x - jax.lax.stop_gradient(x[:1])
  spread = jax.lax.stop_gradient(jnp.max(jnp.abs(x)))
  is_spread = spread > _TINY
  x = jnp.where(is_spread, x / jnp.where(is_spread, spread, 1), 0)

  distances = pairwise_distances(x)
  of_rows = jnp.mean(distances, axis=1, keepdims=True)
  of_columns = jnp.mean(distances, axis=0, keepdims=True)
  return distances - of_rows - of_columns + jnp.mean(distances)
