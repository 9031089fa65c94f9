"""Losses that the label party minimises, one number for each example."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

# (outputs, labels) -> losses [B]
LossFn = Callable[[jax.Array, jax.Array], jax.Array]


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Return the softmax cross-entropy of each example, in nats.

  Args:
    logits: outputs of the top model, `[B, C]`; converted to float32.
    labels: classes `[B]`, or soft labels `[B, C]`.

  Returns:
    Losses `[B]`, in float32.

  Example:
    >>> logits, labels = jnp.array([[0.0, 0.0], [9.0, -9.0]]), jnp.array([1, 0])
    >>> print(cross_entropy(logits, labels).round(3))
    [0.693 0.   ]
  """
  logits = logits.astype(jnp.float32)
  if labels.ndim == logits.ndim:
    return optax.softmax_cross_entropy(logits, labels)
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
  """Return the squared error of each example, summed over the outputs.

  Args:
    outputs: outputs of the top model, `[B, O]`; converted to float32.
    targets: real targets, `[B]` if there is one output, or `[B, O]`.

  Returns:
    Losses `[B]`, in float32.

  Raises:
    ValueError: at trace time, if the shapes do not match.

  Example:
    >>> squared_error(jnp.array([[1.0], [2.0]]), jnp.array([1.0, 5.0])).tolist()
    [0.0, 9.0]
  """
  targets = targets if targets.ndim == 2 else targets[:, None]
  if outputs.shape != targets.shape:
    raise ValueError(
      f'targets must be one for each output, got {targets.shape} for '
      f'{outputs.shape}.'
    )
  errors = outputs.astype(jnp.float32) - targets.astype(jnp.float32)
  return jnp.sum(errors**2, axis=1)
