"""A mixture of groups over several passes, in which directions turn.

The client knows which sample each gradient belongs to. A sample stays in its
group in every pass, while each pass has means and a spread of its own: noise
that is drawn anew cancels, and directions may turn while the model learns.

In shape descriptions `T` is the number of passes, `N` that of samples, `k` the
width of a point, `K` the number of groups and `S` that of starts.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import leave_one_out
from splitjax.attacks import similarity

NUM_ITERS = 30  # Of EM.
_CARRY_ITERS = 5
# Points of more coordinates are compared along their strongest directions.
MOST_COORDINATES = 64


class Fit(NamedTuple):
  """Groups over all passes.

  Attributes:
    log_likelihoods: of each sample in each group, over all passes and without
      its own part in the group's means, up to a constant a sample, `[N, K]`.
    total: log-likelihood of all samples, a scalar.
  """

  log_likelihoods: jax.Array
  total: jax.Array


def carry_on(
  points: jax.Array, groups: jax.Array, num_groups: int
) -> jax.Array:
  """Find the groups of the first pass again in every pass.

  K-means of each pass starts from the means of the pass before it, so that a
  group keeps its number, while a sample may move: labels that are drawn anew
  put it into another group.

  Args:
    points: points of each pass, `[T, N, k]`.
    groups: group of each sample in the first pass, `[N]`.
    num_groups: number of groups, `K`.

  Returns:
    The group of each sample in each pass, `[T, N]`.
  """

  def next_pass(means: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    def iterate(_: jax.Array, means: jax.Array) -> jax.Array:
      return means_of(x, nearest(x, means)[0], means)

    means = jax.lax.fori_loop(0, _CARRY_ITERS, iterate, means)
    return means, nearest(x, means)[0]

  start = jnp.zeros((num_groups, points.shape[-1]), points.dtype)
  start = means_of(points[0], groups, start)
  return jax.lax.scan(next_pass, start, points)[1]


def nearest(points: jax.Array, means: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Return the nearest mean of each point, and how close it is.

  Args:
    points: points around 0, `[N, k]`.
    means: means, `[K, k]`.

  Returns:
    Indices and closeness (half the point's square, less half the squared
    distance), `[N]` each.
  """
  close = similarity.closeness(points, means, jnp.zeros_like(means[0]))
  return jnp.argmax(close, axis=1), jnp.max(close, axis=1)


def means_of(
  points: jax.Array, groups: jax.Array, before: jax.Array
) -> jax.Array:
  """Return the means of groups; an empty one keeps the mean it had.

  Args:
    points: points, `[N, k]`.
    groups: group of each, `[N]`.
    before: means before, `[K, k]`.

  Returns:
    Means, `[K, k]`.
  """
  members = jax.nn.one_hot(groups, len(before), dtype=points.dtype)
  sums, sizes = leave_one_out.sums_of(points, members)
  sizes = sizes[:, None]
  return jnp.where(sizes > 0, sums / jnp.maximum(sizes, 1), before)


def fit(
  points: jax.Array, members: jax.Array, sent: jax.Array | None = None
) -> Fit:
  """Fit normal groups of equal weight to all passes, by EM.

  Args:
    points: points of each pass, `[T, N, k]`, float32 or wider.
    members: how much each sample is in each group to begin with, in each pass,
      `[T, N, K]`.
    sent: whether anything was sent of each sample in each pass, `[T, N]`; a
      sample says nothing in a pass in which nothing was. None stands for all.

  Returns:
    The fit.

  Example:
    >>> points = jnp.array([[[0.0], [1.0], [8.0], [9.0]]] * 2)
    >>> start = jax.nn.one_hot(jnp.array([[0, 0, 0, 1]] * 2), 2)
    >>> fit(points, start).log_likelihoods.argmax(axis=1).tolist()
    [0, 0, 1, 1]
  """
  if sent is None:
    sent = jnp.ones(points.shape[:2], bool)
  each_pass = functools.partial(_each_pass, points, sent=sent)

  def iterate(_: jax.Array, members: jax.Array) -> jax.Array:
    likelihoods = jnp.sum(each_pass(members, loo=False), axis=0)
    return jnp.broadcast_to(jax.nn.softmax(likelihoods), members.shape)

  members = jax.lax.fori_loop(0, NUM_ITERS, iterate, members)
  total = jnp.sum(each_pass(members, loo=False), axis=0)
  without = jnp.sum(each_pass(members, loo=True), axis=0)
  return Fit(without, jnp.sum(jax.nn.logsumexp(total, axis=1)))


def _each_pass(
  points: jax.Array, members: jax.Array, *, sent: jax.Array, loo: bool
) -> jax.Array:
  """Return the log-likelihood of each group in each pass, `[T, N, K]`.

  Args:
    points: points, `[T, N, k]`.
    members: memberships that means and spreads are made of, `[T, N, K]`.
    sent: which samples count in each pass, `[T, N]`.
    loo: whether a sample's own part is taken out of the means.
  """
  width = points.shape[-1]

  def one_pass(
    x: jax.Array, weights: jax.Array, counts: jax.Array
  ) -> jax.Array:
    weights = weights * counts[:, None]
    sums = leave_one_out.sums_of(x, weights)
    none = jnp.zeros_like(weights)
    squares = jnp.sum(x**2, axis=1, keepdims=True)
    far = leave_one_out.distances(x, none, sums) + squares
    spread = jnp.sum(weights * far) / jnp.maximum(jnp.sum(counts) * width, 1)
    spread = jnp.maximum(spread, 1e-12)
    if loo:
      far = leave_one_out.distances(x, weights, sums) + squares
    found = -far / (2 * spread) - width / 2 * jnp.log(spread)
    return jnp.where(counts[:, None], found, 0)

  return jax.vmap(one_pass)(points, members, sent)


def best_fit(
  points: jax.Array,
  starts: jax.Array,
  num_groups: int,
  sent: jax.Array | None = None,
) -> Fit:
  """Fit from several starts, and keep the likeliest fit.

  Args:
    points: points of each pass, `[T, N, k]`.
    starts: group of each sample in each pass to begin with, `[S, T, N]`.
    num_groups: number of groups, `K`.
    sent: whether anything was sent of each sample, `[T, N]`, see `fit`.

  Returns:
    The fit whose log-likelihood is the largest.
  """
  fits = jax.lax.map(
    lambda start: fit(
      points, jax.nn.one_hot(start, num_groups, dtype=points.dtype), sent
    ),
    starts,
  )
  best = jnp.argmax(fits.total)
  return jax.tree.map(lambda x: x[best], fits)
