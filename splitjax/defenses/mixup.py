"""Mixup: training on convex combinations of pairs of samples."""

import math
import numbers

import jax
import jax.numpy as jnp

# Below, the logarithms that a Beta variate is drawn with leave float32; it is 0
# or 1 long before.
_MIN_ALPHA = 1e-30


def mix(
  key: jax.Array,
  inputs: jax.Array,
  labels: jax.Array,
  *,
  num_classes: int,
  alpha: jax.typing.ArrayLike,
) -> tuple[jax.Array, jax.Array]:
  """Mixes each sample of a batch with another.

  Zhang et al., "mixup: Beyond empirical risk minimization" (2018,
  https://arxiv.org/abs/1710.09412): `lam x_i + (1 - lam) x_j`, and the labels
  likewise, with one `lam ~ Beta(alpha, alpha)` a batch and `j` a permutation of
  it. Both parties draw the same from a shared seed.

  As a defense, it is scored on the sample's own label. Where `lam < 1/2`, that
  is in half of the batches, a gradient mainly tells the label of the partner,
  and an attack that reads it without error names the wrong class. So alpha near
  0 is not off: then `lam` is 0 or 1, and half of the batches are swapped.

  Args:
    key: the random key, that of the batch.
    inputs: `[B, ...]`, of a floating type: token ids cannot be mixed.
    labels: classes `[B]`, or soft labels `[B, C]`.
    num_classes: `C`.
    alpha: of the Beta distribution, finite; 0 is off.

  Returns:
    The inputs, in their type, and soft labels `[B, C]` in float32. Labels
    become soft even where off, as `alpha` may be traced: then one-hot.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  _check(inputs, labels, num_classes, alpha)
  key_lam, key_order = jax.random.split(key)
  alpha = jnp.asarray(alpha, jnp.float32)
  shape = jnp.maximum(alpha, _MIN_ALPHA)
  lam = jax.random.beta(key_lam, shape, shape)
  lam = jnp.where(alpha > 0, lam, 1)
  order = jax.random.permutation(key_order, len(inputs))

  def mixed(x):
    wide = x.astype(jnp.float32)
    wide = lam * wide + (1 - lam) * wide[order]
    return jnp.where(alpha > 0, wide.astype(x.dtype), x)

  if labels.ndim == 1:
    labels = jax.nn.one_hot(labels, num_classes)
  return mixed(inputs), mixed(labels.astype(jnp.float32))


def _check(inputs, labels, num_classes, alpha):
  """Refuses static arguments that have no meaning."""
  if not jnp.issubdtype(inputs.dtype, jnp.floating):
    raise ValueError(f'inputs must be of a floating type, got {inputs.dtype}.')
  is_hard = jnp.issubdtype(labels.dtype, jnp.integer)
  expected = (len(inputs),) if is_hard else (len(inputs), num_classes)
  if labels.shape != expected:
    raise ValueError(f'labels must have shape {expected}, got {labels.shape}.')
  is_number = isinstance(alpha, numbers.Real)
  if is_number and not (alpha >= 0 and math.isfinite(alpha)):
    raise ValueError(f'alpha must be finite and at least 0, got {alpha}.')
