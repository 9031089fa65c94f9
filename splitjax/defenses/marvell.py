"""Marvell: noise on cut gradients that makes the classes hard to tell apart.

Li et al., "Label Leakage and Protection in Two-party Split Learning" (2021,
https://arxiv.org/abs/2102.08504), for binary labels. `marvell_solver` computes
how much noise each class gets, `marvell_bounds` what attacks can still read,
and `marvell_multiclass` is our extension to more classes. Their functions are
also importable from here.
"""

import jax
import jax.numpy as jnp

from splitjax.defenses import class_moments
from splitjax.defenses.class_moments import ClassMoments
from splitjax.defenses.class_moments import matmul
from splitjax.defenses.class_moments import positive
from splitjax.defenses.marvell_bounds import auc_bound as auc_bound
from splitjax.defenses.marvell_bounds import (
  detection_error_bound as detection_error_bound,
)
from splitjax.defenses.marvell_bounds import (
  distance_of_pass as distance_of_pass,
)
from splitjax.defenses.marvell_multiclass import (
  multiclass_noise as multiclass_noise,
)
from splitjax.defenses.marvell_solver import MarvellSolution as MarvellSolution
from splitjax.defenses.marvell_solver import smallest_power as smallest_power
from splitjax.defenses.marvell_solver import (
  solve_covariances as solve_covariances,
)


def noise(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array,
  *,
  power: jax.typing.ArrayLike,
) -> jax.Array:
  """Add Marvell's noise at a power relative to the gap of the class means.

  The mean squared norm of the noise is `power` times the squared distance of
  the class means. Class means, variances and frequencies are those of the
  batch. A class's variance is the mean squared distance to the class mean,
  divided by the width of the cut.

  Args:
    key: random key for the noise.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: classes 0 and 1 `[B]`, or soft labels `[B, 2]`, of which the larger
      part counts.
    power: power of the noise, at least 0, in units of the squared gap. At 0 the
      gradients are unchanged. The paper sweeps 0.1 to 10.

  Returns:
    Cut gradients `[B, ...]`, in the type of `cut_grads`. They are unchanged
    where the batch holds a single class or the class means are equal, since
    there is no gap then.

  Example:
    The squared gap of the means is 4, so the noise has a mean squared norm of
    about 8.

    >>> labels = jnp.arange(2000) % 2
    >>> cut_grads = jnp.stack([2.0 * labels, 0.0 * labels], axis=1)
    >>> noisy = noise(jax.random.key(0), cut_grads, labels, power=2.0)
    >>> print(f'{jnp.mean(jnp.sum((noisy - cut_grads) ** 2, axis=1)):.0f}')
    8
  """
  moments = class_moments.of_batch(cut_grads, labels, num_classes=2)
  binary = _binary(moments)
  solution = solve_covariances(**binary, power=power * binary['mean_gap_sq'])
  # pyrefly: ignore[unsupported-operation]
  active = (power > 0) & (binary['mean_gap_sq'] > 0)
  # pyrefly: ignore[bad-argument-type]
  return _add_binary(key, cut_grads, moments, solution, active)


def dynamic_noise(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array,
  *,
  error: jax.typing.ArrayLike,
) -> jax.Array:
  """Add the least of Marvell's noise that ensures a detection error.

  This is the paper's "sumKL threshold". For each batch it takes the smallest
  power with which `detection_error_bound` is at least `error`; that power may
  be 0.

  Args:
    key: random key for the noise.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: classes 0 and 1 `[B]`, or soft labels `[B, 2]`, of which the larger
      part counts.
    error: detection error (FPR + FNR) / 2 to ensure, in `[0, 0.5)`. At 0 the
      gradients are unchanged; 0.4999 is the most that can be ensured.

  Returns:
    Cut gradients `[B, ...]`, in the type of `cut_grads`. They are unchanged
    where the batch holds a single class, since no two of its samples differ in
    class. An attacker may then notice that the batch holds one class only; the
    error ensured is that of telling samples of a batch apart.

  Example:
    Gradients whose classes do not differ are hidden already.

    >>> labels = jnp.array([0, 0, 1, 1])
    >>> cut_grads = jnp.array([[0.0], [1.0], [0.0], [1.0]])
    >>> noisy = dynamic_noise(jax.random.key(0), cut_grads, labels, error=0.4)
    >>> noisy.tolist() == cut_grads.tolist()
    True
    >>> cut_grads = jnp.array([[0.0], [1.0], [5.0], [6.0]])
    >>> noisy = dynamic_noise(jax.random.key(0), cut_grads, labels, error=0.4)
    >>> noisy.tolist() == cut_grads.tolist()
    False
  """
  moments = class_moments.of_batch(cut_grads, labels, num_classes=2)
  binary = _binary(moments)
  power = smallest_power(**binary, max_sum_kl=(2 - 4 * error) ** 2)
  solution = solve_covariances(**binary, power=power)
  # pyrefly: ignore[unsupported-operation]
  active = (error > 0) & (power > 0)
  # pyrefly: ignore[bad-argument-type]
  return _add_binary(key, cut_grads, moments, solution, active)


def bound(
  cut_grads: jax.Array, labels: jax.Array, *, power: jax.typing.ArrayLike
) -> dict[str, jax.Array]:
  """Bound the AUC of attacks on a batch that `noise` defends.

  To be reported beside the measured AUC. The bound holds for normal gradients
  that have the batch's means and variances; real gradients are only similar.

  Args:
    cut_grads: d(mean loss)/d(smashed) before the defense, `[B, ...]`.
    labels: classes 0 and 1 `[B]`, or soft labels `[B, 2]`, of which the larger
      part counts.
    power: power that `noise` is called with, at least 0. At 0 the bound is that
      of undefended gradients.

  Returns:
    A dictionary of scalars: `sum_kl`, the symmetric KL divergence of the two
    classes, `auc_bound`, the largest AUC among samples of this batch, and
    `negatives` and `positives`, how many samples it holds of each class. For a
    batch of one class the first two are 0 and 0.5, since no two of its samples
    differ in class; but it is sent without noise, so that a mean over batches
    bounds nothing. `distance_of_pass` bounds attacks on all batches.

  Example:
    >>> cut_grads = jnp.array([[0.0], [1.0], [2.0]])
    >>> labels = jnp.array([0, 0, 1])
    >>> for power in (0.0, 10.0):
    ...   print(f'{bound(cut_grads, labels, power=power)["auc_bound"]:.2f}')
    1.00
    0.65
  """
  moments = class_moments.of_batch(cut_grads, labels, num_classes=2)
  binary = _binary(moments)
  return _bound_at(moments, power * binary['mean_gap_sq'])


def dynamic_bound(
  cut_grads: jax.Array, labels: jax.Array, *, error: jax.typing.ArrayLike
) -> dict[str, jax.Array]:
  """Bound the AUC of attacks on a batch that `dynamic_noise` defends.

  Args:
    cut_grads: d(mean loss)/d(smashed) before the defense, `[B, ...]`.
    labels: classes 0 and 1 `[B]`, or soft labels `[B, 2]`, of which the larger
      part counts.
    error: detection error that `dynamic_noise` is called with.

  Returns:
    A dictionary of scalars, as `bound` returns it.
  """
  moments = class_moments.of_batch(cut_grads, labels, num_classes=2)
  power = smallest_power(**_binary(moments), max_sum_kl=(2 - 4 * error) ** 2)
  # pyrefly: ignore[unsupported-operation]
  return _bound_at(moments, jnp.where(error > 0, power, 0))


def _bound_at(
  moments: ClassMoments, power: jax.typing.ArrayLike
) -> dict[str, jax.Array]:
  """Return what is known of a batch under noise of a power."""
  solution = solve_covariances(**_binary(moments), power=power)
  sum_kl = jnp.where(moments.has_classes, solution.sum_kl, 0)
  negatives, positives = jnp.sum(moments.one_hot, axis=0)
  return dict(
    sum_kl=sum_kl,
    auc_bound=auc_bound(sum_kl),
    negatives=negatives,
    positives=positives,
  )


def _binary(moments: ClassMoments) -> dict[str, jax.Array | int]:
  """Return the arguments of the solver other than the power."""
  gap = moments.means[1] - moments.means[0]
  return dict(
    neg_var=moments.variances[0],
    pos_var=moments.variances[1],
    dim=moments.rows.shape[1],
    # An absent class has no mean, so a batch of one class has no gap.
    mean_gap_sq=jnp.where(moments.has_classes, jnp.sum(gap**2), 0),
    pos_frac=moments.fracs[1],
  )


def _add_binary(
  key: jax.Array,
  cut_grads: jax.Array,
  moments: ClassMoments,
  solution: MarvellSolution,
  active: jax.Array,
) -> jax.Array:
  """Add noise with the covariances of a solution, where `active` is true."""
  normal = jax.random.normal(key, moments.rows.shape, moments.rows.dtype)
  gap = moments.means[1] - moments.means[0]
  length = jnp.sqrt(jnp.sum(gap**2))
  # Any direction will do where the means are equal.
  any_direction = jnp.zeros_like(gap).at[0].set(1)
  direction = jnp.where(length > 0, gap / positive(length), any_direction)
  along = jnp.sqrt(jnp.stack([solution.lam10, solution.lam11]))
  across = jnp.sqrt(jnp.stack([solution.lam20, solution.lam21]))
  along, across = moments.one_hot @ along, moments.one_hot @ across  # [B]
  lengths = matmul(normal, direction) * (along - across)
  drawn = across[:, None] * normal + lengths[:, None] * direction[None]
  return class_moments.add_noise(
    cut_grads, moments, drawn, active & moments.has_classes
  )
