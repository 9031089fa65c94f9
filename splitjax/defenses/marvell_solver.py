r"""The noise covariances of Marvell.

Li et al., "Label Leakage and Protection in Two-party Split Learning" (2021,
https://arxiv.org/abs/2102.08504). The cut gradients of each class are modelled
as a spherical normal distribution of width $d$. The negatives have variance $u$
in each coordinate, the positives $v$, and the squared distance of the two means
is $G$. Each class gets noise of variance $\lambda_1$ along the gap of the means
and $\lambda_2$ in each other direction (across the gap), chosen so that the two
classes are hard to tell apart. All arguments in this module are scalars, traced
or not: `jax.vmap` its functions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.defenses.section_search import search as search


class MarvellSolution(NamedTuple):
  """Noise variances, and the divergence that they leave; all are scalars.

  Attributes:
    lam10: noise variance of the negatives along the gap of the means.
    lam20: noise variance of the negatives in each direction across the gap.
    lam11: noise variance of the positives along the gap.
    lam21: noise variance of the positives in each direction across the gap.
    sum_kl: symmetric KL divergence of the noisy classes in nats,
      KL(positives || negatives) + KL(negatives || positives).
  """

  lam10: jax.Array
  lam20: jax.Array
  lam11: jax.Array
  lam21: jax.Array
  sum_kl: jax.Array


def solve_covariances(
  neg_var: jax.typing.ArrayLike,
  pos_var: jax.typing.ArrayLike,
  dim: jax.typing.ArrayLike,
  mean_gap_sq: jax.typing.ArrayLike,
  pos_frac: jax.typing.ArrayLike,
  power: jax.typing.ArrayLike,
) -> MarvellSolution:
  r"""Find the noise of a given power that leaves the least divergence.

  Minimises, over $\lambda_1 \ge \lambda_2 \ge 0$ of each class,

  $$(d-1) (a/b + b/a) + (A+G)/B + (B+G)/A,$$

  where $a$ and $A$ are $u$ plus the noise variance of the negatives across and
  along the gap, and $b$ and $B$ are $v$ plus that of the positives. The mean
  squared norm of the noise is the power, $(1-p) (\lambda_{10} + (d-1)
  \lambda_{20}) + p (\lambda_{11} + (d-1) \lambda_{21}) = P$.

  The paper shows that only the class of smaller variance needs noise across the
  gap. Once the amount of that noise is fixed, the best split of the remaining
  power has a closed form, and the objective is convex in that amount. A search
  of a fixed number of rounds finds where its derivative changes sign. All
  variances are first divided by the largest of $u$, $v$, $G$ and $P$, so the
  precision does not depend on their scale.

  There is a solution for every finite input. Without power there is no noise.
  If the gap is 0, the noise makes the variances as equal as its power allows.
  If there is only one class ($p$ is 0 or 1), the solution is the limit, in
  which noise on the other class costs nothing. Without noise and with a zero
  variance, `sum_kl` is infinite.

  Args:
    neg_var: variance $u$ of the negatives in each coordinate, at least 0.
    pos_var: variance $v$ of the positives in each coordinate, at least 0.
    dim: width $d$ of the cut, at least 1; may be traced.
    mean_gap_sq: squared distance $G$ of the class means, at least 0.
    pos_frac: fraction $p$ of positives, in `[0, 1]`.
    power: mean squared norm $P$ of the noise, at least 0.

  Returns:
    The solution, in float32 or wider.

  Example:
    Equal variances need noise along the gap only.

    >>> solution = solve_covariances(1.0, 1.0, 10, 4.0, 0.5, 3.0)
    >>> print(', '.join(f'{x:.2f}' for x in solution))
    3.00, 0.00, 3.00, 0.00, 1.00
  """
  args = (neg_var, pos_var, dim, mean_gap_sq, pos_frac, power)
  dtype = jnp.promote_types(jnp.result_type(*args), jnp.float32)
  u, v, d, gap_sq, p, power = (jnp.asarray(x, dtype) for x in args)
  scale = jnp.maximum(jnp.maximum(u, v), jnp.maximum(gap_sq, power))
  scale = jnp.where(scale > 0, scale, 1)
  u, v, gap_sq, power = (x / scale for x in (u, v, gap_sq, power))

  pos_low = v < u
  swap = lambda x, y: (jnp.where(pos_low, x, y), jnp.where(pos_low, y, x))
  low, high = swap(v, u)
  low_frac, high_frac = swap(p, 1 - p)
  problem = _Problem(low, high, d, gap_sq, low_frac, high_frac, power)
  low1, low2, high1, high2 = _best_noise(problem)

  lam11, lam10 = swap(low1, high1)
  lam21, lam20 = swap(low2, high2)
  kl = _sum_kl(u, v, d, gap_sq, lam10, lam20, lam11, lam21)
  return MarvellSolution(
    lam10 * scale, lam20 * scale, lam11 * scale, lam21 * scale, kl
  )


def smallest_power(
  neg_var: jax.typing.ArrayLike,
  pos_var: jax.typing.ArrayLike,
  dim: jax.typing.ArrayLike,
  mean_gap_sq: jax.typing.ArrayLike,
  pos_frac: jax.typing.ArrayLike,
  *,
  max_sum_kl: jax.typing.ArrayLike,
) -> jax.Array:
  r"""Find the smallest power that leaves a divergence of at most a threshold.

  The paper's "sumKL threshold", found by a search of a fixed number of rounds
  on the logarithm of the power. The upper end of the search is $f d |u-v| + G /
  K$ for a threshold $K$, where $f$ is the fraction of the class of smaller
  variance. That power suffices to make the variances equal and to add noise of
  variance $G / K$ along the gap to both classes.

  Args:
    neg_var: variance $u$ of the negatives in each coordinate, at least 0.
    pos_var: variance $v$ of the positives in each coordinate, at least 0.
    dim: width $d$ of the cut, at least 1; may be traced.
    mean_gap_sq: squared distance $G$ of the class means, at least 0.
    pos_frac: fraction $p$ of positives, in `[0, 1]`.
    max_sum_kl: threshold $K$ in nats; a smaller one than 1e-7 counts as 1e-7.

  Returns:
    The power, a scalar. It is 0 where no noise is needed, and otherwise at
    least 2^-40 of the upper end.

  Example:
    >>> power = smallest_power(1.0, 1.0, 10, 4.0, 0.5, max_sum_kl=1.0)
    >>> print(f'{power:.2f}')
    3.00
  """
  solve = lambda power: (
    solve_covariances(
      neg_var, pos_var, dim, mean_gap_sq, pos_frac, power
    ).sum_kl
  )
  threshold = jnp.maximum(max_sum_kl, 1e-7)
  # pyrefly: ignore[unsupported-operation]
  frac = jnp.where(pos_var < neg_var, pos_frac, 1 - pos_frac)
  # pyrefly: ignore[unsupported-operation]
  level = frac * dim * jnp.abs(neg_var - pos_var)
  # A little more, so that rounding cannot leave it short of the threshold.
  upper = 1.001 * (level + mean_gap_sq / threshold)
  to_power = lambda log2: upper * jnp.exp2(log2)
  _, log2 = search(
    lambda log2: solve(to_power(log2)) > threshold,
    jnp.full_like(upper, -40),
    jnp.zeros_like(upper),
  )
  return jnp.where(solve(0.0) <= threshold, 0, to_power(log2))


class _Problem(NamedTuple):
  """The problem, with the classes named by their variances; all are scalars.

  Attributes:
    low: smaller variance of both classes, in each coordinate.
    high: larger variance of both classes, in each coordinate.
    dim: width of the cut.
    gap_sq: squared distance of the class means.
    low_frac: fraction of the class of smaller variance.
    high_frac: fraction of the class of larger variance.
    power: mean squared norm of the noise.
  """

  low: jax.Array
  high: jax.Array
  dim: jax.Array
  gap_sq: jax.Array
  low_frac: jax.Array
  high_frac: jax.Array
  power: jax.Array


def _best_noise(problem: _Problem) -> jax.Array:
  """Return the best noise variances, `[4]`.

  In order: along and across the gap for the class of smaller variance, then
  along and across it for the other class.
  """
  across = _best_across(problem)
  low_along, high_along = _split_along(problem, across)
  noises = jnp.stack([across + low_along, across, high_along, 0 * across])
  return jnp.where(problem.power > 0, noises, 0)


def _best_across(problem: _Problem) -> jax.Array:
  """Return the noise across the gap for the class of smaller variance."""
  gap = problem.high - problem.low
  # Its noise along the gap is at least as large, so all d directions cost it.
  cost = problem.low_frac * problem.dim
  largest = jnp.where(cost * gap <= problem.power, gap, problem.power / cost)
  largest = jnp.where(problem.dim > 1, largest, 0)
  falling = lambda across: _slope(problem, across) < 0
  return search(falling, jnp.zeros_like(largest), largest)[1]


def _split_along(
  problem: _Problem, across: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Split what is left of the power between both classes, along the gap.

  If the total variance Q of both classes along the gap is fixed, the best ratio
  A : B is sqrt(Q + pG) : sqrt(Q + (1-p)G), or the nearest one that noise can
  reach.

  Args:
    problem: the problem.
    across: noise variance across the gap for the class of smaller variance.

  Returns:
    Noise variances along the gap, beyond `across`, for the class of smaller
    and the class of larger variance.
  """
  _, high, dim, gap_sq, low_frac, high_frac, power = problem
  floor = problem.low + across
  rest = jnp.maximum(power - low_frac * dim * across, 0)
  total = rest + high_frac * high + low_frac * floor
  low_root = jnp.sqrt(total + high_frac * gap_sq)
  high_root = jnp.sqrt(total + low_frac * gap_sq)
  # high * low_root - floor * high_root, without its cancellation.
  change = (high - floor) * low_root + floor * _divide(
    (high_frac - low_frac) * gap_sq, low_root + high_root
  )
  denominator = high_frac * high_root + low_frac * low_root
  low_along = _divide(rest * low_root + high_frac * change, denominator)
  high_along = _divide(rest * high_root - low_frac * change, denominator)
  # At most one of them is below its floor, and then the other gets all.
  low_all, high_all = _divide(rest, low_frac), _divide(rest, high_frac)
  return (
    jnp.where(high_along < 0, low_all, jnp.maximum(low_along, 0)),
    jnp.where(low_along < 0, high_all, jnp.maximum(high_along, 0)),
  )


def _slope(problem: _Problem, across: jax.Array) -> jax.Array:
  """Return a number of the sign of the derivative by the noise across the gap.

  The split along the gap is optimal, so it suffices to follow one direction:
  the noise across is paid for by less noise along the gap in the same class.
  Where that class has no more noise along the gap (b = floor), the true
  derivative is larger than this number. But the number is at least 0 there,
  since a >= high, so its sign is right.
  """
  high, gap_sq = problem.high, problem.gap_sq
  floor = problem.low + across
  low_along, high_along = _split_along(problem, across)
  b, a = floor + low_along, high + high_along
  # Divided by dim - 1 and multiplied by `high`, so that no square overflows.
  along = high / b * ((a + gap_sq) / b) - high / a
  return along - (high - floor) / floor * ((high + floor) / floor)


def _sum_kl(
  u: jax.Array,
  v: jax.Array,
  d: jax.Array,
  gap_sq: jax.Array,
  lam10: jax.Array,
  lam20: jax.Array,
  lam11: jax.Array,
  lam21: jax.Array,
) -> jax.Array:
  """Return the symmetric divergence, as a sum of terms that are at least 0."""
  a, b = u + lam10, v + lam11
  across = jnp.where(d > 1, _asymmetry(u + lam20, v + lam21), 0)
  gaps = _divide(gap_sq, a) + _divide(gap_sq, b)
  return ((d - 1) * across + _asymmetry(a, b) + gaps) / 2


def _asymmetry(a: jax.Array, b: jax.Array) -> jax.Array:
  """Return a/b + b/a - 2, precise where a is near b."""
  return _divide(a - b, a) * _divide(a - b, b)


def _divide(x: jax.Array, y: jax.Array) -> jax.Array:
  """Return the quotient, with 0 / 0 = 0."""
  return jnp.where(x == 0, 0, x / jnp.where(x == 0, 1, y))
