r"""The noise covariances of Marvell, and what attacks they leave possible.

Li et al., "Label Leakage and Protection in Two-party Split Learning" (2021,
https://arxiv.org/abs/2102.08504). The cut gradients of the negatives and of the
positives are modelled as spherical normals of width d, with variances u and v a
coordinate and with means at a squared distance G. Noise of variance lam1 along
the gap of the means and lam2 in each other direction, another pair for each
class, is chosen to make the two classes hard to tell apart. All arguments of
this module are scalars, traced or not: `jax.vmap` them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Each round of a search divides its interval by this; 12 rounds give 60 bits.
_NUM_SECTIONS = 32
_NUM_ROUNDS = 12


class MarvellSolution(NamedTuple):
  """Noise variances, and how far apart the noisy classes are; all scalars.

  Attributes:
    lam10: of the negatives, along the gap of the means.
    lam20: of the negatives, in each direction across the gap.
    lam11: of the positives, along the gap.
    lam21: of the positives, across the gap.
    sum_kl: KL(positives || negatives) + KL(negatives || positives).
  """

  lam10: jax.Array
  lam20: jax.Array
  lam11: jax.Array
  lam21: jax.Array
  sum_kl: jax.Array


def solve_covariances(
  neg_var: jax.Array,
  pos_var: jax.Array,
  dim: jax.Array,
  mean_gap_sq: jax.Array,
  pos_frac: jax.Array,
  power: jax.Array,
) -> MarvellSolution:
  r"""Spends a power of noise so that the symmetric KL divergence is smallest.

  Minimises, over $\lambda_1 \ge \lambda_2 \ge 0$ of each class,

  $$(d-1) (a/b + b/a) + (A+G)/B + (B+G)/A$$

  where $a, A$ are u plus the noise of the negatives across and along the gap,
  $b, B$ are v plus that of the positives, and the mean noise is the power,
  $(1-p) (\lambda_{10} + (d-1) \lambda_{20}) + p (\lambda_{11} + (d-1)
  \lambda_{21}) = P$.

  As the paper shows, only the class of the smaller variance needs noise across
  the gap. Given its amount, the best split of the rest along the gap has a
  closed form, and what remains is convex in that amount: a fixed number of
  rounds of a search on the sign of the derivative finds it. All is divided by
  the largest of u, v, G and P first, so the answer does not depend on their
  scale, even where the gap is zero.

  Every finite input has an answer. No power is no noise. A zero gap with power
  makes the variances equal as far as it can. One class (p of 0 or 1) is the
  limit, in which noise on the absent class is free. Without noise and with a
  zero variance, `sum_kl` is the infinity that it should be.

  Args:
    neg_var: u, at least 0.
    pos_var: v, at least 0.
    dim: d, at least 1; may be traced.
    mean_gap_sq: G, at least 0.
    pos_frac: p, the fraction of positives, in [0, 1].
    power: P, at least 0.

  Returns:
    The solution, in float32 or wider.
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
  across = _best_across(problem)
  low_along, high_along = _split_along(problem, across)
  noises = jnp.stack([across + low_along, across, high_along, 0 * across])
  low1, low2, high1, high2 = jnp.where(power > 0, noises, 0)

  lam11, lam10 = swap(low1, high1)
  lam21, lam20 = swap(low2, high2)
  kl = _sum_kl(u, v, d, gap_sq, lam10, lam20, lam11, lam21)
  return MarvellSolution(
    lam10 * scale, lam20 * scale, lam11 * scale, lam21 * scale, kl
  )


def smallest_power(
  neg_var: jax.Array,
  pos_var: jax.Array,
  dim: jax.Array,
  mean_gap_sq: jax.Array,
  pos_frac: jax.Array,
  *,
  max_sum_kl: jax.Array,
) -> jax.Array:
  r"""The smallest power with which the divergence is at most `max_sum_kl`.

  The paper's "sumKL threshold": a fixed number of rounds of a search on the
  logarithm of the power. Its upper end is $f d |u-v| + G / K$ for a threshold
  K, with f the fraction of the class of the smaller variance: that much pays
  for equal variances and then for G / K along the gap in both classes.

  Args:
    neg_var: as in `solve_covariances`.
    pos_var: likewise.
    dim: likewise.
    mean_gap_sq: likewise.
    pos_frac: likewise.
    max_sum_kl: the threshold; below 1e-7 it counts as that.

  Returns:
    The power, 0 where no noise is needed; at least 2^-40 of the upper end else.
  """
  solve = lambda power: (
    solve_covariances(
      neg_var, pos_var, dim, mean_gap_sq, pos_frac, power
    ).sum_kl
  )
  threshold = jnp.maximum(max_sum_kl, 1e-7)
  frac = jnp.where(pos_var < neg_var, pos_frac, 1 - pos_frac)
  level = frac * dim * jnp.abs(neg_var - pos_var)
  # A little more, lest rounding leaves the upper end short of the threshold.
  upper = 1.001 * (level + mean_gap_sq / threshold)
  to_power = lambda log2: upper * jnp.exp2(log2)
  _, log2 = search(
    lambda log2: solve(to_power(log2)) > threshold,
    jnp.full_like(upper, -40),
    jnp.zeros_like(upper),
  )
  return jnp.where(solve(0.0) <= threshold, 0, to_power(log2))


def auc_bound(sum_kl: jax.Array) -> jax.Array:
  """The largest AUC of any scoring of single gradients (Li et al., 2021).

  Args:
    sum_kl: the symmetric KL divergence of the classes, of any shape.

  Returns:
    1/2 + sqrt(sum_kl)/2 - sum_kl/8 below 4, and 1 from there on.
  """
  kl = jnp.minimum(sum_kl, 4)
  return 0.5 + jnp.sqrt(kl) / 2 - kl / 8


def detection_error_bound(sum_kl: jax.Array) -> jax.Array:
  r"""The smallest detection error, (FPR + FNR) / 2, of any test.

  FPR + FNR is at least $1 - TV$. Pinsker's inequality gives $TV \le
  \sqrt{KL/2}$ for both directions of KL, of which the smaller is at most half
  of their sum, so $TV \le \sqrt{sumKL} / 2$.

  Args:
    sum_kl: the symmetric KL divergence of the classes, of any shape.

  Returns:
    1/2 - sqrt(sum_kl)/4, and 0 from 4 on.
  """
  return 0.5 - jnp.sqrt(jnp.minimum(sum_kl, 4)) / 4


def search(
  predicate: Callable[[jax.Array], jax.Array], low: jax.Array, high: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Narrows the interval in which a predicate turns from true to false.

  Bisection, but with many points a round, which cost accelerators no more.

  Args:
    predicate: of a scalar; true below some point and false from there on.
    low: the lower end, a scalar.
    high: the upper end, of the type of `low`.

  Returns:
    The ends of a narrower interval. The predicate is true at the lower and
    false at the upper one, unless that is an end of the interval given.
  """
  fractions = jnp.arange(1, _NUM_SECTIONS, dtype=low.dtype) / _NUM_SECTIONS

  def narrow(_, ends):
    low, high = ends
    inner = low + (high - low) * fractions
    points = jnp.concatenate([low[None], inner, high[None]])
    index = jnp.sum(jax.vmap(predicate)(inner))
    return points[index], points[index + 1]

  return jax.lax.fori_loop(0, _NUM_ROUNDS, narrow, (low, high))


class _Problem(NamedTuple):
  """The problem by which class has the smaller variance."""

  low: jax.Array
  high: jax.Array
  dim: jax.Array
  gap_sq: jax.Array
  low_frac: jax.Array
  high_frac: jax.Array
  power: jax.Array


def _best_across(problem):
  """The noise across the gap that the class of smaller variance gets."""
  gap = problem.high - problem.low
  # Its noise along the gap is at least as large, so all d directions count.
  cost = problem.low_frac * problem.dim
  largest = jnp.where(cost * gap <= problem.power, gap, problem.power / cost)
  largest = jnp.where(problem.dim > 1, largest, 0)
  falling = lambda across: _slope(problem, across) < 0
  return search(falling, jnp.zeros_like(largest), largest)[1]


def _split_along(problem, across):
  """The noise along the gap, beyond that across, of either class.

  With the total variance Q of both classes along the gap fixed, the best A : B
  is sqrt(Q + pG) : sqrt(Q + (1-p)G); past an end of the range, that end.
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


def _slope(problem, across):
  """The sign of the derivative by the noise across, at the best split.

  As the split is optimal, it suffices to follow one direction: less noise along
  the gap for the class that gets it across. Where that class has none to spare
  (b = floor), the derivative is larger than this, which is then at least 0, as
  a >= high: the sign is right there too.
  """
  high, gap_sq = problem.high, problem.gap_sq
  floor = problem.low + across
  low_along, high_along = _split_along(problem, across)
  b, a = floor + low_along, high + high_along
  # Divided by dim - 1 and multiplied by `high`, so that no square overflows.
  along = high / b * ((a + gap_sq) / b) - high / a
  return along - (high - floor) / floor * ((high + floor) / floor)


def _sum_kl(u, v, d, gap_sq, lam10, lam20, lam11, lam21):
  """The symmetric divergence as a sum of terms of which none is negative."""
  a, b = u + lam10, v + lam11
  across = jnp.where(d > 1, _asymmetry(u + lam20, v + lam21), 0)
  gaps = _divide(gap_sq, a) + _divide(gap_sq, b)
  return ((d - 1) * across + _asymmetry(a, b) + gaps) / 2


def _asymmetry(a, b):
  """a/b + b/a - 2, exact where a is near b."""
  return _divide(a - b, a) * _divide(a - b, b)


def _divide(x, y):
  """The quotient, with 0 / 0 = 0."""
  return jnp.where(x == 0, 0, x / jnp.where(x == 0, 1, y))
