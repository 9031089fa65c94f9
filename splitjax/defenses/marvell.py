"""Marvell: noise on cut gradients that makes the classes hard to tell apart.

Li et al., "Label Leakage and Protection in Two-party Split Learning" (2021,
https://arxiv.org/abs/2102.08504), for binary labels; `multiclass_noise` is an
extension of ours. How much noise each class gets is in `marvell_solver`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.defenses import marvell_solver
from splitjax.defenses.marvell_solver import MarvellSolution as MarvellSolution
from splitjax.defenses.marvell_solver import auc_bound as auc_bound
from splitjax.defenses.marvell_solver import (
  detection_error_bound as detection_error_bound,
)
from splitjax.defenses.marvell_solver import smallest_power as smallest_power
from splitjax.defenses.marvell_solver import (
  solve_covariances as solve_covariances,
)


def noise(
  key: jax.Array, cut_grads: jax.Array, labels: jax.Array, *, power: jax.Array
) -> jax.Array:
  """Adds the noise of Marvell at a power relative to the gap of the means.

  The mean squared norm of the noise is `power` times the squared distance of
  the class means. Means, variances (the mean squared distance to the class
  mean, divided by the width) and class frequencies are those of the batch.

  Args:
    key: the random key.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: classes 0 and 1 `[B]`, or soft labels `[B, 2]`, of which the larger
      counts.
    power: s; 0 is off. The paper sweeps 0.1 to 10.

  Returns:
    `[B, ...]` in the type of `cut_grads`. A batch of one class has no gap to
    hide, and one with equal means no gap to measure by: neither gets noise.
  """
  moments = _moments(cut_grads, labels, num_classes=2)
  binary = _binary(moments)
  solution = solve_covariances(**binary, power=power * binary['mean_gap_sq'])
  active = (power > 0) & (binary['mean_gap_sq'] > 0)
  return _add_binary(key, cut_grads, moments, solution, active)


def dynamic_noise(
  key: jax.Array, cut_grads: jax.Array, labels: jax.Array, *, error: jax.Array
) -> jax.Array:
  """Adds the least noise of Marvell that ensures a detection error.

  The paper's "sumKL threshold": per batch, the smallest power with which
  `detection_error_bound` is at least `error`, which may be none.

  Args:
    key: the random key.
    cut_grads: as in `noise`.
    labels: likewise.
    error: of (FPR + FNR) / 2, in [0, 0.5); 0 is off, 0.4999 the most that can
      be ensured.

  Returns:
    `[B, ...]` in the type of `cut_grads`. A batch of one class gets no noise:
    there is nothing to detect in it, and no gap to hide. (That it holds one
    class alone may show; the bound is on telling samples of a batch apart.)
  """
  moments = _moments(cut_grads, labels, num_classes=2)
  binary = _binary(moments)
  power = smallest_power(**binary, max_sum_kl=(2 - 4 * error) ** 2)
  solution = solve_covariances(**binary, power=power)
  active = (error > 0) & (power > 0)
  return _add_binary(key, cut_grads, moments, solution, active)


def bound(
  cut_grads: jax.Array, labels: jax.Array, *, power: jax.Array
) -> dict[str, jax.Array]:
  """What `noise` leaves of the leak in a batch, to report beside measured AUC.

  The bound is exact for normal gradients of the batch's moments, which real
  gradients only resemble.

  Args:
    cut_grads: the undefended ones, as in `noise`.
    labels: as in `noise`.
    power: as in `noise`; at 0 the bound is of the undefended gradients.

  Returns:
    The scalars `sum_kl` and `auc_bound`. For a batch of one class they are 0
    and 0.5: nothing in it can be told apart, and means over batches stay
    finite.
  """
  moments = _moments(cut_grads, labels, num_classes=2)
  binary = _binary(moments)
  solution = solve_covariances(**binary, power=power * binary['mean_gap_sq'])
  sum_kl = jnp.where(_has_classes(moments), solution.sum_kl, 0)
  return dict(sum_kl=sum_kl, auc_bound=auc_bound(sum_kl))


def multiclass_noise(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array,
  *,
  num_classes: int,
  power: jax.Array,
) -> jax.Array:
  r"""Adds noise in the span of the class means: our extension of Marvell.

  With $S$ the between-class covariance, noise of covariance $N \propto
  S^{1/2}$, the same for all classes, minimises $tr(N^{-1} S)$ at a given power:
  the symmetric KL divergence averaged over pairs of samples, once the noise
  outweighs the variance within classes. First, with half of the power at most,
  the classes of smaller variances get isotropic noise up to a common level, for
  a difference in variance leaks as well.

  The mean squared norm of the noise is `power` times the mean squared distance
  of the class means over pairs of samples of different classes. For two classes
  this is the scale of `noise`, and if their variances are equal all of it lies
  along the gap, as there; `noise` alone also weighs the classes' frequencies.

  Args:
    key: the random key.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: classes `[B]`, or soft labels `[B, C]`, of which the largest counts.
    num_classes: C.
    power: s; 0 is off.

  Returns:
    `[B, ...]` in the type of `cut_grads`; as it was for a batch of one class or
    with equal means.

  Raises:
    ValueError: at trace time, if `num_classes` is below 2.
  """
  if num_classes < 2:
    raise ValueError(f'num_classes must be at least 2, got {num_classes}.')
  moments = _moments(cut_grads, labels, num_classes=num_classes)
  fracs, dim = moments.fracs, moments.rows.shape[1]
  center = jnp.sum(fracs[:, None] * moments.means, axis=0)
  weighted = jnp.sqrt(fracs)[:, None] * (moments.means - center[None])
  # S = weighted.T @ weighted, so its square root is basis.T * spread @ basis.
  _, spread, basis = jnp.linalg.svd(weighted, full_matrices=False)
  # Rounding must not open directions that the means do not span.
  rounding = jnp.finfo(spread.dtype).eps * max(weighted.shape) * spread[0]
  spread = jnp.where(spread > rounding, spread, 0)
  pair_gap_sq = 2 * jnp.sum(spread**2) / _positive(1 - jnp.sum(fracs**2))
  total = power * pair_gap_sq
  level_noise = _level(moments, total / (2 * dim))
  rest = total - dim * jnp.sum(fracs * level_noise)
  deviations = jnp.sqrt(rest * spread / _positive(jnp.sum(spread)))  # [C]

  key_span, key_level = jax.random.split(key)
  dtype = moments.rows.dtype
  in_span = jax.random.normal(key_span, (len(moments.rows), len(spread)), dtype)
  drawn = _matmul(in_span * deviations[None], basis)
  level = moments.one_hot @ jnp.sqrt(level_noise)  # [B]
  normal = jax.random.normal(key_level, moments.rows.shape, dtype)
  active = (power > 0) & (pair_gap_sq > 0) & _has_classes(moments)
  return _add(cut_grads, moments, drawn + level[:, None] * normal, active)


class _Moments(NamedTuple):
  """What a batch's flattened gradients say about the classes.

  The gradients are divided by the largest magnitude, so that no square
  underflows. An absent class has mean and variance 0.

  Attributes:
    rows: the scaled gradients, `[B, D]`.
    scale: what they were divided by, a scalar.
    one_hot: `[B, C]`.
    fracs: the classes' frequencies, `[C]`.
    means: `[C, D]`.
    variances: the mean squared distance to the class mean over D, `[C]`.
  """

  rows: jax.Array
  scale: jax.Array
  one_hot: jax.Array
  fracs: jax.Array
  means: jax.Array
  variances: jax.Array


def _moments(cut_grads, labels, num_classes):
  """The moments of a batch."""
  if labels.ndim == 2:
    labels = jnp.argmax(labels, axis=1)
  dtype = jnp.promote_types(cut_grads.dtype, jnp.float32)
  rows = cut_grads.astype(dtype).reshape(len(cut_grads), -1)
  scale = _positive(jnp.max(jnp.abs(rows)))
  rows = rows / scale
  one_hot = jax.nn.one_hot(labels, num_classes, dtype=dtype)
  counts = jnp.sum(one_hot, axis=0)
  means = _matmul(one_hot.T, rows) / _positive(counts)[:, None]
  distances = jnp.mean((rows - _matmul(one_hot, means)) ** 2, axis=1)
  variances = _matmul(one_hot.T, distances) / _positive(counts)
  return _Moments(rows, scale, one_hot, counts / len(rows), means, variances)


def _binary(moments):
  """The arguments of the solver, but for the power."""
  gap = moments.means[1] - moments.means[0]
  return dict(
    neg_var=moments.variances[0],
    pos_var=moments.variances[1],
    dim=moments.rows.shape[1],
    # An absent class has no mean, so a batch of one class has no gap.
    mean_gap_sq=jnp.where(_has_classes(moments), jnp.sum(gap**2), 0),
    pos_frac=moments.fracs[1],
  )


def _add_binary(key, cut_grads, moments, solution, active):
  """Adds noise of the solution's covariances."""
  normal = jax.random.normal(key, moments.rows.shape, moments.rows.dtype)
  gap = moments.means[1] - moments.means[0]
  length = jnp.sqrt(jnp.sum(gap**2))
  # Any direction will do where the means are equal.
  any_direction = jnp.zeros_like(gap).at[0].set(1)
  direction = jnp.where(length > 0, gap / _positive(length), any_direction)
  along = jnp.sqrt(jnp.stack([solution.lam10, solution.lam11]))
  across = jnp.sqrt(jnp.stack([solution.lam20, solution.lam21]))
  along, across = moments.one_hot @ along, moments.one_hot @ across  # [B]
  lengths = _matmul(normal, direction) * (along - across)
  drawn = across[:, None] * normal + lengths[:, None] * direction[None]
  return _add(cut_grads, moments, drawn, active & _has_classes(moments))


def _add(cut_grads, moments, drawn, active):
  """The gradients plus scaled noise, or untouched if not active."""
  drawn = (drawn * moments.scale).reshape(cut_grads.shape)
  # A constant to derivatives: those of the moments need not be finite.
  noisy = cut_grads.astype(drawn.dtype) + jax.lax.stop_gradient(drawn)
  return jnp.where(active, noisy.astype(cut_grads.dtype), cut_grads)


def _level(moments, budget):
  """Noise `[C]` that lifts the variances to the level that a budget pays."""
  present = moments.fracs > 0
  lift = lambda level: jnp.where(
    present, jnp.maximum(level - moments.variances, 0), 0
  )
  highest = jnp.max(moments.variances)
  affordable = lambda level: jnp.sum(moments.fracs * lift(level)) <= budget
  lowest = jnp.min(jnp.where(present, moments.variances, highest))
  below, level = marvell_solver.search(affordable, lowest, highest)
  return lift(jnp.where(affordable(level), level, below))


def _has_classes(moments):
  """Whether the batch has more than one class."""
  return jnp.sum(moments.fracs > 0) > 1


def _matmul(x, y):
  """A product that accelerators do not shorten."""
  return jnp.matmul(x, y, precision=jax.lax.Precision.HIGHEST)


def _positive(x):
  """The number, or 1 in place of 0, to divide by."""
  return jnp.where(x > 0, x, 1)
