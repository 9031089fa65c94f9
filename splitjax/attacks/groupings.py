"""Groups found without any label, and what names them.

In shape descriptions `N` is the number of samples, `D` their width, `A` the
number of auxiliary samples and `C` that of classes and of groups.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import denoising
from splitjax.attacks import leave_one_out
from splitjax.attacks import passes as over_passes
from splitjax.attacks.kmeans import clustering_attack
from splitjax.attacks.kmeans import plus_plus
from splitjax.attacks.result import AttackResult
from splitjax.attacks.result import Groups

# What `AttackResult.chosen` counts.
CANDIDATES = ('clustering', 'denoised', 'passes', 'votes', 'transfer')
_NUM_STARTS = 12
_NUM_ITERS = 40
_NUM_MOVES = 3  # More fit the noise, where classes are hardly told apart.


class Known(NamedTuple):
  """The samples whose labels the attacker knows.

  Attributes:
    rows: rows of the samples, `[A]`.
    labels: their labels, `[A]`.
    num_classes: number of classes, `C`.
  """

  rows: jax.Array
  labels: jax.Array
  num_classes: int


class Grouping(NamedTuple):
  """Groups that were found in one way.

  Attributes:
    groups: the group of each sample, `[N]`.
    costs: what it costs that a sample is of a group, `[N, C]`.
    confidence: see `AttackResult`, a scalar.
  """

  groups: jax.Array
  costs: jax.Array
  confidence: jax.Array


def denoised(
  key: jax.Array, vectors: jax.Array, num_classes: int
) -> tuple[jax.Array, Grouping]:
  """Return unit vectors, and the groups of the best start among several.

  Args:
    key: random key for the directions and the starts.
    vectors: vectors, `[N, D]`.
    num_classes: number of classes.

  Returns:
    The `units` of `denoise`, and the groups.
  """
  key_denoise, key_starts = jax.random.split(key)
  units, points, _ = denoising.denoise(
    key_denoise, vectors, num_classes=num_classes
  )
  groups = leave_one_out.reassign(
    units,
    _best_start(key_starts, points, num_classes),
    num_groups=num_classes,
    num_iters=_NUM_MOVES,
  )
  return units, grouping_of(units, groups, num_classes)


def _best_start(
  key: jax.Array, points: jax.Array, num_groups: int
) -> jax.Array:
  """Return the groups of the best of several K-means runs, `[N]`.

  A fixed number of iterations over few coordinates: the lanes of `kmeans`
  would take longer to compile than these take to run.
  """
  draws = plus_plus.start_draws(key, num_groups, (_NUM_STARTS,))
  starts = jax.vmap(plus_plus.spread_centroids, (0, None))(draws, points)

  def run(means: jax.Array) -> tuple[jax.Array, jax.Array]:
    step = lambda _, means: over_passes.means_of(
      points, over_passes.nearest(points, means)[0], means
    )
    means = jax.lax.fori_loop(0, _NUM_ITERS, step, means)
    groups, close = over_passes.nearest(points, means)
    return groups, jnp.sum(close)

  groups, close = jax.lax.map(run, starts)
  return groups[jnp.argmax(close)]


def grouping_of(
  units: jax.Array, groups: jax.Array, num_classes: int
) -> Grouping:
  """Return groups, by the distances of all samples to them without themselves.

  Args:
    units: vectors around 0 to compare in, `[N, D]`.
    groups: the group of each, `[N]`.
    num_classes: number of groups.

  Returns:
    The grouping; its confidence is what the groups foretell of the vectors.
  """
  own = jax.nn.one_hot(groups, num_classes, dtype=units.dtype)
  costs = leave_one_out.distances(units, own, leave_one_out.sums_of(units, own))
  share = leave_one_out.explained(units, groups, num_classes)
  return Grouping(groups, costs, share)


def better(
  units: jax.Array, vectors: jax.Array, found: Grouping, known: Known
) -> AttackResult:
  """Return the denoised grouping, or that from the auxiliary vectors.

  Args:
    units: what the groupings are compared in, `[N, D]`.
    vectors: vectors to cluster from the auxiliary ones, `[N, D]`.
    found: the denoised grouping.
    known: the auxiliary samples.

  Returns:
    The result of the grouping that foretells `units` better.
  """
  num_classes = known.num_classes
  from_known = clustering_attack.cluster_labels(
    jax.random.key(0),  # Draws nothing.
    vectors,
    vectors[known.rows],
    known.labels,
    num_classes=num_classes,
  ).labels
  other = grouping_of(units, from_known, num_classes)
  found = grouping_of(units, found.groups, num_classes)._replace(
    costs=found.costs
  )
  names = jnp.arange(num_classes, dtype=known.labels.dtype)
  return jax.tree.map(
    lambda x, y: jnp.where(found.confidence > other.confidence, x, y),
    named(found, known, 'denoised'),
    _result(other, names, 'clustering'),
  )


def named(found: Grouping, known: Known, candidate: str) -> AttackResult:
  """Name groups by what the auxiliary samples cost in each.

  Args:
    found: the groups.
    known: the auxiliary samples.
    candidate: how they were found, one of `CANDIDATES`.

  Returns:
    Labels, logits and groups.
  """
  names = leave_one_out.name(
    found.costs[known.rows], known.labels, known.num_classes
  )
  return _result(found, names, candidate)


def _result(found: Grouping, names: jax.Array, candidate: str) -> AttackResult:
  """Return groups that have names."""
  return AttackResult(
    names[found.groups],
    logits=-found.costs[:, jnp.argsort(names)],
    groups=Groups(found.groups, names),
    chosen=jnp.int32(CANDIDATES.index(candidate)),
    confidence=found.confidence,
  )
