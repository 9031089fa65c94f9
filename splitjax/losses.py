"""What the label party minimises."""

import jax
import jax.numpy as jnp
import optax


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Softmax cross-entropy of each example.

  Args:
    logits: `[B, C]`; computed with in float32.
    labels: classes `[B]`, or soft labels `[B, C]`.

  Returns:
    Losses `[B]`.
  """
  logits = logits.astype(jnp.float32)
  if labels.ndim == logits.ndim:
    return optax.softmax_cross_entropy(logits, labels)
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
  """Squared error of each example, summed over outputs.

  Args:
    outputs: `[B, O]`; computed with in float32.
    targets: real numbers `[B]`, where there is one output, or `[B, O]`.

  Returns:
    Losses `[B]`.

  Raises:
    ValueError: at trace time, if the shapes do not fit.
  """
  targets = targets if targets.ndim == 2 else targets[:, None]
  if outputs.shape != targets.shape:
    raise ValueError(
      f'targets must be one for each output, got {targets.shape} for '
      f'{outputs.shape}.'
    )
  errors = outputs.astype(jnp.float32) - targets.astype(jnp.float32)
  return jnp.sum(errors**2, axis=1)
