"""What vectors say before any label is known.

In shape descriptions `T` is the number of passes, `N` that of samples, `D` the
width of the cut and `C` the number of classes.
"""

from collections.abc import Sequence
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import adapting
from splitjax.attacks import conditioning
from splitjax.attacks import groupings
from splitjax.attacks import matching
from splitjax.attacks import one_class
from splitjax.attacks import pass_groups
from splitjax.attacks import similarity
from splitjax.attacks.adapting import Draws
from splitjax.attacks.groupings import Grouping
from splitjax.training.countering import Channel
from splitjax.training.countering import Counter

# If fewer samples than this are in batches of one class, these say too little.
_ENOUGH_OF_ONE_CLASS = 0.25
_MOST_MATCHED = 100  # Classes; a fit of a top grows with their square.


class Sent(NamedTuple):
  """What a top model is fitted to.

  Attributes:
    key: random key for the fit.
    smashed: smashed data that was sent, `[N, D]`.
    gradients: gradients that it got, `[N, D]`.
    quality: of the best fit so far, see `matching.Matched`.
  """

  key: jax.Array
  smashed: jax.Array
  gradients: jax.Array
  quality: jax.Array


class Other(NamedTuple):
  """Groups that are made of more than the vectors, and replace theirs.

  Attributes:
    grouping: the groups.
    holds: whether they replace those of the vectors, a truth value.
    candidate: which of `CANDIDATES` they are.
    sent: what a top was fitted to, if they are those of a top.
  """

  grouping: Grouping
  holds: jax.Array
  candidate: jax.Array
  sent: Sent | None = None


class Evidence(NamedTuple):
  """What vectors say before any label is known: the same for all draws.

  Attributes:
    passes: vectors of each pass, made comparable, `[T, N, D]`.
    found: groups that no label took part in.
    drawn: group of each sample in each pass where labels are drawn anew, `[T,
      N]`; None elsewhere.
    other: groups that may replace those found; None if nothing else is known.
  """

  passes: jax.Array
  found: Grouping
  drawn: jax.Array | None = None
  other: Other | None = None

  @property
  def grouping(self) -> Grouping:
    """The groups to go by."""
    if self.other is None:
      return self.found
    other = self.other.grouping._replace(margins=self.found.margins)
    return groupings.where(self.other.holds, other, self.found)


@functools.partial(_kernel.jit, static_argnames='num_classes')
def similarity_evidence(
  key: jax.Array, vectors: jax.Array, *, num_classes: int
) -> Evidence:
  """Group vectors, before the auxiliary samples name the groups.

  Args:
    key: random key for the search for directions, and for the starts.
    vectors: vectors, `[N, D]`.
    num_classes: number of classes `C`.

  Returns:
    What `reading.read_evidence` needs.
  """
  found = groupings.denoised(key, vectors, num_classes)
  return Evidence(vectors[None], found)


@functools.partial(
  _kernel.jit, static_argnames=('num_classes', 'counters', 'fresh')
)
def gradient_evidence(
  key: jax.Array,
  passes: jax.Array,
  draws: Draws,
  *,
  num_classes: int,
  counters: Sequence[Counter] = (),
  channel: Channel | None = None,
  fresh: bool = False,
  sent: jax.Array | None = None,
) -> Evidence:
  """Group samples by their cut gradients, before anything names the groups.

  The groups of `gradient_labels` without the auxiliary samples: what follows
  from them is done once for all draws of these.

  Args:
    key: random key for the search for directions, and for the starts.
    passes: cut gradients of each pass, `[T, N, D]`.
    draws: steps, and partners and weights where samples were mixed.
    num_classes: number of classes `C`.
    counters: what to undo.
    channel: the mechanism that labels went through, if there is one.
    fresh: whether it draws labels anew in every pass.
    sent: smashed data that a single pass of gradients answers, `[N, D]`. If a
      top model explains the gradients better than groups do (`matching`), its
      groups are taken. It is not used where something is undone.

  Returns:
    What `reading.read_evidence` needs.

  Example:
    >>> passes = jnp.array([[[9.0], [-9.0], [7.0], [-8.0]]])
    >>> draws = Draws(steps=jnp.zeros((1, 4), int))
    >>> groups = gradient_evidence(
    ...   jax.random.key(0), passes, draws, num_classes=2
    ... ).found.groups
    >>> (groups == groups[0]).tolist()
    [True, False, True, False]
  """
  key_adapt, key = jax.random.split(key)
  if set(counters) - {Counter.MISSING} or num_classes > _MOST_MATCHED:
    sent = None
  passes = adapting.adapt(
    key_adapt, passes, draws, counters, num_classes=num_classes
  )
  evidence = _group(key, passes, sent, num_classes, channel if fresh else None)
  usable = num_classes == 2 and evidence.drawn is None
  if Counter.ONE_CLASS not in counters or not usable:
    return evidence
  batches = one_class.log_odds(passes, draws.steps)
  odds = jnp.stack([batches.log_odds, -batches.log_odds], axis=1) / 2
  other = Other(
    Grouping(jnp.argmin(odds, axis=1), odds, batches.share),
    batches.share >= _ENOUGH_OF_ONE_CLASS,
    _index('batches'),
  )
  return evidence._replace(other=other)


def _index(candidate: str) -> jax.Array:
  """Return the place of a candidate among `CANDIDATES`."""
  return jnp.int32(groupings.CANDIDATES.index(candidate))


def _group(
  key: jax.Array,
  passes: jax.Array,
  sent: jax.Array | None,
  num_classes: int,
  fresh_channel: Channel | None,
) -> Evidence:
  """Group samples by their gradients, of one pass or of several."""
  if sent is not None and len(passes) == 1:
    return _matched(key, passes, sent, num_classes)
  first = groupings.denoised(key, passes[0], num_classes)
  if len(passes) == 1:
    return Evidence(passes, first)
  if fresh_channel is not None:
    drawn = pass_groups.drawn_groups(key, passes, first, num_classes)
    return Evidence(passes, pass_groups.votes(drawn, fresh_channel), drawn)
  found = pass_groups.likeliest_groups(key, passes, first.groups, num_classes)
  margins = groupings.margins_of(passes, found.groups, num_classes)
  return Evidence(passes, found._replace(margins=margins))


def _matched(
  key: jax.Array, passes: jax.Array, sent: jax.Array, num_classes: int
) -> Evidence:
  """Group samples by a pass of gradients, with the smashed data they answer."""
  both = jnp.stack([passes[0], similarity.to_accumulator(sent)])
  starts = jax.lax.map(lambda x: groupings.denoised(key, x, num_classes), both)
  first = jax.tree.map(lambda x: x[0], starts)
  finite = jnp.all(conditioning.finite_rows(both), axis=0)[None, :, None]
  gradients, sent = jnp.where(finite, both, 0)
  found = matching.match(
    key, sent, gradients, starts.groups, num_classes=num_classes
  )
  by_top = matching.misfit_of_top(
    key, sent, gradients, found.grouping.groups, num_classes
  )
  by_means = matching.misfit_of_means(gradients, first.groups, num_classes)
  other = Other(
    found.grouping,
    by_top < by_means,
    _index('matching'),
    Sent(key, sent, gradients, found.quality),
  )
  return Evidence(passes, first, other=other)


def confidence_of(evidence: Evidence, channel: Channel | None) -> jax.Array:
  """Return how sure groups are to be those of the true labels, a scalar."""
  confidence = evidence.grouping.confidence
  if channel is None or evidence.drawn is not None:
    return confidence
  return confidence * pass_groups.kept_share(channel)
