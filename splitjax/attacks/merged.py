"""Classes that were merged before the training, told apart by own inputs.

Where several classes share a label that is trained on, gradients tell these
merged labels only. But they tell them for every sample, and whoever receives
them also has the inputs: what is left is to tell apart the few classes of one
group. In shape descriptions `N` is the number of samples, `A` that of auxiliary
samples and `C` that of classes.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import groupings
from splitjax.attacks import similarity
from splitjax.attacks.groupings import Grouping
from splitjax.attacks.result import AttackResult
from splitjax.attacks.result import Groups

_NUM_ITERS = 20


@functools.partial(_kernel.jit, static_argnames='num_classes')
def read_merged(
  found: Grouping,
  inputs: jax.Array,
  aux_rows: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
) -> AttackResult:
  """Label samples by groups of merged classes, and by their inputs within one.

  A class belongs to the group of its known samples. K-means of the inputs
  starts from these samples, and puts each sample into a class of its group.

  Args:
    found: groups of the gradients, as many as there are merged labels.
    inputs: the attacker's own inputs, flattened, `[N, P]`.
    aux_rows: rows of the auxiliary samples, `[A]`.
    aux_labels: labels of the auxiliary samples, `[A]`.
    num_classes: number of classes, `C`.

  Returns:
    Labels, logits, groups and `chosen`.

  Example:
    >>> groups = jnp.array([0, 0, 0, 1, 1, 1])
    >>> found = Grouping(groups, jax.nn.one_hot(1 - groups, 2), 1.0)
    >>> inputs = jnp.array([[0.0], [5.0], [1.0], [0.0], [5.0], [4.0]])
    >>> result = read_merged(
    ...   found, inputs, jnp.array([0, 1, 3, 4]), jnp.arange(4), num_classes=4
    ... )
    >>> result.labels.tolist()
    [0, 1, 0, 2, 3, 3]
  """
  known = jax.nn.one_hot(aux_labels, num_classes)  # [A, C]
  costs = known.T @ found.costs[aux_rows]  # Of a class in each group, [C, K].
  group_of_class = jnp.argmin(costs, axis=1)
  allowed = group_of_class[None] == found.groups[:, None]  # [N, C]
  # A group in which no class is known may be of any.
  allowed |= ~jnp.any(allowed, axis=1, keepdims=True)
  points = similarity.to_accumulator(inputs)
  points = jnp.where(jnp.isfinite(points), points, 0)
  squares = jnp.sum(points**2, axis=1, keepdims=True)

  def distances(means: jax.Array) -> jax.Array:
    cross = similarity.inner_products(points, means)
    return squares - 2 * cross + jnp.sum(means**2, axis=1)[None]

  def move(_: int, means: jax.Array) -> jax.Array:
    nearest = jnp.argmin(jnp.where(allowed, distances(means), jnp.inf), axis=1)
    members = jax.nn.one_hot(nearest, num_classes, dtype=points.dtype)
    members = members.at[aux_rows].set(known.astype(points.dtype))
    return _means(members, points, means)

  none = jnp.zeros((num_classes, points.shape[1]), points.dtype)
  start = _means(known.astype(points.dtype), points[aux_rows], none)
  means = jax.lax.fori_loop(0, _NUM_ITERS, move, start)
  far = distances(means)
  logits = jnp.where(allowed, -far, -far - 2 * jnp.max(far))
  labels = jnp.argmax(logits, axis=1).astype(aux_labels.dtype)
  names = jnp.arange(num_classes, dtype=aux_labels.dtype)
  return AttackResult(
    labels,
    logits=logits,
    groups=Groups(labels, names),
    chosen=jnp.int32(groupings.CANDIDATES.index('merged')),
    confidence=found.confidence,
  )


def _means(
  members: jax.Array, points: jax.Array, otherwise: jax.Array
) -> jax.Array:
  """Return the mean of each class's members `[N, C]`, of `points` `[N, P]`."""
  sizes = jnp.sum(members, axis=0)[:, None]
  means = members.T @ points / jnp.maximum(sizes, 1)
  return jnp.where(sizes > 0, means, otherwise)
