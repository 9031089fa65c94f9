"""Groups found without any label, and what names them.

In shape descriptions `N` is the number of samples, `D` their width, `A` the
number of auxiliary samples and `C` that of classes and of groups.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import denoising
from splitjax.attacks import leave_one_out
from splitjax.attacks import passes as over_passes
from splitjax.attacks import similarity
from splitjax.attacks.distance import nearest_labels
from splitjax.attacks.kmeans import clustering_attack
from splitjax.attacks.kmeans import plus_plus
from splitjax.attacks.result import AttackResult
from splitjax.attacks.result import Groups

# What `AttackResult.chosen` counts.
CANDIDATES = (
  'clustering',
  'denoised',
  'passes',
  'votes',
  'transfer',
  'distance',
)
_NUM_STARTS = 12
_NUM_ITERS = 40
# Over several passes, where directions turn, means of all passes say less than
# the passes do: what is made of them has to be better by this factor.
_CLEARLY = 1.1
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


def denoised(key: jax.Array, vectors: jax.Array, num_classes: int) -> Grouping:
  """Return the better of two groupings that no label took part in.

  One is made of coordinates scaled to variance 1, which shows weak classes in
  wide cuts. The other is made of rows as they are: scaling takes away a class
  of few samples that lies far from the others.

  Args:
    key: random key for the directions and the starts.
    vectors: vectors, `[N, D]`.
    num_classes: number of classes.

  Returns:
    The groups of the larger margin.
  """

  def group(key: jax.Array, scaled: bool) -> Grouping:
    key_denoise, key_starts = jax.random.split(key)
    units, points, _ = denoising.denoise(
      key_denoise, vectors, num_classes=num_classes, scaled=scaled
    )
    groups = leave_one_out.reassign(
      units,
      _best_start(key_starts, points, num_classes),
      num_groups=num_classes,
      num_iters=_NUM_MOVES,
    )
    return grouping_of(units, groups, num_classes)

  found = [group(key, scaled=scaled) for scaled in (True, False)]
  return _widest(vectors[None], [x.groups for x in found], found, num_classes)


def _widest(
  passes: jax.Array,
  groups: Sequence[jax.Array],
  found: Sequence[Any],
  num_groups: int,
) -> Any:
  """Return what belongs to the grouping of the largest margin.

  Args:
    passes: what the groupings are compared in, `[T, N, D]`.
    groups: the group of each vector in each grouping, `[N]` each.
    found: what belongs to each grouping: pytrees of one structure.
    num_groups: number of groups.

  Returns:
    The first of equals. Of several passes, another than the first must have a
    clearly larger margin in the first pass, where classes differ most, and on
    average.
  """

  def margins_of(vectors: jax.Array) -> jax.Array:
    rows = similarity.unit_normalize(similarity.to_accumulator(vectors))
    margins = [leave_one_out.margin(rows, x, num_groups) for x in groups]
    return jnp.stack(margins)

  each = jax.lax.map(margins_of, passes)  # [T, S]
  margins = jnp.mean(each, axis=0)
  if len(passes) > 1:
    both = jnp.stack([each[0], margins])
    larger = jnp.all(both > _CLEARLY * both[:, :1], axis=0)
    margins = jnp.where(larger.at[0].set(True), margins, -jnp.inf)
  best = jnp.argmax(margins)
  return jax.tree.map(lambda *x: jnp.stack(x)[best], *found)


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
  passes: jax.Array,
  found: Grouping,
  known: Known,
  candidate: str = 'denoised',
) -> AttackResult:
  """Return the best of a grouping and two that the auxiliary vectors make.

  Args:
    passes: vectors of each pass to compare in, `[T, N, D]`; their mean is
      clustered from the auxiliary ones.
    found: a grouping that no label took part in.
    known: the auxiliary samples.
    candidate: how it was found, one of `CANDIDATES`.

  Returns:
    The result of the grouping of the largest margin.
  """
  num_classes = known.num_classes
  vectors = passes[0]
  if len(passes) > 1:
    vectors = jnp.mean(jax.vmap(similarity.unit_normalize)(passes), axis=0)
  aux_vectors = vectors[known.rows]
  from_known = {
    'clustering': clustering_attack.cluster_labels(
      jax.random.key(0),  # Draws nothing.
      vectors,
      aux_vectors,
      known.labels,
      num_classes=num_classes,
    ).labels,
    'distance': nearest_labels(vectors, aux_vectors, known.labels),
  }
  rows = similarity.unit_normalize(similarity.to_accumulator(vectors))
  rows = rows - jnp.mean(rows, axis=0, keepdims=True)
  names = jnp.arange(num_classes, dtype=known.labels.dtype)
  results = [
    named(found, known, candidate),
    *(
      _result(grouping_of(rows, labels, num_classes), names, name)
      for name, labels in from_known.items()
    ),
  ]
  groups = [x.groups.assignments for x in results if x.groups is not None]
  return _widest(passes, groups, results, num_classes)


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
