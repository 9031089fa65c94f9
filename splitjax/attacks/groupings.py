"""Groups found without any label, and what names them.

In shape descriptions `N` is the number of samples, `D` their width, `A` the
number of auxiliary samples and `C` that of classes and of groups.
"""

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from splitjax.attacks import conditioning
from splitjax.attacks import denoising
from splitjax.attacks import leave_one_out
from splitjax.attacks import passes as over_passes
from splitjax.attacks import similarity
from splitjax.attacks.distance import nearest_labels
from splitjax.attacks.kmeans import clustering_attack
from splitjax.attacks.kmeans import plus_plus
from splitjax.attacks.result import AttackResult
from splitjax.attacks.result import Groups

T = TypeVar('T')
# What `AttackResult.chosen` counts.
CANDIDATES = (
  'clustering',
  'denoised',
  'passes',
  'votes',
  'transfer',
  'distance',
  'batches',
  'matching',
  'merged',
  'inputs',
)
_NUM_STARTS = 12
_NUM_ITERS = 40
# Over several passes, where directions turn, means of all passes say less than
# the passes do: what is made of them has to be better by this factor.
_CLEARLY = 1.1
# Of more products than this in an iteration, starts are compared on a part.
_MOST_WORK = 150_000_000
_NUM_ITERS_OF_PART = 20
_NUM_ITERS_OF_ALL = 10
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
    margins: `leave_one_out.margin` in each pass, `[T]`; None if nothing is to
      be compared by it.
  """

  groups: jax.Array
  costs: jax.Array
  confidence: jax.Array
  margins: jax.Array | None = None


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

  def group(scaled: jax.Array) -> tuple[Grouping, jax.Array]:
    key_denoise, key_starts = jax.random.split(key)
    units, points, _ = denoising.denoise(
      key_denoise, vectors, num_classes=num_classes, scaled=scaled
    )
    groups = leave_one_out.reassign(
      units,
      best_start(key_starts, points, num_classes),
      num_groups=num_classes,
      num_iters=_NUM_MOVES,
    )
    margins = margins_of(vectors[None], groups, num_classes)
    return grouping_of(units, groups, num_classes), margins

  # One after the other, which takes half of the memory.
  found, margins = jax.lax.map(group, jnp.array([True, False]))
  best = jnp.argmax(margins[:, 0])
  found = jax.tree.map(lambda x: x[best], found)
  return found._replace(margins=margins[best])


def margins_of(
  passes: jax.Array, groups: jax.Array, num_groups: int
) -> jax.Array:
  """Return the margin of groups in each pass, of vectors of length 1, `[T]`.

  Where vectors lie far from 0 for their spread, all cosines would be 1: what
  they have in common is subtracted first. Vectors that are not finite do not
  count.
  """

  def margin(vectors: jax.Array) -> jax.Array:
    wide = similarity.to_accumulator(vectors)
    found = conditioning.condition(wide, 'cosine')
    counted = jnp.where(found.finite, groups, num_groups)  # In no group.
    return leave_one_out.margin(found.points, counted, num_groups)

  return jax.lax.map(margin, passes)


def best_start(key: jax.Array, points: jax.Array, num_groups: int) -> jax.Array:
  """Find groups by the best of several K-means runs.

  A fixed number of iterations over few coordinates: the lanes of `kmeans`
  would take longer to compile than these take to run. Of many points, the
  starts are compared on a part, and the best goes on with all.

  Args:
    key: random key for the starts.
    points: points around 0, `[N, k]`.
    num_groups: number of groups.

  Returns:
    The group of each point, `[N]`.
  """
  step = max(points.size * num_groups // _MOST_WORK, 1)
  part = points[::step]
  draws = plus_plus.start_draws(key, num_groups, (_NUM_STARTS,))
  starts = jax.vmap(plus_plus.spread_centroids, (0, None))(draws, part)

  num_iters = _NUM_ITERS if step == 1 else _NUM_ITERS_OF_PART

  def iterate(points: jax.Array, means: jax.Array, num_iters: int) -> jax.Array:
    move = lambda _, means: over_passes.means_of(
      points, over_passes.nearest(points, means)[0], means
    )
    return jax.lax.fori_loop(0, num_iters, move, means)

  def run(means: jax.Array) -> tuple[jax.Array, jax.Array]:
    means = iterate(part, means, num_iters)
    return means, jnp.sum(over_passes.nearest(part, means)[1])

  means, close = jax.lax.map(run, starts)
  best = means[jnp.argmax(close)]
  if step > 1:
    best = iterate(points, best, _NUM_ITERS_OF_ALL)
  return over_passes.nearest(points, best)[0]


def grouping_of(
  units: jax.Array, groups: jax.Array, num_classes: int
) -> Grouping:
  """Return groups, by the distances of all samples to them without themselves.

  Args:
    units: vectors around 0 to compare in, `[N, D]`.
    groups: the group of each, `[N]`.
    num_classes: number of groups.

  Returns:
    The grouping; its confidence is what the groups foretell of the vectors,
    see `leave_one_out.explained`.
  """
  own = jax.nn.one_hot(groups, num_classes, dtype=units.dtype)
  costs = leave_one_out.distances(units, own, leave_one_out.sums_of(units, own))
  share = leave_one_out.explained_by(units, groups, costs)
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
    found: a grouping that no label took part in, with margins.
    known: the auxiliary samples.
    candidate: how it was found, one of `CANDIDATES`.

  Returns:
    The result of the grouping of the largest margin; of several passes, another
    than the first must have a clearly larger one in the first pass, where
    classes differ most, and on average.
  """
  num_classes = known.num_classes
  vectors = passes[0]
  if len(passes) > 1:
    vectors = jnp.mean(jax.vmap(similarity.unit_normalize)(passes), axis=0)
  aux_vectors = vectors[known.rows]
  clusters = clustering_attack.cluster_labels(
    jax.random.key(0),  # Draws nothing.
    vectors,
    aux_vectors,
    known.labels,
    num_classes=num_classes,
  ).labels
  nearest = nearest_labels(vectors, aux_vectors, known.labels)
  labels = [clusters, nearest.astype(clusters.dtype)]
  assert found.margins is not None
  each = jnp.stack(
    [found.margins, *(margins_of(passes, x, num_classes) for x in labels)]
  )
  margins = jnp.mean(each, axis=1)
  if len(passes) > 1:
    both = jnp.stack([each[:, 0], margins])
    larger = jnp.all(both > _CLEARLY * both[:, :1], axis=0)
    margins = jnp.where(larger.at[0].set(True), margins, -jnp.inf)
  best = jnp.argmax(margins)
  rows = denoising.standardized_units(vectors, scaled=False)
  from_known = jnp.where(best == 1, labels[0], labels[1])
  other = _result(
    grouping_of(rows, from_known, num_classes),
    jnp.arange(num_classes, dtype=known.labels.dtype),
    'distance',
  )
  indices = [CANDIDATES.index(x) for x in (candidate, 'clustering', 'distance')]
  first = named(found, known, candidate)
  picked = where(best == 0, first, other)
  return picked._replace(chosen=jnp.array(indices, jnp.int32)[best])


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


def where(holds: jax.Array, first: T, second: T) -> T:
  """Return the first of two trees of arrays where a truth value holds."""
  return jax.tree.map(lambda x, y: jnp.where(holds, x, y), first, second)


def _result(found: Grouping, names: jax.Array, candidate: str) -> AttackResult:
  """Return groups that have names."""
  return AttackResult(
    names[found.groups],
    logits=-found.costs[:, jnp.argsort(names)],
    groups=Groups(found.groups, names),
    chosen=jnp.int32(CANDIDATES.index(candidate)),
    confidence=found.confidence,
  )
