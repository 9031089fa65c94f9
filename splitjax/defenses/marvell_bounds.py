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
