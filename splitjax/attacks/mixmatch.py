"""MixMatch: learning from few labels and from the model's own guesses.

Of Berthelot et al. (NeurIPS 2019, https://arxiv.org/abs/1905.02249). In shape
descriptions `N` is the number of samples, `D` the width of their features and
`C` the number of classes.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import similarity

PyTree = Any


def sharpen(
  probabilities: jax.Array, temperature: jax.typing.ArrayLike
) -> jax.Array:
  """Raise probabilities to the power `1 / temperature`; rows sum to 1.

  This is done in logarithms, so that no power underflows; a probability of 0
  stays 0.

  Args:
    probabilities: probabilities, `[N, C]`; none is negative, no row is all 0.
    temperature: number above 0; 1 changes nothing, and towards 0 the largest
      probability becomes 1.

  Returns:
    `[N, C]`, float32 or wider.
  """
  wide = similarity.to_accumulator(probabilities)
  positive = wide > 0
  logs = jnp.where(positive, jnp.log(jnp.where(positive, wide, 1)), -jnp.inf)
  # The largest becomes log 1, so that no quotient overflows.
  logs = logs - jnp.max(logs, axis=1, keepdims=True)
  return jax.nn.softmax(logs / temperature, axis=1)


def mix(
  key: jax.Array, x: jax.Array, y: jax.Array, *, alpha: jax.typing.ArrayLike
) -> tuple[jax.Array, jax.Array]:
  """Mix each sample and its target with those of another sample.

  Partners are drawn by a permutation. Each sample keeps a share
  `max(lam, 1 - lam)` of itself, where `lam` is drawn from Beta(alpha, alpha).
  It stays nearer to itself than to its partner, so that the order of the
  samples still says which are labelled.

  Args:
    key: random key for the permutation and the shares.
    x: features, `[N, D]`.
    y: soft labels, `[N, C]`.
    alpha: parameter of the Beta distribution; 0 mixes nothing, 1 mixes most
      (shares are uniform in [1/2, 1]).

  Returns:
    The mixed `x` and `y`, with the same shares; float32 or wider.
  """
  key_share, key_order = jax.random.split(key)
  share = _larger_shares(key_share, alpha, len(x))[:, None]
  order = jax.random.permutation(key_order, len(x))

  def mixed(rows: jax.Array) -> jax.Array:
    wide = similarity.to_accumulator(rows)
    return share * wide + (1 - share) * wide[order]

  return mixed(x), mixed(y)


def ema(
  average: PyTree, new: PyTree, *, decay: jax.typing.ArrayLike, step: jax.Array
) -> PyTree:
  """Update an exponential moving average of parameters that forgets its start.

  Args:
    average: average after `step` updates.
    new: parameters to count in.
    decay: share of the average that is kept, but at most
      `(1 + step) / (10 + step)`; else a random start would last for some
      `1 / (1 - decay)` steps.
    step: number of updates so far.

  Returns:
    The average after `step + 1` updates.
  """
  decay = jnp.minimum(decay, (1 + step) / (10 + step))
  return optax.incremental_update(new, average, 1 - decay)


def mixed_predictions(
  key: jax.Array,
  head_fn: Callable[[jax.Array], jax.Array],
  labelled: tuple[jax.Array, jax.Array],
  unlabelled: tuple[jax.Array, jax.Array],
  *,
  alpha: jax.typing.ArrayLike,
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
  """Mix labelled and unlabelled samples with one another, and predict.

  The features that enter the head are mixed, so that inputs may be of any type
  (token ids cannot be mixed). With a frozen extractor there is nothing else to
  mix.

  Args:
    key: random key for the permutation and the shares.
    head_fn: function from features to logits.
    labelled: features `[A, D]` and soft labels `[A, C]`.
    unlabelled: features `[N, D]` and guessed soft labels `[N, C]`.
    alpha: parameter of the Beta distribution, see `mix`.

  Returns:
    Logits and targets of the labelled samples, then those of the unlabelled.
  """
  x, y = (
    jnp.concatenate(parts) for parts in zip(labelled, unlabelled, strict=True)
  )
  x, y = mix(key, x, jax.lax.stop_gradient(y), alpha=alpha)
  logits, num = head_fn(x), len(labelled[0])
  return (logits[:num], y[:num]), (logits[num:], y[num:])


def _larger_shares(
  key: jax.Array, alpha: jax.typing.ArrayLike, num: int
) -> jax.Array:
  """Draw `max(lam, 1 - lam)`, `[num]`, of lam ~ Beta(alpha, alpha); 1 at 0.

  The draws need no rejection, with which `jax.random.beta` would take most of a
  training step. Beta(alpha + 1, alpha + 1) is a coordinate of a point in a disc
  (Ulrich 1984). As Gamma(a) is Gamma(a + 1) U^(1/a), its logit plus a Laplace
  draw over alpha is the logit of Beta(alpha, alpha).
  """
  key_disc, key_angle, key_laplace = jax.random.split(key, 3)
  alpha = jnp.asarray(alpha, jnp.float32)
  a = jnp.where(alpha > 0, alpha, 1)
  gap = jax.random.uniform(key_disc, (num,)) ** (2 / (2 * a + 1))
  angle = jax.random.uniform(key_angle, (num,), maxval=jnp.pi)
  logit = 2 * jnp.arctanh(jnp.sqrt(1 - gap) * jnp.cos(angle))
  logit = logit + jax.random.laplace(key_laplace, (num,)) / a
  return jnp.where(alpha > 0, jax.nn.sigmoid(jnp.abs(logit)), 1)
