r"""Bounds on what attacks can read of two classes whose divergence is known.

The *divergence* is the symmetric one, the sum of the Kullback-Leibler (KL)
divergences of each class from the other, in nats.
"""

import jax
import jax.numpy as jnp


def auc_bound(sum_kl: jax.typing.ArrayLike) -> jax.Array:
  """Return the largest AUC of any scoring of single gradients.

  From Li et al. (2021, https://arxiv.org/abs/2102.08504).

  Args:
    sum_kl: symmetric KL divergence of the classes in nats, of any shape.

  Returns:
    `1/2 + sqrt(sum_kl)/2 - sum_kl/8` where `sum_kl` is below 4, and 1
    elsewhere, in the shape of `sum_kl`.

  Example:
    >>> auc_bound(jnp.array([0.0, 1.0, 9.0])).tolist()
    [0.5, 0.875, 1.0]
  """
  kl = jnp.minimum(sum_kl, 4)
  return 0.5 + jnp.sqrt(kl) / 2 - kl / 8


def detection_error_bound(sum_kl: jax.typing.ArrayLike) -> jax.Array:
  r"""Return the smallest detection error, (FPR + FNR) / 2, of any test.

  FPR and FNR are the rates of false positives and false negatives. Their sum is
  at least $1 - TV$, with the total variation distance $TV$ of the classes.
  Pinsker's inequality gives $TV \le \sqrt{KL/2}$ for both directions of KL. The
  smaller of both is at most half of their sum, so $TV \le \sqrt{sumKL} / 2$.

  Args:
    sum_kl: symmetric KL divergence of the classes in nats, of any shape.

  Returns:
    `1/2 - sqrt(sum_kl)/4` where `sum_kl` is below 4, and 0 elsewhere, in the
    shape of `sum_kl`.

  Example:
    >>> detection_error_bound(jnp.array([0.0, 1.0, 9.0])).tolist()
    [0.5, 0.25, 0.0]
  """
  return 0.5 - jnp.sqrt(jnp.minimum(sum_kl, 4)) / 4


def distance_of_pass(
  sum_kl: jax.typing.ArrayLike,
  negatives: jax.typing.ArrayLike,
  positives: jax.typing.ArrayLike,
) -> jax.Array:
  r"""Bound the total variation distance of the classes over whole batches.

  Of a sample, an attacker sees its batch: all gradients in it, and at worst how
  many samples of each class it holds. Batches of one class are told apart
  fully. In the others, exchanging a sample's label with that of another moves
  the gradients of both, so that the KL divergence is at most `sum_kl`, and the
  distance at most $\sqrt{sumKL / 2}$ (Pinsker) and
  $\sqrt{1 - e^{-sumKL}}$ (Bretagnolle and Huber).

  Args:
    sum_kl: symmetric KL divergence of the classes in each batch, in nats,
      `[..., T]`.
    negatives: samples of class 0 in each batch, `[..., T]`.
    positives: samples of class 1 in each batch, `[..., T]`.

  Returns:
    A distance $V$ in `[0, 1]`, `[...]`; no score that is computed from a
    sample's batch has an AUC above $1/2 + V - V^2/2$, and no test a detection
    error below $(1 - V) / 2$. It is 1 if the pass holds one class only.

  Example:
    Of two batches, one holds negatives only, half of all there are.

    >>> kl, negatives = jnp.array([0.0, 0.0]), jnp.array([4, 4])
    >>> print(distance_of_pass(kl, negatives, jnp.array([0, 4])))
    0.5
  """
  kl = jnp.asarray(sum_kl)
  within = jnp.minimum(jnp.sqrt(kl / 2), jnp.sqrt(-jnp.expm1(-kl)))
  totals = [jnp.sum(jnp.asarray(x), -1) for x in (negatives, positives)]
  first, second = (
    jnp.asarray(x) / jnp.maximum(total, 1)[..., None]
    for x, total in zip((negatives, positives), totals, strict=True)
  )
  common = jnp.minimum(first, second)
  apart = jnp.abs(first - second) / 2
  distance = jnp.sum(apart + jnp.where(common > 0, common * within, 0), -1)
  one_class = (totals[0] == 0) | (totals[1] == 0)
  return jnp.where(one_class, 1, jnp.minimum(distance, 1))
