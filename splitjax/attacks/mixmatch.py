"""MixMatch: learning from few labels and from the model's own guesses.

Of Berthelot et al. (NeurIPS 2019, https://arxiv.org/abs/1905.02249). In shapes
`B` is a batch of samples, `D` the width of their features and `C` the number of
classes.
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
  """Raises probabilities to the power `1 / temperature`; rows sum to 1.

  In logarithms, so that no power underflows; a probability of 0 stays 0.

  Args:
    probabilities: `[N, C]`, not negative, no row all zero.
    temperature: above 0; 1 changes nothing, towards 0 the largest takes all.

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
  """Mixes each sample and its target with another one's, drawn by permutation.

  A share `max(lam, 1 - lam)` of the sample itself is kept, `lam` of the
  distribution Beta(alpha, alpha): each stays nearer to itself than to its
  partner, so that the order still says which are labelled.

  Args:
    key: of the permutation and the shares.
    x: `[N, D]`.
    y: soft labels, `[N, C]`.
    alpha: 0 mixes nothing, 1 mixes most (shares uniform in [1/2, 1]).

  Returns:
    The mixed `x` and `y`, with the same shares; float32 or wider.
  """
  key_share, key_order = jax.random.split(key)
  share = _larger_shares(key_share, alpha, len(x))[:, None]
  order = jax.random.permutation(key_order, len(x))

  def mixed(rows):
    wide = similarity.to_accumulator(rows)
    return share * wide + (1 - share) * wide[order]

  return mixed(x), mixed(y)


def ema(
  average: PyTree, new: PyTree, *, decay: jax.typing.ArrayLike, step: jax.Array
) -> PyTree:
  """An exponential moving average of parameters, that forgets its start.

  Args:
    average: after `step` updates.
    new: the parameters to count in.
    decay: share of the average that is kept; at most `(1 + step) / (10 + step)`
      is, else a random start would last some `1 / (1 - decay)` steps.
    step: from 0.

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
  """Mixes labelled and unlabelled samples with one another, and predicts.

  What is mixed are the features that enter the head, so that inputs may be of
  any type (token ids cannot be mixed); with a frozen extractor there is nothing
  else to mix.

  Args:
    key: see `mix`.
    head_fn: features -> logits.
    labelled: features `[A, D]` and soft labels `[A, C]`.
    unlabelled: the same of others `[B, ...]`, with guessed labels.
    alpha: see `mix`.

  Returns:
    Logits and targets of the labelled, then those of the unlabelled.
  """
  x, y = (
    jnp.concatenate(parts) for parts in zip(labelled, unlabelled, strict=True)
  )
  x, y = mix(key, x, jax.lax.stop_gradient(y), alpha=alpha)
  logits, num = head_fn(x), len(labelled[0])
  return (logits[:num], y[:num]), (logits[num:], y[num:])


def _larger_shares(key, alpha, num):
  """`max(lam, 1 - lam)` of lam ~ Beta(alpha, alpha), `[num]`; 1 at alpha 0.

  Without rejection, as `jax.random.beta` would take most of a training step.
  Beta(alpha + 1, alpha + 1) is a coordinate of a point in a disc (Ulrich 1984).
  As Gamma(a) is Gamma(a + 1) U^(1/a), its logit plus a Laplace draw over alpha
  is the logit of Beta(alpha, alpha).
  """
  key_disc, key_angle, key_laplace = jax.random.split(key, 3)
  alpha = jnp.asarray(alpha, jnp.float32)
  a = jnp.where(alpha > 0, alpha, 1)
  gap = jax.random.uniform(key_disc, (num,)) ** (2 / (2 * a + 1))
  angle = jax.random.uniform(key_angle, (num,), maxval=jnp.pi)
  logit = 2 * jnp.arctanh(jnp.sqrt(1 - gap) * jnp.cos(angle))
  logit = logit + jax.random.laplace(key_laplace, (num,)) / a
  return jnp.where(alpha > 0, jax.nn.sigmoid(jnp.abs(logit)), 1)
