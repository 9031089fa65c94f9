"""Which key draws what in a run: the model, its labels, its epochs.

The numbers are fixed: others would give other results for the same seed.
"""

import jax


def init_key(run_key: jax.Array) -> jax.Array:
  """Return the key from which a run draws its model."""
  return jax.random.split(run_key)[0]


def labels_key(run_key: jax.Array) -> jax.Array:
  """Return the key from which a run draws the labels that it stores."""
  return jax.random.split(run_key, 3)[2]


def epoch_key(run_key: jax.Array, epoch: jax.Array | int) -> jax.Array:
  """Return the key of an epoch of a run, counted from 0."""
  return jax.random.fold_in(jax.random.split(run_key)[1], epoch)
