"""ALIBI: label differential privacy by Laplace noise on one-hot labels.

Malek et al., "Antipodes of label differential privacy: PATE and ALIBI" (2021,
https://arxiv.org/abs/2106.03408). `perturb` acts on the labels, once; `loss`
reads the noisy vectors, and so costs no privacy.
"""

from collections.abc import Callable
import numbers

import jax
import jax.numpy as jnp

# Below, the noise would not fit into float32. It drowns a one-hot label by far.
_MIN_EPSILON = 1e-30


def perturb(
  key: jax.Array,
  labels: jax.Array,
  *,
  num_classes: int,
  epsilon: jax.typing.ArrayLike,
) -> jax.Array:
  """Draws one-hot labels with Laplace noise.

  Two one-hot labels differ by at most 2 in the L1 norm, so that noise of scale
  `2 / epsilon` in each entry is epsilon-differentially private. To be drawn
  once and stored: labels drawn anew at each use cost epsilon each time.

  Args:
    key: the random key.
    labels: integers in `[0, C)`, `[B]`.
    num_classes: `C`.
    epsilon: of the differential privacy; infinity is off: exactly one-hot.

  Returns:
    Noisy vectors `[B, C]` in float32, for `loss`.

  Raises:
    ValueError: at trace time, if an argument is not as above.
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
  loss_fn: Callable[[jax.Array, jax.Array], jax.Array],
  logits: jax.Array,
  smashed: jax.Array,
  labels: jax.Array,
  *,
  epsilon: jax.typing.ArrayLike,
) -> jax.Array:
  """The loss on the posterior of the class, given the noisy label.

  The posterior is proportional to the model's own prediction, which gets no
  gradient, times the probability density of the noisy vector for each class.

  Args:
    loss_fn: `(logits, labels) -> losses [B]`, for soft labels `[B, C]`.
    logits: of the label party's model, `[B, C]`.
    smashed: not used.
    labels: noisy vectors from `perturb`, `[B, C]`.
    epsilon: that of `perturb`; at infinity the largest entry is the class.

  Returns:
    Losses `[B]`.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  del smashed
  _check_epsilon(epsilon)
  if labels.shape != logits.shape:
    raise ValueError(
      'labels must be noisy vectors from perturb, of shape '
      f'{logits.shape}, got {labels.shape}.'
    )
  return loss_fn(logits, _posterior(logits, labels, epsilon))


def _posterior(logits, noisy, epsilon):
  """Probabilities of the classes given their noisy one-hot vector, `[B, C]`."""
  prior = jax.nn.log_softmax(jax.lax.stop_gradient(logits).astype(jnp.float32))
  noisy = noisy.astype(jnp.float32)
  is_off = jnp.isposinf(epsilon)
  # The densities of two classes differ in two entries alone, so that each class
  # has its own term: |x| - |x - 1|, here without cancellation.
  evidence = jnp.clip(2 * noisy - 1, -1, 1)
  evidence = evidence * jnp.where(is_off, 0, epsilon / 2)
  exact = jax.nn.one_hot(jnp.argmax(noisy, -1), noisy.shape[-1])
  return jnp.where(is_off, exact, jax.nn.softmax(prior + evidence))


def _check_epsilon(epsilon):
  if isinstance(epsilon, numbers.Real) and not epsilon >= 0:
    raise ValueError(f'epsilon must be at least 0, got {epsilon}.')
