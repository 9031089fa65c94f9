"""Label differential privacy by randomized response.

The label party replaces its labels by noisy ones. They are meant to be drawn
once and stored: a sample's label is then epsilon-differentially private however
often it is used. For labels that are drawn anew at each use, `composed_epsilon`
gives the epsilon of all uses.

The probabilities of the released labels, as matrices, are in `label_channels`,
whose functions are also importable from here.

The draws are in float32: a probability below about 1e-30, which an epsilon
above 70 asks for, is in effect zero.
"""

import numbers

import jax
import jax.numpy as jnp

from splitjax.defenses import label_channels
from splitjax.defenses.label_channels import (
  keep_probability as keep_probability,
)
from splitjax.defenses.label_channels import (
  randomized_response_channel as randomized_response_channel,
)
from splitjax.defenses.label_channels import (
  rr_with_prior_channel as rr_with_prior_channel,
)


def randomized_response(
  key: jax.Array,
  labels: jax.Array,
  *,
  num_classes: int,
  epsilon: jax.typing.ArrayLike,
) -> jax.Array:
  """Draw noisy labels by randomized response (Warner, 1965).

  A label is kept with probability `e^epsilon / (e^epsilon + C - 1)`. Otherwise
  it is replaced by one of the other classes, all equally likely.

  Args:
    key: random key for the labels.
    labels: classes, integers in `[0, C)`, `[B]`.
    num_classes: number of classes, `C`.
    epsilon: epsilon of the differential privacy, at least 0. At 0 the labels
      are drawn uniformly; at infinity they are unchanged.

  Returns:
    Labels `[B]`, in the type of `labels`.

  Raises:
    ValueError: at trace time, if the labels are not integers, or a number is
      out of range.

  Example:
    Of two classes, an epsilon of log 9 keeps nine labels out of ten.

    >>> noisy = randomized_response(
    ...   jax.random.key(0), jnp.zeros(5000, int), num_classes=2,
    ...   epsilon=jnp.log(9),
    ... )
    >>> print(f'{(noisy == 0).mean():.1f}, {(noisy == 1).mean():.1f}')
    0.9, 0.1
  """
  label_channels.check(labels, num_classes, epsilon)
  return _draw(key, labels, jnp.ones(num_classes, bool), epsilon)


def rr_with_prior(
  key: jax.Array,
  labels: jax.Array,
  *,
  num_classes: int,
  epsilon: jax.typing.ArrayLike,
  prior: jax.typing.ArrayLike,
) -> jax.Array:
  """Draw noisy labels by RRWithPrior.

  Algorithms 2 and 3 of Ghazi et al., "Deep learning with label differential
  privacy" (2021, https://arxiv.org/abs/2102.06062): randomized response among
  the `k` likeliest classes, with the `k` for which a label is likeliest to be
  kept. A label that is not among these classes is replaced by one of them, all
  equally likely. Among equally likely classes the one of smaller index comes
  first; among equally good `k` the smallest is taken.

  The prior must not come from the labels themselves. A prior estimated from
  them is a release of its own, which epsilon does not count.

  Args:
    key: random key for the labels.
    labels: classes, integers in `[0, C)`, `[B]`.
    num_classes: number of classes, `C`.
    epsilon: epsilon of the differential privacy, at least 0; at infinity the
      labels are unchanged.
    prior: probabilities of the classes, `[C]`, or of each sample's classes,
      `[B, C]`. They need not sum to 1.

  Returns:
    Labels `[B]`, in the type of `labels`.

  Raises:
    ValueError: at trace time, if the labels are not integers, a number is out
      of range, or `prior` has another shape.

  Example:
    The prior is so sure of class 1 that it is always released.

    >>> rr_with_prior(
    ...   jax.random.key(0), jnp.array([0, 1, 2]), num_classes=3, epsilon=1.0,
    ...   prior=jnp.array([0.05, 0.9, 0.05]),
    ... ).tolist()
    [1, 1, 1]
  """
  label_channels.check(labels, num_classes, epsilon)
  shape = jnp.shape(prior)
  if shape not in ((num_classes,), (*labels.shape, num_classes)):
    raise ValueError(
      f'prior must have shape ({num_classes},) or '
      f'{(*labels.shape, num_classes)}, got {shape}.'
    )
  return _draw(key, labels, label_channels.top_classes(prior, epsilon), epsilon)


def first_stage_split(key: jax.Array, num_samples: int) -> jax.Array:
  """Draw which samples the first of the two stages of LP-2ST trains on.

  LP-2ST is the multi-stage training of Ghazi et al. (2021,
  https://arxiv.org/abs/2102.06062) with two stages:

  1. The labels of the samples drawn here go through `randomized_response`, and
     a model is trained on these samples alone.
  2. The labels of the other samples go through `second_stage`, with that
     model's logits as the prior. The final model is trained on all noisy
     labels.

  Each label goes through one mechanism, once, so the whole training is
  epsilon-differentially private. This holds only if the second stage does not
  draw the labels of the first stage again, since the model that gives the prior
  was trained on them.

  Args:
    key: random key for the split.
    num_samples: number of samples `N`, at least 1.

  Returns:
    A mask `[N]`, True for the samples of the first stage: half of them, rounded
    up.

  Raises:
    ValueError: at trace time, if `num_samples` is not positive.

  Example:
    >>> int(first_stage_split(jax.random.key(0), 5).sum())
    3
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
  """Draw the noisy labels of the second stage of LP-2ST.

  Calls `rr_with_prior` with the predictions of the first stage's model as each
  sample's prior. `first_stage_split` describes both stages.

  Args:
    key: random key for the labels.
    labels: classes of the second stage's samples, in `[0, C)`, `[B]`.
    logits: logits that the first stage's model gives these samples, `[B, C]`.
    num_classes: number of classes, `C`.
    epsilon: epsilon of the differential privacy, at least 0; at infinity the
      labels are unchanged.
    temperature: number by which the logits are divided, positive.

  Returns:
    Labels `[B]`, in the type of `labels`.

  Raises:
    ValueError: at trace time, if the labels are not integers, a number is out
      of range, or the logits have another shape.

  Example:
    The model is so sure that its own prediction is released.

    >>> labels = jnp.array([1, 2])
    >>> logits = jnp.array([[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]])
    >>> second_stage(
    ...   jax.random.key(0), labels, logits, num_classes=3, epsilon=1.0
    ... ).tolist()
    [0, 2]
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


def composed_epsilon(
  epsilon: jax.typing.ArrayLike, num_uses: jax.typing.ArrayLike
) -> jax.typing.ArrayLike:
  """Return the epsilon of labels that are drawn anew at each use.

  By basic composition: the epsilons add up.

  Args:
    epsilon: epsilon of one draw.
    num_uses: number of times that each label is drawn, at least 1. If each
      batch draws its labels, this is the number of epochs.

  Returns:
    `epsilon * num_uses`.

  Example:
    >>> composed_epsilon(0.5, 30)
    15.0
  """
  return epsilon * num_uses


def _draw(
  key: jax.Array,
  labels: jax.Array,
  in_top: jax.Array,
  epsilon: jax.typing.ArrayLike,
) -> jax.Array:
  """Draw one noisy label for each label; `in_top` is `[C]` or `[B, C]`."""
  shape = (*labels.shape, in_top.shape[-1])
  rows = label_channels.release_probabilities(
    labels, jnp.broadcast_to(in_top, shape), epsilon
  )
  # The default mode never draws what is less likely than about 1e-9.
  drawn = jax.random.categorical(key, jnp.log(rows), mode='high')
  return drawn.astype(labels.dtype)
