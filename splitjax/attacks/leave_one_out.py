"""Distances to groups that a sample itself has no part in.

A sample is always near the mean of its own group, since it is a part of it. In
wide cuts that part outweighs what the class contributes. Here it is taken out.

In shape descriptions `N` is the number of samples, `D` their width, `K` the
number of groups and `A` the number of auxiliary samples.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import similarity

# A group that holds less than this of other members is empty.
_LEAST_SIZE = 1e-3


class Sums(NamedTuple):
  """What groups add up to.

  Attributes:
    sums: sum of the members of each group, `[K, D]`.
    sizes: number of members of each group, `[K]`.
  """

  sums: jax.Array
  sizes: jax.Array


def sums_of(points: jax.Array, members: jax.Array) -> Sums:
  """Add up the members of each group.

  Args:
    points: points, `[N, D]`, float32 or wider.
    members: how much each is a member of each group, `[N, K]`.

  Returns:
    The sums.
  """
  sums = jnp.dot(members.T, points, precision=jax.lax.Precision.HIGHEST)
  return Sums(sums, jnp.sum(members, axis=0))


def distances(points: jax.Array, own: jax.Array, sums: Sums) -> jax.Array:
  """Return squared distances to the groups' means without the point itself.

  Args:
    points: points, `[M, D]`.
    own: how much each is a member of each group; 0 for one that is in none,
      `[M, K]`.
    sums: sums of all members of the groups.

  Returns:
    Squared distances, less the point's own square, `[M, K]`. A group with no
    other member is at 0.

  Example:
    >>> points = jnp.array([[0.0], [2.0], [5.0]])
    >>> own = jax.nn.one_hot(jnp.array([0, 0, 1]), 2)
    >>> distances(points, own, sums_of(points, own)).tolist()
    [[4.0, 25.0], [0.0, 5.0], [-9.0, 0.0]]
  """
  squares = jnp.sum(points**2, axis=1)[:, None]
  dots = similarity.inner_products(points, sums.sums)
  lengths = jnp.sum(sums.sums**2, axis=1)[None]
  sizes = sums.sizes[None] - own
  # Without the point: s - w x in place of s, n - w in place of n.
  lengths = lengths - own * (2 * dots - own * squares)
  dots = dots - own * squares
  some = sizes > _LEAST_SIZE
  others = jnp.where(some, sizes, 1)
  found = lengths / others**2 - 2 * dots / others
  return jnp.where(some, found, 0)


def reassign(
  points: jax.Array, groups: jax.Array, *, num_groups: int, num_iters: int
) -> jax.Array:
  """Move every point to the group that is nearest without it, some times.

  Args:
    points: points, `[N, D]`, float32 or wider.
    groups: the group of each to begin with, `[N]`.
    num_groups: number of groups, `K`.
    num_iters: how often all points are moved.

  Returns:
    The group of each point, `[N]`.

  Example:
    >>> points = jnp.array([[0.0], [1.0], [8.0], [9.0], [9.5]])
    >>> start = jnp.array([0, 0, 0, 1, 1])
    >>> reassign(points, start, num_groups=2, num_iters=1).tolist()
    [0, 0, 1, 1, 1]
  """

  def move(_: jax.Array, groups: jax.Array) -> jax.Array:
    own = jax.nn.one_hot(groups, num_groups, dtype=points.dtype)
    far = distances(points, own, sums_of(points, own))
    return jnp.argmin(far, axis=1).astype(groups.dtype)

  return jax.lax.fori_loop(0, num_iters, move, groups)


def explained(
  points: jax.Array, groups: jax.Array, num_groups: int
) -> jax.Array:
  """Return how much of the points' squares their groups foretell.

  Groups are compared by it, however they were found: a member takes no part in
  what is foretold of it, so that a group of chance foretells nothing.

  Args:
    points: points around 0, `[N, D]`, float32 or wider.
    groups: the group of each, `[N]`.
    num_groups: number of groups, `K`.

  Returns:
    A share, 1 at most; 0 or less for groups that say nothing.

  Example:
    >>> points = jnp.array([[1.0], [1.0], [-1.0], [-1.0]])
    >>> float(explained(points, jnp.array([0, 0, 1, 1]), 2))
    1.0
    >>> float(explained(points, jnp.array([0, 1, 0, 1]), 2))
    -3.0
  """
  members = jax.nn.one_hot(groups, num_groups, dtype=points.dtype)
  far = distances(points, members, sums_of(points, members))
  return explained_by(points, groups, far)


def explained_by(
  points: jax.Array, groups: jax.Array, far: jax.Array
) -> jax.Array:
  """Return `explained`, given `distances` to all groups, a scalar."""
  own = jnp.take_along_axis(far, groups[:, None], axis=1)
  return -jnp.sum(own) / jnp.maximum(jnp.sum(points**2), 1e-30)


def margin(points: jax.Array, groups: jax.Array, num_groups: int) -> jax.Array:
  """Return how much nearer points are to their own group than to any other.

  A cosine to the mean of a point's group without it, less the largest cosine to
  another group, as a mean over the points of each group, then over the groups:
  a class of one sample in a hundred counts as much as the others do, while
  squares are explained best by cutting the largest class in two.

  Args:
    points: points as they are, not centred, `[N, D]`, float32 or wider.
    groups: the group of each, `[N]`.
    num_groups: number of groups, `K`.

  Returns:
    The margin, between -2 and 2; about 0 for groups of chance. A group of one
    point has 0, as have empty ones.

  Example:
    >>> points = jnp.array([[1.0], [1.0], [-1.0], [-1.0]])
    >>> float(margin(points, jnp.array([0, 0, 1, 1]), 2))
    2.0
    >>> float(margin(points, jnp.array([0, 1, 0, 1]), 2))
    -1.0
  """
  own = jax.nn.one_hot(groups, num_groups, dtype=points.dtype)
  sums, sizes = sums_of(points, own)
  squares = jnp.sum(points**2, axis=1)[:, None]
  dots = similarity.inner_products(points, sums)
  # Without the point, as in `distances`.
  lengths = jnp.sum(sums**2, axis=1)[None]
  lengths = lengths - own * (2 * dots - own * squares)
  dots = dots - own * squares
  scale = jnp.sqrt(jnp.maximum(lengths, 0) * squares)
  cosines = jnp.where(scale > 0, dots / jnp.where(scale > 0, scale, 1), 0)
  some = sizes[None] - own > _LEAST_SIZE
  within = jnp.sum(own * cosines, axis=1)
  across = jnp.max(jnp.where((own > 0) | ~some, -jnp.inf, cosines), axis=1)
  defined = jnp.any(some & (own > 0), axis=1) & jnp.isfinite(across)
  margins = jnp.where(defined, within - jnp.where(defined, across, 0), 0)
  means = jnp.dot(own.T, margins) / jnp.maximum(sizes, 1)
  return jnp.mean(means)


def name(costs: jax.Array, labels: jax.Array, num_classes: int) -> jax.Array:
  """Assign classes to groups so that auxiliary samples cost least.

  Args:
    costs: what it costs that an auxiliary sample is of a group, `[A, K]`.
    labels: labels of the auxiliary samples, `[A]`.
    num_classes: number of classes and of groups, `K`.

  Returns:
    The class of each group, a permutation of all classes, `[K]`.

  Example:
    >>> costs = jnp.array([[1.0, 5.0], [2.0, 3.0]])
    >>> name(costs, jnp.array([1, 0]), 2).tolist()
    [1, 0]
  """
  # A square that all groups have in common would only round.
  costs = costs - jnp.min(costs, axis=1, keepdims=True)
  of_class = jax.nn.one_hot(labels, num_classes, dtype=costs.dtype)
  total = jnp.dot(costs.T, of_class, precision=jax.lax.Precision.HIGHEST)
  rows, columns = optax.assignment.hungarian_algorithm(total)
  return (
    jnp.zeros(num_classes, labels.dtype)
    .at[rows]
    .set(columns.astype(labels.dtype))
  )
