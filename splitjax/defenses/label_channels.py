"""Channels of randomized response: which labels are released, how likely.

A *channel* is a matrix of the probabilities of each released label given each
true one. `label_dp` draws labels from the same probabilities.
"""

import numbers

import jax
import jax.numpy as jnp


def randomized_response_channel(
  *, num_classes: int, epsilon: jax.typing.ArrayLike
) -> jax.Array:
  """Return the probabilities that `randomized_response` draws from.

  Args:
    num_classes: number of classes, `C`.
    epsilon: epsilon of the differential privacy, at least 0.

  Returns:
    Channel `[C, C]`: row `y` holds the probability of each released label if
    the true label is `y`.

  Raises:
    ValueError: at trace time, if a number is out of range.

  Example:
    >>> channel = randomized_response_channel(num_classes=2, epsilon=jnp.log(3))
    >>> print(channel.round(2))
    [[0.75 0.25]
     [0.25 0.75]]
  """
  classes = jnp.arange(num_classes)
  check(classes, num_classes, epsilon)
  return release_probabilities(
    classes, jnp.ones((1, num_classes), bool), epsilon
  )


def rr_with_prior_channel(
  prior: jax.typing.ArrayLike, *, epsilon: jax.typing.ArrayLike
) -> jax.Array:
  """Return the probabilities that `rr_with_prior` draws from.

  Args:
    prior: probabilities of the classes, `[..., C]`.
    epsilon: epsilon of the differential privacy, at least 0.

  Returns:
    Channels `[..., C, C]`: row `y` holds the probability of each released label
    if the true label is `y`.

  Raises:
    ValueError: at trace time, if `epsilon` is negative.

  Example:
    With this prior two of three classes are released.

    >>> prior = jnp.array([0.5, 0.0, 0.5])
    >>> print(rr_with_prior_channel(prior, epsilon=jnp.log(3)).round(2))
    [[0.75 0.   0.25]
     [0.5  0.   0.5 ]
     [0.25 0.   0.75]]
  """
  *batch, num_classes = jnp.shape(prior)
  classes = jnp.broadcast_to(jnp.arange(num_classes), (*batch, num_classes))
  check(classes, num_classes, epsilon)
  in_top = top_classes(prior, epsilon)
  return release_probabilities(classes, jnp.expand_dims(in_top, -2), epsilon)


def keep_probability(
  channel: jax.Array, class_frequencies: jax.typing.ArrayLike
) -> jax.Array:
  """Return the probability that a released label is the true one.

  It bounds the mean accuracy of every attack that sees only what was computed
  from one draw of the labels and knows nothing else but the channel's prior.

  Args:
    channel: channels from one of the `_channel` functions, `[..., C, C]`.
    class_frequencies: shares or counts of the true labels, `[C]`.

  Returns:
    Probabilities `[...]`.

  Example:
    >>> channel = jnp.array([[0.75, 0.25], [0.5, 0.5]])
    >>> float(keep_probability(channel, jnp.array([1, 1])))
    0.625
  """
  frequencies = jnp.asarray(class_frequencies, jnp.float32)
  kept = jnp.diagonal(channel, axis1=-2, axis2=-1)  # [..., C]
  kept = jnp.matmul(kept, frequencies, precision='highest')
  return kept / jnp.sum(frequencies)


def check(
  labels: jax.Array, num_classes: int, epsilon: jax.typing.ArrayLike
) -> None:
  """Check the arguments of a channel.

  Args:
    labels: classes, of any shape; their range is not checked.
    num_classes: number of classes.
    epsilon: epsilon of the differential privacy; not checked if it is traced.

  Raises:
    ValueError: if the labels are not integers, `num_classes` is below 1, or
      `epsilon` is negative.

  Example:
    >>> check(jnp.array([0, 1]), 2, epsilon=-1.0)
    Traceback (most recent call last):
    ValueError: epsilon must be at least 0, got -1.0.
  """
  if not jnp.issubdtype(jnp.result_type(labels), jnp.integer):
    raise ValueError(f'labels must be integers, got {jnp.result_type(labels)}.')
  if num_classes < 1:
    raise ValueError(f'num_classes must be at least 1, got {num_classes}.')
  if isinstance(epsilon, numbers.Real) and not epsilon >= 0:
    raise ValueError(f'epsilon must be at least 0, got {epsilon}.')


def top_classes(
  prior: jax.typing.ArrayLike, epsilon: jax.typing.ArrayLike
) -> jax.Array:
  """Mark the classes that RRWithPrior releases.

  Args:
    prior: probabilities of the classes, `[..., C]`.
    epsilon: epsilon of the differential privacy, at least 0.

  Returns:
    A mask `[..., C]`, True for the `k` likeliest classes, with the `k` for
    which a label is likeliest to be kept.

  Example:
    >>> top_classes(jnp.array([0.5, 0.1, 0.4]), epsilon=1.0).tolist()
    [True, False, True]
  """
  prior = jnp.asarray(prior, jnp.float32)
  order = jnp.argsort(prior, axis=-1, descending=True, stable=True)
  rank = jnp.argsort(order, axis=-1)
  mass = jnp.cumsum(jnp.take_along_axis(prior, order, axis=-1), axis=-1)
  # With k classes, a label is kept with probability e^eps / (e^eps + k - 1).
  others = jnp.arange(prior.shape[-1], dtype=jnp.float32)  # k - 1
  weights = 1 / (1 + others * _odds(epsilon))
  kept = mass * jnp.broadcast_to(weights, mass.shape)
  return rank <= jnp.argmax(kept, axis=-1, keepdims=True)


def release_probabilities(
  labels: jax.Array, in_top: jax.Array, epsilon: jax.typing.ArrayLike
) -> jax.Array:
  """Return the probabilities of released labels given the true ones.

  Args:
    labels: true classes, `[...]`.
    in_top: mask of the classes that may be released; broadcasts to `[..., C]`.
    epsilon: epsilon of the differential privacy, at least 0.

  Returns:
    Probabilities `[..., C]`.

  Example:
    >>> labels, in_top = jnp.array([0, 2]), jnp.array([[True, True, False]])
    >>> print(release_probabilities(labels, in_top, jnp.log(3)).round(2))
    [[0.75 0.25 0.  ]
     [0.5  0.5  0.  ]]
  """
  odds = _odds(epsilon)
  is_label = jax.nn.one_hot(labels, in_top.shape[-1], dtype=bool)
  num_top = jnp.sum(in_top, axis=-1, keepdims=True, dtype=jnp.float32)
  in_top = jnp.broadcast_to(in_top, is_label.shape)
  is_inside = jnp.any(is_label & in_top, axis=-1, keepdims=True)
  respond = jnp.where(is_label, 1, odds) / (1 + (num_top - 1) * odds)
  rows = jnp.where(in_top, jnp.where(is_inside, respond, 1 / num_top), 0)
  # At infinity even a label to which the prior gives no mass is kept.
  is_off = jnp.isposinf(epsilon)
  return jnp.where(is_off, is_label.astype(jnp.float32), rows)


def _odds(epsilon: jax.typing.ArrayLike) -> jax.Array:
  """Return the odds of one other label against the true one, `e^-epsilon`."""
  return jnp.exp(-jnp.asarray(epsilon, jnp.float32))
