"""Distance correlation: smashed data that depend less on the labels.

Szekely et al., "Measuring and testing dependence by correlation of distances"
(2007, https://arxiv.org/abs/0803.4101). Sun et al., "Label leakage and
protection from forward embedding in vertical federated learning" (2022,
https://arxiv.org/abs/2203.01451) use it as a loss on labels.
"""

import numbers

import jax
import jax.numpy as jnp

from splitjax import losses

# A smaller correlation counts as this one, and has no gradient.
_FLOOR = 1e-6
_TINY = 1e-30
_UNRESOLVED = 1e-5
_ENTRIES_AT_ONCE = 2**22


def loss(
  loss_fn: losses.LossFn,
  logits: jax.Array,
  smashed: jax.Array,
  labels: jax.Array,
  *,
  weight: jax.typing.ArrayLike,
) -> jax.Array:
  r"""Add the log correlation of smashed data and labels to each loss.

  The loss of example $i$ becomes $\ell_i + \lambda \log \mathrm{dCor}(h, y)$,
  with the smashed data $h$ and one-hot labels $y$ of the batch. A correlation
  below 1e-6 counts as 1e-6.

  Args:
    loss_fn: `(logits, labels) -> losses [B]`.
    logits: logits of the label party's model, `[B, C]`.
    smashed: output of the cut layer, `[B, ...]`.
    labels: classes `[B]`, or soft labels `[B, C]`.
    weight: the factor $\lambda$, at least 0. At 0 the losses are unchanged.

  Returns:
    Losses `[B]`; the added term is the same for all examples.

  Raises:
    ValueError: at trace time, if `weight` is negative.

  Example:
    Smashed data that do not vary have no correlation with the labels, and the
    logarithm of 1e-6 is added.

    >>> zero = lambda logits, labels: jnp.zeros(len(labels))
    >>> logits, labels = jnp.zeros((2, 2)), jnp.array([0, 1])
    >>> print(loss(zero, logits, jnp.ones((2, 3)), labels, weight=1.0).round(2))
    [-13.82 -13.82]
  """
  if isinstance(weight, numbers.Real) and not weight >= 0:
    raise ValueError(f'weight must be at least 0, got {weight}.')
  example_losses = loss_fn(logits, labels)
  if labels.ndim == 1:
    labels = jax.nn.one_hot(labels, logits.shape[-1])
  correlation = distance_correlation(smashed, labels)
  penalty = weight * jnp.log(jnp.maximum(correlation, _FLOOR))
  penalised = (example_losses + penalty).astype(example_losses.dtype)
  return jnp.where(jnp.asarray(weight) <= 0, example_losses, penalised)


def distance_correlation(x: jax.Array, y: jax.Array) -> jax.Array:
  """Return the (biased) sample distance correlation of Szekely et al.

  It does not change if `x` or `y` is shifted, rotated or scaled. The value and
  its gradients are finite for all finite inputs.

  Args:
    x: one variable, a row for each sample, `[B, ...]`.
    y: the other variable, with rows in the order of `x`, `[B, ...]`.

  Returns:
    A float32 scalar in `[0, 1]`; 0 if all rows of `x` or all of `y` are equal.

  Example:
    >>> x = jnp.array([[0.0], [1.0], [3.0]])
    >>> print(f'{distance_correlation(x, 5 - 2 * x):.3f}')
    1.000
    >>> print(f'{distance_correlation(x, jnp.ones((3, 2))):.3f}')
    0.000
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
  """Return the Euclidean distances between all pairs of rows.

  Computed from differences, so that distances of near rows are exact, and in
  chunks, so that memory does not grow as `B` squared times `D`. The gradient
  takes one matrix product instead. It leaves out pairs that are too near for
  that: nearer than 1e-5 of the largest norm about the mean.

  Args:
    x: rows `[B, D]` in float32, whose squares must stay in its range.

  Returns:
    Distances `[B, B]`.

  Example:
    >>> print(pairwise_distances(jnp.array([[0.0, 0.0], [3.0, 4.0]])))
    [[0. 5.]
     [5. 0.]]
  """
  squared = lambda row: jnp.sum((x - row[None]) ** 2, axis=1)
  rows = max(1, _ENTRIES_AT_ONCE // max(x.size, 1))
  return jnp.sqrt(jax.lax.map(squared, x, batch_size=rows))


@pairwise_distances.defjvp
def _pairwise_distances_jvp(
  primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
  """Multiply out (x_i - x_j) (t_i - t_j) / distance."""
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


def _centred_distances(x: jax.Array) -> jax.Array:
  """Return distances minus their row and column means, float32 `[B, B]`."""
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
  row_means = jnp.mean(distances, axis=1, keepdims=True)
  column_means = jnp.mean(distances, axis=0, keepdims=True)
  return distances - row_means - column_means + jnp.mean(distances)
