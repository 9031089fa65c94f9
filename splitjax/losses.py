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
