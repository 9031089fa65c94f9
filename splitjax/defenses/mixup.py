"""Mixup: training on convex combinations of pairs of samples.

Zhang et al., "mixup: Beyond empirical risk minimization" (2018,
https://arxiv.org/abs/1710.09412).
"""

import math
import numbers

import jax
import jax.numpy as jnp

# For a smaller alpha, the logarithms that a Beta variate is drawn with leave
# float32; the variate is 0 or 1 long before.
_MIN_ALPHA = 1e-30


def mix(
  key: jax.Array,
  inputs: jax.Array,
  labels: jax.Array,
  *,
  num_classes: int,
  alpha: jax.typing.ArrayLike,
) -> tuple[jax.Array, jax.Array]:
  """Mix each sample of a batch with another sample of it.

  Sample `i` becomes `lam x_i + (1 - lam) x_j`, and its label becomes the same
  mixture of both labels. One `lam ~ Beta(alpha, alpha)` is drawn for the batch,
  and `j` comes from a random permutation of it. Both parties draw the same
  numbers from a shared key.

  As a defense, mixup is scored on the sample's own label. Where `lam < 1/2`,
  which is half of the batches, a gradient mainly reveals the label of sample
  `j`, and an attack that reads it without error names the wrong class.
  Therefore an alpha near 0 still defends: `lam` is then 0 or 1, and half of the
  batches are swapped.

  Args:
    key: random key of the batch.
    inputs: inputs `[B, ...]` of a floating type, since token ids cannot be
      mixed.
    labels: classes `[B]`, or soft labels `[B, C]`.
    num_classes: number of classes, `C`.
    alpha: parameter of the Beta distribution, finite and at least 0. At 0
      nothing is mixed.

  Returns:
    Inputs `[B, ...]` in their type, and soft labels `[B, C]` in float32. At an
    alpha of 0 the labels are one-hot, not classes, since `alpha` may be traced.

  Raises:
    ValueError: at trace time, if the inputs are not floating, or the shape of
      `labels` or `alpha` is not as above.

  Example:
    >>> inputs, labels = jnp.array([[1.0], [2.0]]), jnp.array([0, 1])
    >>> mixed, soft = mix(
    ...   jax.random.key(0), inputs, labels, num_classes=2, alpha=1.0
    ... )
    >>> bool(jnp.allclose(mixed[:, 0], soft @ inputs[:, 0]))
    True
    >>> soft.sum(axis=1).tolist()
    [1.0, 1.0]
  """
  _check(inputs, labels, num_classes, alpha)
  lam, order = _draw(key, len(inputs), alpha)
  alpha = jnp.asarray(alpha, jnp.float32)

  def mixed(x: jax.Array) -> jax.Array:
    wide = x.astype(jnp.float32)
    wide = lam * wide + (1 - lam) * wide[order]
    return jnp.where(alpha > 0, wide.astype(x.dtype), x)

  if labels.ndim == 1:
    labels = jax.nn.one_hot(labels, num_classes)
  return mixed(inputs), mixed(labels.astype(jnp.float32))


def pairs(
  key: jax.Array, batch_size: int, *, alpha: jax.typing.ArrayLike
) -> tuple[jax.Array, jax.Array]:
  """Return what `mix` draws with a key: both parties know it.

  Args:
    key: random key of the batch.
    batch_size: number of its samples, `B`.
    alpha: parameter of the Beta distribution.

  Returns:
    The weight of each sample itself, and the place in the batch of the partner
    that it is mixed with, `[B]` each.

  Example:
    >>> weights, partners = pairs(jax.random.key(0), 3, alpha=0.2)
    >>> weights.shape, sorted(partners.tolist())
    ((3,), [0, 1, 2])
  """
  lam, order = _draw(key, batch_size, alpha)
  return jnp.full(batch_size, lam), order


def _draw(
  key: jax.Array, batch_size: int, alpha: jax.typing.ArrayLike
) -> tuple[jax.Array, jax.Array]:
  """Draw the weight of a batch, and each sample's partner."""
  key_lam, key_order = jax.random.split(key)
  alpha = jnp.asarray(alpha, jnp.float32)
  shape = jnp.maximum(alpha, _MIN_ALPHA)
  lam = jax.random.beta(key_lam, shape, shape)
  order = jax.random.permutation(key_order, batch_size)
  return jnp.where(alpha > 0, lam, 1), order


def _check(
  inputs: jax.Array,
  labels: jax.Array,
  num_classes: int,
  alpha: jax.typing.ArrayLike,
) -> None:
  """Raise ValueError for arguments that `mix` cannot use."""
  if not jnp.issubdtype(inputs.dtype, jnp.floating):
    raise ValueError(f'inputs must be of a floating type, got {inputs.dtype}.')
  is_hard = jnp.issubdtype(labels.dtype, jnp.integer)
  expected = (len(inputs),) if is_hard else (len(inputs), num_classes)
  if labels.shape != expected:
    raise ValueError(f'labels must have shape {expected}, got {labels.shape}.')
  is_number = isinstance(alpha, numbers.Real)
  if is_number and not (alpha >= 0 and math.isfinite(alpha)):
    raise ValueError(f'alpha must be finite and at least 0, got {alpha}.')
