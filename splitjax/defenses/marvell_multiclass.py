"""An extension of Marvell to more than two classes.

It is ours, not that of Li et al. (2021, https://arxiv.org/abs/2102.08504).
"""

import jax
import jax.numpy as jnp

from splitjax import linalg
from splitjax.defenses import class_moments
from splitjax.defenses.class_moments import ClassMoments
from splitjax.defenses.class_moments import matmul
from splitjax.defenses.class_moments import positive
from splitjax.defenses.section_search import search


def multiclass_noise(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array,
  *,
  num_classes: int,
  power: jax.typing.ArrayLike,
) -> jax.Array:
  r"""Add noise in the span of the class means.

  The noise is the sum of two parts. First, a difference in variance leaks, so
  the classes of smaller variance get isotropic noise that lifts all variances
  to a common level, as far as half of the power allows. The rest of the power
  goes into noise of covariance $N \propto S^{1/2}$ that is the same for all
  classes, where $S$ is the between-class covariance. At a given power it
  minimises $tr(N^{-1} S)$, which is the symmetric KL divergence averaged over
  pairs of samples once the noise outweighs the variance within classes.

  The mean squared norm of the noise is `power` times the mean squared distance
  of the class means over pairs of samples of different classes. For two classes
  this is the scale of `marvell.noise`. If their variances are equal, all noise
  lies along the gap of the means, as in `marvell.noise`, which however also
  takes account of the class frequencies.

  Args:
    key: random key for the noise.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`.
    labels: classes `[B]`, or soft labels `[B, C]`, of which the largest part
      counts.
    num_classes: number of classes `C`, at least 2.
    power: power of the noise, at least 0, in units of the mean squared gap. At
      0 the gradients are unchanged.

  Returns:
    Cut gradients `[B, ...]`, in the type of `cut_grads`. They are unchanged
    where the batch holds a single class or all class means are equal.

  Raises:
    ValueError: at trace time, if `num_classes` is below 2.

  Example:
    The class means are 2 apart along the first axis, and so is the noise.

    >>> cut_grads = jnp.array([[0.0, 1.0], [0.0, 1.0], [2.0, 1.0], [2.0, 1.0]])
    >>> noisy = multiclass_noise(
    ...   jax.random.key(0), cut_grads, jnp.array([0, 0, 1, 1]), num_classes=2,
    ...   power=1.0,
    ... )
    >>> added = jnp.abs(noisy - cut_grads)
    >>> (added[:, 0] > 0.01).tolist(), (added[:, 1] > 0.01).tolist()
    ([True, True, True, True], [False, False, False, False])
  """
  if num_classes < 2:
    raise ValueError(f'num_classes must be at least 2, got {num_classes}.')
  moments = class_moments.of_batch(cut_grads, labels, num_classes=num_classes)
  fracs, dim = moments.fracs, moments.rows.shape[1]
  spread, basis = _span(moments)
  pair_gap_sq = 2 * jnp.sum(spread**2) / positive(1 - jnp.sum(fracs**2))
  total = power * pair_gap_sq
  # pyrefly: ignore[bad-argument-type]
  level_noise = _level(moments, total / (2 * dim))
  rest = total - dim * jnp.sum(fracs * level_noise)
  deviations = jnp.sqrt(rest * spread / positive(jnp.sum(spread)))  # [C]

  key_span, key_level = jax.random.split(key)
  dtype = moments.rows.dtype
  in_span = jax.random.normal(key_span, (len(moments.rows), len(spread)), dtype)
  drawn = matmul(in_span * deviations[None], basis)
  level = moments.one_hot @ jnp.sqrt(level_noise)  # [B]
  normal = jax.random.normal(key_level, moments.rows.shape, dtype)
  # pyrefly: ignore[unsupported-operation]
  active = (power > 0) & (pair_gap_sq > 0) & moments.has_classes
  return class_moments.add_noise(
    cut_grads,
    moments,
    drawn + level[:, None] * normal,
    # pyrefly: ignore[bad-argument-type]
    active,
  )


def _span(moments: ClassMoments) -> tuple[jax.Array, jax.Array]:
  """Decompose the square root of the between-class covariance.

  Args:
    moments: moments of a batch.

  Returns:
    Eigenvalues `[R]` and eigenvectors `[R, D]` of the root, with
    `R = min(C, D)`. Eigenvalues that are rounding errors are set to 0, so that
    no noise goes into directions that the means do not span.
  """
  fracs = moments.fracs
  center = jnp.sum(fracs[:, None] * moments.means, axis=0)
  weighted = jnp.sqrt(fracs)[:, None] * (moments.means - center[None])
  # S = weighted.T @ weighted, so its square root is basis.T * spread @ basis.
  _, spread, basis = linalg.svd(weighted)
  rounding = jnp.finfo(spread.dtype).eps * max(weighted.shape) * spread[0]
  return jnp.where(spread > rounding, spread, 0), basis


def _level(moments: ClassMoments, budget: jax.Array) -> jax.Array:
  """Return the noise variances `[C]` that lift all classes to one level.

  Args:
    moments: moments of a batch.
    budget: largest mean noise variance, a scalar. The level is the largest
      class variance, or lower if the budget does not suffice for that.

  Returns:
    Variances to add to each class, `[C]`.
  """
  present = moments.fracs > 0
  lift = lambda level: jnp.where(
    present, jnp.maximum(level - moments.variances, 0), 0
  )
  highest = jnp.max(moments.variances)
  affordable = lambda level: jnp.sum(moments.fracs * lift(level)) <= budget
  lowest = jnp.min(jnp.where(present, moments.variances, highest))
  below, level = search(affordable, lowest, highest)
  return lift(jnp.where(affordable(level), level, below))
