"""Which random key of a run draws what: its model, its labels, its epochs.

A *run* is one training from initialisation, and starts from one key. The
numbers below are fixed: other numbers give other results for the same seed.
"""

import jax


def init_key(run_key: jax.Array) -> jax.Array:
  """Return the key from which a run draws its model.

  Args:
    run_key: random key of the run.

  Returns:
    A random key.

  Example:
    >>> run_key = jax.random.key(0)
    >>> bool(init_key(run_key) == jax.random.split(run_key)[0])
    True
  """
  return jax.random.split(run_key)[0]


def labels_key(run_key: jax.Array) -> jax.Array:
  """Return the key from which a run draws the labels that it stores.

  Args:
    run_key: random key of the run.

  Returns:
    A random key.

  Example:
    >>> run_key = jax.random.key(0)
    >>> bool(labels_key(run_key) == init_key(run_key))
    False
  """
  return jax.random.split(run_key, 3)[2]


def canaries_key(run_key: jax.Array) -> jax.Array:
  """Return the key from which the labels of a run's canaries are drawn.

  Args:
    run_key: random key of the run.

  Returns:
    A random key.

  Example:
    >>> run_key = jax.random.key(0)
    >>> bool(canaries_key(run_key) == labels_key(run_key))
    False
  """
  return jax.random.split(run_key, 4)[3]


def epoch_key(run_key: jax.Array, epoch: jax.Array | int) -> jax.Array:
  """Return the key of an epoch of a run.

  Args:
    run_key: random key of the run.
    epoch: number of the epoch, from 0; may be traced.

  Returns:
    A random key.

  Example:
    >>> run_key = jax.random.key(0)
    >>> bool(epoch_key(run_key, 0) == epoch_key(run_key, 1))
    False
  """
  return jax.random.fold_in(jax.random.split(run_key)[1], epoch)
