"""ALIBI: label differential privacy by Laplace noise on one-hot labels.

Malek et al., "Antipodes of label differential privacy: PATE and ALIBI" (2021,
https://arxiv.org/abs/2106.03408). `perturb` noises the labels, once; `loss`
only reads the noisy vectors, and so costs no further privacy.
"""

import numbers

import jax
import jax.numpy as jnp

from splitjax import losses

# For a smaller epsilon the noise would not fit into float32; it drowns a
# one-hot label long before.
_MIN_EPSILON = 1e-30


def perturb(
  key: jax.Array,
  labels: jax.Array,
  *,
  num_classes: int,
  epsilon: jax.typing.ArrayLike,
) -> jax.Array:
  """Draw one-hot labels with Laplace noise.

  Two one-hot labels differ by at most 2 in the L1 norm, so noise of scale
  `2 / epsilon` in each entry is epsilon-differentially private. Draw the labels
  once and store them: if they are drawn anew at each use, each use costs
  epsilon.

  Args:
    key: random key for the noise.
    labels: classes, integers in `[0, C)`, `[B]`.
    num_classes: number of classes, `C`.
    epsilon: epsilon of the differential privacy, at least 0. At infinity the
      result is exactly one-hot.

  Returns:
    Noisy vectors `[B, C]` in float32, for `loss`.

  Raises:
    ValueError: at trace time, if the labels are not integers, `num_classes` is
      below 1, or `epsilon` is negative.

  Example:
    >>> labels = jnp.array([1, 0])
    >>> perturb(
    ...   jax.random.key(0), labels, num_classes=2, epsilon=jnp.inf
    ... ).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    >>> noisy = perturb(
    ...   jax.random.key(0), jnp.zeros(5000, int), num_classes=2, epsilon=2.0
    ... )
    >>> noisy.mean(axis=0).round(1).tolist()
    [1.0, 0.0]
  """
  _check_epsilon(epsilon)
  if not jnp.issubdtype(labels.dtype, jnp.integer):
    raise ValueError(f'labels must be integers, got {labels.dtype}.')
  if num_classes < 1:
    raise ValueError(f'num_classes must be at least 1, got {num_classes}.')
  one_hot = jax.nn.one_hot(labels, num_classes, dtype=jnp.float32)
  noise = jax.random.laplace(key, one_hot.shape, jnp.float32)
  return one_hot + noise * (2 / jnp.maximum(epsilon, _MIN_EPSILON))


def loss(
  loss_fn: losses.LossFn,
  logits: jax.Array,
  smashed: jax.Array | None,
  labels: jax.Array,
  *,
  epsilon: jax.typing.ArrayLike,
) -> jax.Array:
  """Return the loss on the class probabilities given the noisy label.

  The probability of each class is proportional to the model's own prediction
  times the probability density of the noisy vector for that class. No gradient
  flows through these probabilities.

  Args:
    loss_fn: `(logits, labels) -> losses [B]`; must accept soft labels `[B, C]`.
    logits: logits of the label party's model, `[B, C]`.
    smashed: not used.
    labels: noisy vectors from `perturb`, `[B, C]`.
    epsilon: epsilon that `perturb` was called with. At infinity the class is
      that of the largest entry.

  Returns:
    Losses `[B]`.

  Raises:
    ValueError: at trace time, if `labels` and `logits` differ in shape, or
      `epsilon` is negative.

  Example:
    Without noise this is the loss on the true class.

    >>> logits, noisy = jnp.zeros((1, 2)), jnp.array([[0.0, 1.0]])
    >>> example_losses = loss(
    ...   losses.cross_entropy, logits, None, noisy, epsilon=jnp.inf
    ... )
    >>> print(example_losses.round(3))
    [0.693]
  """
  del smashed
  _check_epsilon(epsilon)
  if labels.shape != logits.shape:
    raise ValueError(
      'labels must be noisy vectors from perturb, of shape '
      f'{logits.shape}, got {labels.shape}.'
    )
  return loss_fn(logits, _posterior(logits, labels, epsilon))


def _posterior(
  logits: jax.Array, noisy: jax.Array, epsilon: jax.typing.ArrayLike
) -> jax.Array:
  """Return class probabilities given noisy one-hot vectors, `[B, C]`."""
  prior = jax.nn.log_softmax(jax.lax.stop_gradient(logits).astype(jnp.float32))
  noisy = noisy.astype(jnp.float32)
  is_off = jnp.isposinf(epsilon)
  # The densities of two classes differ in two entries only, so each class has
  # one term of its own: |x| - |x - 1|, written here without cancellation.
  evidence = jnp.clip(2 * noisy - 1, -1, 1)
  evidence = evidence * jnp.where(is_off, 0, epsilon / 2)
  exact = jax.nn.one_hot(jnp.argmax(noisy, -1), noisy.shape[-1])
  return jnp.where(is_off, exact, jax.nn.softmax(prior + evidence))


def _check_epsilon(epsilon: jax.typing.ArrayLike) -> None:
  """Raise ValueError if an epsilon that is not traced is negative."""
  if isinstance(epsilon, numbers.Real) and not epsilon >= 0:
    raise ValueError(f'epsilon must be at least 0, got {epsilon}.')
