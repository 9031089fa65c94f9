"""Batches of one class, which a defense of class gaps sends as they are.

Marvell and its kin hide the gap between the classes of a batch. Where a batch
has one class there is none, so that its gradients arrive without noise, all in
one direction. Whoever sees that knows the class of a whole batch, and of the
others that they hold both. With rare positives that is most of what there is to
know.

In shape descriptions `T` is the number of passes, `N` that of samples and `D`
the width of the cut.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import conditioning
from splitjax.attacks import similarity

# Mean of a batch's unit vectors: near 1 if all point one way. Noise along one
# line does so in one batch of 128, of 8 samples.
_ONE_WAY = 0.9
# What is as good as certain, as a logarithm.
_CERTAIN = 14.0
_NUM_ITERS = 4
# A group with so many times the other's batches is the first in every pass.
_CLEAR = 4.0


class Batches(NamedTuple):
  """What the batches of a pass say.

  Attributes:
    log_odds: how much likelier what was seen is if a sample is of the second
      group than of the first, as a logarithm, `[N]`. Which of them is rare
      takes no part, so that both are found alike.
    share: share of the samples that are in batches of one class, a scalar.
    is_clear: whether the first group has many more of them, a truth value.
  """

  log_odds: jax.Array
  share: jax.Array
  is_clear: jax.Array


class _Line(NamedTuple):
  """The batches along the line that batches of one class lie on.

  Attributes:
    sizes: number of samples of each batch that have a direction, `[N]`.
    one_way: whether it has one class, `[N]`.
    signs: 1 if it points as most do, or else -1, `[N]`.
    directions: the last direction of a batch of the first group, `[N, D]`.
    lengths: mean length of that batch's gradients, `[N]`.
  """

  sizes: jax.Array
  one_way: jax.Array
  signs: jax.Array
  directions: jax.Array
  lengths: jax.Array


def log_odds(passes: jax.Array, steps: jax.Array) -> Batches:
  """Tell two groups apart by which batches hold both.

  A batch that points one way is of one group. From how many do follows how
  rare the other group is, and how likely each of its samples is to be in a
  batch of both. In these, the position along the line of the batches of one
  group adds what the noise leaves. Gradients that are zero or not finite have
  no direction, and are judged by the rest of their batch.

  Args:
    passes: gradients of each pass, `[T, N, D]`.
    steps: step of each sample in each pass, integers in `[0, N)`, `[T, N]`.

  Returns:
    Odds added up over the passes, where the first group is the one of most
    batches, and the mean share.

  Example:
    >>> gradients = jnp.array([[2.0], [1.0], [-5.0], [4.0]])
    >>> found = log_odds(gradients[None], jnp.array([[0, 0, 1, 1]]))
    >>> found.log_odds[:2].tolist(), float(found.share)
    ([-14.0, -14.0], 0.5)
    >>> bool(found.log_odds[2] > found.log_odds[3])
    True
  """
  each = jax.lax.map(lambda x: _of_pass(*x), (passes, steps))

  def add(total: jax.Array, one: Batches) -> tuple[jax.Array, None]:
    odds = one.log_odds
    # Where no group is the larger one, it may differ from pass to pass.
    centered = odds - jnp.mean(odds)
    agrees = jnp.sum(centered * (total - jnp.mean(total))) >= 0
    agrees = agrees | one.is_clear
    return total + jnp.where(agrees, odds, -odds), None

  total, _ = jax.lax.scan(add, jnp.zeros_like(each.log_odds[0]), each)
  return Batches(total, jnp.mean(each.share), jnp.all(each.is_clear))


def _of_pass(gradients: jax.Array, steps: jax.Array) -> Batches:
  """Return the log odds of one pass."""
  gradients = similarity.to_accumulator(gradients)
  finite = conditioning.finite_rows(gradients)[:, None]
  gradients = jnp.where(finite, gradients, 0)
  line = _line_of(gradients, steps)
  counted = jnp.any(gradients != 0, axis=1)
  mean_of = lambda x: (
    _totals(jnp.where(counted, x, 0), steps) / jnp.maximum(line.sizes, 1)
  )
  is_one = line.one_way[steps]
  samples = jnp.where(line.one_way, line.sizes, 0) / len(gradients)
  shares = jnp.stack(
    [jnp.sum(jnp.where(line.signs == sign, samples, 0)) for sign in (1, -1)]
  )
  is_clear = shares[0] > _CLEAR * shares[1]
  # Batches of one group are as frequent as a power of the group's own share.
  usual = len(gradients) / jnp.maximum(jnp.sum(line.sizes > 0), 1)
  first, second = shares ** (1 / usual)
  second = jnp.maximum(second, 1 - first)
  first, second = jnp.array([first, second]) / jnp.maximum(first + second, 1e-6)
  in_mixed = 1 - jnp.stack([first, second]) ** (usual - 1)
  mixed = 1 - first**usual - second**usual
  # How many of a mixed batch are of the second group.
  rest = jnp.clip(second * in_mixed[1] / jnp.maximum(mixed, 1e-6), 1e-3, 1)

  along = jnp.sum(gradients * line.directions[steps], axis=1)
  off = along - line.lengths[steps]
  variances = mean_of((along - mean_of(along)[steps]) ** 2)
  says = counted & ~is_one
  weights = jnp.where(says, 1 / jnp.maximum(variances[steps], 1e-30), 0)
  # Noise has mean 0, so that what is missing of the mean is of the second.
  gap = jnp.sum(weights * off) / jnp.maximum(jnp.sum(weights), 1e-30) / rest
  gap = jnp.minimum(gap, 0)
  nearness = weights * (off**2 - (off - gap) ** 2) / 2
  prior = jnp.log(jnp.maximum(in_mixed, 1e-6))
  of_mixed = prior[1] - prior[0] + nearness
  odds = jnp.where(is_one, -_CERTAIN * line.signs[steps], of_mixed)
  return Batches(
    jnp.clip(odds, -_CERTAIN, _CERTAIN),
    jnp.mean(is_one, dtype=odds.dtype),
    is_clear,
  )


def _line_of(gradients: jax.Array, steps: jax.Array) -> _Line:
  """Find the batches of one class, and the line that they lie on."""
  counted = jnp.any(gradients != 0, axis=1).astype(gradients.dtype)
  sizes = _totals(counted, steps)
  divisors = jnp.maximum(sizes, 1)[:, None]
  means = _totals(similarity.unit_normalize(gradients), steps) / divisors
  one_way = (jnp.linalg.norm(means, axis=1) > _ONE_WAY) & (sizes > 1)
  units = similarity.unit_normalize(means)
  weights = jnp.where(one_way, sizes, 0)[:, None]

  def turn(_: jax.Array, line: jax.Array) -> jax.Array:
    signs = jnp.sign(units @ line)[:, None]
    total = jnp.sum(weights * signs * units, axis=0, keepdims=True)
    return similarity.unit_normalize(total)[0]

  line = jax.lax.fori_loop(0, _NUM_ITERS, turn, units[jnp.argmax(one_way)])
  signs = jnp.where(units @ line >= 0, 1, -1)
  signs *= jnp.where(jnp.sum(weights[:, 0] * signs) >= 0, 1, -1)
  lengths = jnp.sum((_totals(gradients, steps) / divisors) * units, axis=1)
  last = _last(one_way & (signs > 0))
  return _Line(sizes, one_way, signs, units[last], lengths[last])


def _last(marked: jax.Array) -> jax.Array:
  """Return the last marked place up to each, or else the first one, `[N]`."""
  places = jnp.where(marked, jnp.arange(len(marked)), -1)
  last = jax.lax.cummax(places)
  return jnp.where(last < 0, jnp.argmax(marked), last)


def _totals(values: jax.Array, steps: jax.Array) -> jax.Array:
  """Add up what belongs to each batch, of which there are at most `N`."""
  return jax.ops.segment_sum(values, steps, len(values))
