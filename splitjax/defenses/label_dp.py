"""Label differential privacy by randomized response.

The label party replaces its labels by noisy ones. Drawn once and stored, as is
meant here, a sample's label is epsilon-differentially private however often it
is used; see `composed_epsilon` for labels drawn anew at each use. Each channel
is one function of the true label, from which both the draws and the exact
matrices are made.

The draws are in float32: a probability below about 1e-30, which an epsilon
above 70 asks for, is in effect zero.
"""

import numbers

import jax
import jax.numpy as jnp


def randomized_response(
  key: jax.Array,
  labels: jax.Array,
  *,
  num_classes: int,
  epsilon: jax.typing.ArrayLike,
) -> jax.Array:
  """Draws noisy labels by randomized response (Warner, 1965).

  A label is kept with probability `e^epsilon / (e^epsilon + C - 1)`, and else
  replaced by any other, all equally likely.

  Args:
    key: the random key.
    labels: integers in `[0, C)`, `[B]`.
    num_classes: `C`.
    epsilon: of the differential privacy; 0 is uniform noise, infinity is off.

  Returns:
    Labels `[B]`, in the type of `labels`.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  _check(labels, num_classes, epsilon)
  return _draw(key, labels, jnp.ones(num_classes, bool), epsilon)


def rr_with_prior(
  key: jax.Array,
  labels: jax.Array,
  *,
  num_classes: int,
  epsilon: jax.typing.ArrayLike,
  prior: jax.typing.ArrayLike,
) -> jax.Array:
  """Draws noisy labels by RRWithPrior.

  Algorithms 2 and 3 of Ghazi et al., "Deep learning with label differential
  privacy" (2021, https://arxiv.org/abs/2102.06062): randomized response among
  the `k` likeliest classes, with the `k` that makes it likeliest that a label
  is kept. A label that is not among them is replaced by any of them, all
  equally likely. Of equally likely classes the first comes first; of equally
  good `k` the smallest is taken.

  The prior must not come from the labels themselves: a prior estimated from
  them is a release of its own, which epsilon does not count.

  Args:
    key: the random key.
    labels: integers in `[0, C)`, `[B]`.
    num_classes: `C`.
    epsilon: of the differential privacy; infinity is off.
    prior: probabilities of the classes, `[C]`, or each sample's, `[B, C]`. They
      need not sum to 1.

  Returns:
    Labels `[B]`, in the type of `labels`.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  _check(labels, num_classes, epsilon)
  shape = jnp.shape(prior)
  if shape not in ((num_classes,), (*labels.shape, num_classes)):
    raise ValueError(
      f'prior must have shape ({num_classes},) or '
      f'{(*labels.shape, num_classes)}, got {shape}.'
    )
  return _draw(key, labels, _top_classes(prior, epsilon), epsilon)


def first_stage_split(key: jax.Array, num_samples: int) -> jax.Array:
  """Draws which samples the first of the two stages of LP-2ST trains on.

  The multi-stage training of Ghazi et al. (2021,
  https://arxiv.org/abs/2102.06062), with two stages:

  1. The labels of the samples drawn here go through `randomized_response`, and
     a model is trained on these samples alone.
  2. The labels of the others go through `second_stage`, with that model's
     logits as the prior; the final model is trained on all noisy labels.

  Each label goes through one mechanism, once, so that all of it together is
  epsilon-differentially private. That holds only if the second stage leaves
  the labels of the first alone: their prior would know them already.

  Args:
    key: the random key.
    num_samples: `N`.

  Returns:
    True for the samples of the first stage, `[N]`: half of them, rounded up.

  Raises:
    ValueError: at trace time, if `num_samples` is not positive.
  """
  if num_samples < 1:
    raise ValueError(f'num_samples must be at least 1, got {num_samples}.')
  return jax.random.permutation(key, num_samples) < (num_samples + 1) // 2


def second_stage(
  key: jax.Array,
  labels: jax.Array,
  logits: jax.Array,
  *,
  num_classes: int,
  epsilon: jax.typing.ArrayLike,
  temperature: jax.typing.ArrayLike = 1.0,
) -> jax.Array:
  """Draws the noisy labels of the second stage of LP-2ST.

  `rr_with_prior` with the predictions of the model of the first stage as each
  sample's prior; see `first_stage_split`.

  Args:
    key: the random key.
    labels: of the samples of the second stage, in `[0, C)`, `[B]`.
    logits: of the model of the first stage on them, `[B, C]`.
    num_classes: `C`.
    epsilon: of the differential privacy; infinity is off.
    temperature: the logits are divided by it; positive.

  Returns:
    Labels `[B]`, in the type of `labels`.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  if isinstance(temperature, numbers.Real) and not temperature > 0:
    raise ValueError(f'temperature must be positive, got {temperature}.')
  logits = logits.astype(jnp.float32)
  # Shifted first, so that a small temperature cannot make it inf - inf.
  logits = logits - jnp.max(logits, axis=-1, keepdims=True)
  return rr_with_prior(
    key,
    labels,
    num_classes=num_classes,
    epsilon=epsilon,
    prior=jax.nn.softmax(logits / temperature),
  )


def randomized_response_channel(
  *, num_classes: int, epsilon: jax.typing.ArrayLike
) -> jax.Array:
  """The probabilities that `randomized_response` draws from.

  Args:
    num_classes: `C`.
    epsilon: as in `randomized_response`.

  Returns:
    `[C, C]`: in row `y` those of each released label where the true one is `y`.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  classes = jnp.arange(num_classes)
  _check(classes, num_classes, epsilon)
  return _rows(classes, jnp.ones((1, num_classes), bool), epsilon)


def rr_with_prior_channel(
  prior: jax.typing.ArrayLike, *, epsilon: jax.typing.ArrayLike
) -> jax.Array:
  """The probabilities that `rr_with_prior` draws from.

  Args:
    prior: probabilities of the classes, `[..., C]`.
    epsilon: as in `rr_with_prior`.

  Returns:
    `[..., C, C]`: in row `y` those of each released label where the true one is
    `y`.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  *batch, num_classes = jnp.shape(prior)
  classes = jnp.broadcast_to(jnp.arange(num_classes), (*batch, num_classes))
  _check(classes, num_classes, epsilon)
  in_top = _top_classes(prior, epsilon)
  return _rows(classes, jnp.expand_dims(in_top, -2), epsilon)


def keep_probability(
  channel: jax.Array, class_frequencies: jax.typing.ArrayLike
) -> jax.Array:
  """The probability that a released label is the true one.

  No attack that sees nothing but what was computed from one draw does better
  on average, so long as the channel's prior is all else that it knows.

  Args:
    channel: from one of the functions above, `[..., C, C]`.
    class_frequencies: of the true labels, shares or counts, `[C]`.

  Returns:
    Probabilities `[...]`.
  """
  frequencies = jnp.asarray(class_frequencies, jnp.float32)
  kept = jnp.diagonal(channel, axis1=-2, axis2=-1)  # [..., C]
  kept = jnp.matmul(kept, frequencies, precision='highest')
  return kept / jnp.sum(frequencies)


def composed_epsilon(
  epsilon: jax.typing.ArrayLike, num_uses: jax.typing.ArrayLike
) -> jax.typing.ArrayLike:
  """The epsilon of labels drawn anew at each use, by basic composition.

  Args:
    epsilon: of one draw.
    num_uses: how often each label is drawn, at least 1: the number of epochs,
      where each batch draws its own.

  Returns:
    `epsilon * num_uses`.
  """
  return epsilon * num_uses


def _check(labels, num_classes, epsilon):
  """Refuses static arguments that have no meaning."""
  if not jnp.issubdtype(jnp.result_type(labels), jnp.integer):
    raise ValueError(f'labels must be integers, got {jnp.result_type(labels)}.')
  if num_classes < 1:
    raise ValueError(f'num_classes must be at least 1, got {num_classes}.')
  if isinstance(epsilon, numbers.Real) and not epsilon >= 0:
    raise ValueError(f'epsilon must be at least 0, got {epsilon}.')


def _top_classes(prior, epsilon):
  """Which classes RRWithPrior responds with, `[..., C]`."""
  prior = jnp.asarray(prior, jnp.float32)
  order = jnp.argsort(prior, axis=-1, descending=True, stable=True)
  rank = jnp.argsort(order, axis=-1)
  mass = jnp.cumsum(jnp.take_along_axis(prior, order, axis=-1), axis=-1)
  # With k classes, e^eps / (e^eps + k - 1) is the probability to keep a label.
  others = jnp.arange(prior.shape[-1], dtype=jnp.float32)  # k - 1
  weights = 1 / (1 + others * _odds(epsilon))
  kept = mass * jnp.broadcast_to(weights, mass.shape)
  return rank <= jnp.argmax(kept, axis=-1, keepdims=True)


def _rows(labels, in_top, epsilon):
  """Probabilities of each released label, given the true ones, `[..., C]`."""
  odds = _odds(epsilon)
  is_label = jax.nn.one_hot(labels, in_top.shape[-1], dtype=bool)
  num_top = jnp.sum(in_top, axis=-1, keepdims=True, dtype=jnp.float32)
  in_top = jnp.broadcast_to(in_top, is_label.shape)
  is_inside = jnp.any(is_label & in_top, axis=-1, keepdims=True)
  respond = jnp.where(is_label, 1, odds) / (1 + (num_top - 1) * odds)
  rows = jnp.where(in_top, jnp.where(is_inside, respond, 1 / num_top), 0)
  # Off, even a label to which the prior gives no mass is kept.
  is_off = jnp.isposinf(epsilon)
  return jnp.where(is_off, is_label.astype(jnp.float32), rows)


def _odds(epsilon):
  """Of one other label against the true one; `e^epsilon` would overflow."""
  return jnp.exp(-jnp.asarray(epsilon, jnp.float32))


def _draw(key, labels, in_top, epsilon):
  """Noisy labels, one for each; `in_top` is `[C]` or `[B, C]`."""
  shape = (*labels.shape, in_top.shape[-1])
  rows = _rows(labels, jnp.broadcast_to(in_top, shape), epsilon)
  # The default mode never draws what is less likely than about 1e-9.
  drawn = jax.random.categorical(key, jnp.log(rows), mode='high')
  return drawn.astype(labels.dtype)
