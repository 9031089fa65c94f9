"""Groups over several passes of gradients, and votes of labels drawn anew."""

import jax
import jax.numpy as jnp

from splitjax.attacks import denoising
from splitjax.attacks import groupings
from splitjax.attacks import passes as passes_fit
from splitjax.attacks import similarity
from splitjax.attacks import spectral
from splitjax.attacks.groupings import Grouping
from splitjax.attacks.result import AttackResult
from splitjax.training.countering import Channel

_LEAST_PROBABILITY = 1e-6


def drawn_groups(
  key: jax.Array, passes: jax.Array, first: Grouping, num_classes: int
) -> jax.Array:
  """Find the group that each sample's label fell into in each pass.

  Args:
    key: random key for the search for directions.
    passes: gradients of each pass, `[T, N, D]`.
    first: the groups of the first pass, which are carried on.
    num_classes: number of groups.

  Returns:
    Groups, `[T, N]`.
  """
  points = _points_of(key, passes)
  return passes_fit.carry_on(points, first.groups, num_classes)


def _points_of(key: jax.Array, passes: jax.Array) -> jax.Array:
  """Return each pass's unit vectors, along few directions, `[T, N, k]`."""
  units = jax.lax.map(_units_around_zero, passes)
  if units.shape[-1] <= passes_fit.MOST_COORDINATES:
    return units

  def along(x: jax.Array) -> jax.Array:
    directions = spectral.top_directions(
      key,
      x,
      num_directions=passes_fit.MOST_COORDINATES,
    )
    return similarity.inner_products(x, directions)

  return jax.lax.map(along, units)


def _units_around_zero(vectors: jax.Array) -> jax.Array:
  """Return unit vectors less their mean; 0 for those that are not finite."""
  return denoising.standardized_units(vectors, scaled=False)


def likeliest_groups(
  key: jax.Array, passes: jax.Array, first: jax.Array, num_classes: int
) -> Grouping:
  """Return the likeliest groups over all passes.

  In a pass in which all of a sample's entries are 0, it says nothing.

  Args:
    key: random key for the search for directions, and for the starts.
    passes: gradients of each pass, `[T, N, D]`.
    first: groups of the first pass, `[N]`.
    num_classes: number of groups.

  Returns:
    The groups of the likeliest fit.
  """
  points = _points_of(key, passes)
  num_passes = len(passes)
  units = jax.vmap(similarity.unit_normalize)(passes)
  squares = jnp.sum(passes**2, axis=-1)
  mean_squares = jnp.mean(jnp.where(jnp.isfinite(squares), squares, 0), axis=-1)
  scales = jnp.sqrt(jnp.where(mean_squares > 0, mean_squares, 1))
  means = [
    jnp.mean(units, axis=0),
    jnp.mean(passes / scales[:, None, None], axis=0),
  ]
  averaged = jax.lax.map(
    lambda x: groupings.denoised(key, x, num_classes).groups,
    jnp.stack(means),
  )
  alone = [first, *averaged]
  starts = [
    jnp.broadcast_to(x, (num_passes, len(x))).astype(jnp.int32) for x in alone
  ]
  carried = passes_fit.carry_on(points, first, num_classes)
  starts.append(carried.astype(jnp.int32))
  found = passes_fit.best_fit(
    points, jnp.stack(starts), num_classes, sent=jnp.any(passes != 0, axis=-1)
  )
  return likeliest(found.log_likelihoods)


def kept_share(channel: Channel) -> jax.Array:
  """Return the share of labels that a channel keeps, a scalar."""
  return jnp.sum(channel.prior * jnp.diagonal(channel.probabilities))


def votes(drawn: jax.Array, channel: Channel) -> Grouping:
  """Group samples by the groups that their labels fell into.

  Args:
    drawn: group of each sample in each pass, `[T, N]`.
    channel: how labels were drawn.

  Returns:
    The groups.
  """
  num_classes = len(channel.prior)
  # Which group is which class is not known yet: all but the same are alike.
  kept = jnp.clip(kept_share(channel), 1 / num_classes, 1 - _LEAST_PROBABILITY)
  other = (1 - kept) / (num_classes - 1)
  counts = jnp.sum(jax.nn.one_hot(drawn, num_classes), axis=0)
  return likeliest(counts * jnp.log(kept / other))


def likeliest(log_likelihoods: jax.Array) -> Grouping:
  """Put every sample into its likeliest group.

  Args:
    log_likelihoods: of each group, `[N, C]`.

  Returns:
    The groups, as sure as they are likely on average.
  """
  sure = jnp.mean(jnp.max(jax.nn.softmax(log_likelihoods), axis=1))
  groups = jnp.argmax(log_likelihoods, axis=1)
  return Grouping(groups, -log_likelihoods, sure)


def decode(
  found: AttackResult, drawn: jax.Array, channel: Channel
) -> AttackResult:
  """Return the likeliest true labels, given labels that were released.

  Args:
    found: names of the groups.
    drawn: group of each sample in each draw, `[T, N]`.
    channel: how labels were drawn.

  Returns:
    The result with the labels that the channel and its prior make likeliest.
  """
  assert found.groups is not None and found.logits is not None
  released = found.groups.labels[drawn]
  least = _LEAST_PROBABILITY
  log_channel = jnp.log(jnp.maximum(channel.probabilities, least))
  log_prior = jnp.log(jnp.maximum(channel.prior, least))
  logits = log_prior[None] + jnp.sum(log_channel.T[released], axis=0)
  # What the gradients say beside decides among equals.
  spread = jnp.max(jnp.abs(found.logits))
  logits += 1e-3 * found.logits / jnp.where(spread > 0, spread, 1)
  labels = jnp.argmax(logits, axis=1).astype(found.labels.dtype)
  # Sure of a released label, it is as sure of the true one as labels are kept.
  assert found.confidence is not None
  confidence = found.confidence * kept_share(channel)
  return found._replace(labels=labels, logits=logits, confidence=confidence)
