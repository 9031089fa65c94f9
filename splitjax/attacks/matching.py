"""Groups whose gradients a top model explains, given the smashed data.

Late in a training, a gradient points away from the classes that a sample is
mistaken for: two samples of a class may get very different ones. What explains
them is the top model. Here one is fitted, in turn with the groups.

In shape descriptions `N` is the number of samples, `D` the width of the cut,
`C` the number of classes and `S` that of starts.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax.attacks import leave_one_out
from splitjax.attacks import pass_groups
from splitjax.attacks import surrogate
from splitjax.attacks import surrogate_fit
from splitjax.attacks.groupings import Grouping

_NUM_ROUNDS = 4
_BATCH_SIZE = 128
_NUM_STEPS = 120  # Of a round, however many samples there are.
_LEARNING_RATE = 2e-2
# Errors have heavy tails: where a model is certain, gradients are what rounding
# left, and say nothing. Half of the degrees of freedom, and a squared scale.
_TAIL = 5.0
_SCALE = 0.01


class Matched(NamedTuple):
  """Groups that a top model explains.

  Attributes:
    grouping: the groups; what they cost are negative log likelihoods.
    quality: mean log likelihood of the likeliest groups, a scalar.
  """

  grouping: Grouping
  quality: jax.Array


def match(
  key: jax.Array,
  smashed: jax.Array,
  cut_grads: jax.Array,
  starts: jax.Array,
  *,
  num_classes: int,
) -> Matched:
  """Fit a linear top model and the groups to gradients, in turn.

  A top is fitted so that its gradients for the groups point as the received
  ones do. Each sample then goes to the group that the top finds likeliest by
  its smashed data and by its gradient together. Of several starts, the one that
  ends likeliest is kept. The directions alone are compared: lengths differ with
  the batch and tell how sure the label party's model is, not of what.

  Args:
    key: random key for the top and the order of the samples.
    smashed: smashed data that was sent, `[N, D]`.
    cut_grads: gradients that it got, `[N, D]`.
    starts: groups to start from, `[S, N]`.
    num_classes: number of classes.

  Returns:
    The groups of the likeliest fit.

  Example:
    >>> smashed = 2 * jax.nn.one_hot(jnp.array([0, 1, 1, 0] * 4), 2)
    >>> cut_grads = jax.nn.softmax(smashed) - smashed / 2
    >>> starts = jnp.array([[0, 1, 1, 0] * 3 + [0, 1, 1, 1]])
    >>> found = match(
    ...   jax.random.key(0), smashed, cut_grads, starts, num_classes=2
    ... )
    >>> found.grouping.groups[-4:].tolist()
    [0, 1, 1, 0]
  """
  smashed, _ = surrogate.standardize(smashed, smashed[:1])
  units = surrogate.units_of(cut_grads)
  everyone = jnp.ones(len(smashed), units.dtype)
  first, keys = _begin(key, smashed, num_classes)

  def one_round(
    state: tuple[surrogate.Layers, jax.Array], key: jax.Array
  ) -> tuple[tuple[surrogate.Layers, jax.Array], None]:
    top, likely = state
    groups = jnp.argmax(likely, axis=1)
    top = _fit(key, top, smashed, units, groups, everyone)
    return (top, _log_likelihoods(top, smashed, units)[0]), None

  def run(start: jax.Array) -> tuple[jax.Array, jax.Array]:
    likely = jax.nn.one_hot(start, num_classes, dtype=units.dtype)
    (_, likely), _ = jax.lax.scan(one_round, (first, likely), keys)
    return likely, jnp.mean(jnp.max(likely, axis=1))

  likely, quality = jax.lax.map(run, starts)
  best = jnp.argmax(quality)
  return Matched(pass_groups.likeliest(likely[best]), quality[best])


def misfit_of_top(
  key: jax.Array,
  smashed: jax.Array,
  cut_grads: jax.Array,
  groups: jax.Array,
  num_classes: int,
) -> jax.Array:
  """Return how far gradients are from those of a top fitted to other samples.

  On what it was fitted to, a top explains even noise.

  Args:
    key: random key for the top and the order of the samples.
    smashed: smashed data that was sent, `[N, D]`.
    cut_grads: gradients that it got, `[N, D]`.
    groups: the group of each, `[N]`.
    num_classes: number of groups.

  Returns:
    Mean logarithm of the squared distance between the directions of a gradient
    and of the likeliest group's, plus a scale; over half of the samples.
  """
  smashed, _ = surrogate.standardize(smashed, smashed[:1])
  units = surrogate.units_of(cut_grads)
  held_out = jnp.arange(len(groups)) % 2
  first, keys = _begin(key, smashed, num_classes)
  top, _ = jax.lax.scan(
    lambda top, key: (
      _fit(key, top, smashed, units, groups, 1 - held_out),
      None,
    ),
    first,
    keys,
  )
  likely, mismatches = _log_likelihoods(top, smashed, units)
  best = jnp.argmax(likely, axis=1)[:, None]
  each = _misfit(jnp.take_along_axis(mismatches, best, axis=1)[:, 0])
  return jnp.sum(held_out * each) / jnp.maximum(jnp.sum(held_out), 1)


def _misfit(mismatches: jax.Array) -> jax.Array:
  """Return the logarithms that likelihoods are made of."""
  return jnp.log(mismatches + _SCALE)


def misfit_of_means(
  cut_grads: jax.Array, groups: jax.Array, num_classes: int
) -> jax.Array:
  """Return how far gradients are from the means of their groups.

  Args:
    cut_grads: gradients, `[N, D]`.
    groups: the group of each, `[N]`.
    num_classes: number of groups.

  Returns:
    Mean logarithm of the squared distance between the directions of a gradient
    and of its group's mean without it, plus a scale, to compare with
    `misfit_of_top`.
  """
  units = surrogate.units_of(cut_grads)
  own = jax.nn.one_hot(groups, num_classes, dtype=units.dtype)
  sums = leave_one_out.sums_of(units, own).sums
  return jnp.mean(_misfit(surrogate.mismatch(sums[groups] - units, units)))


def _begin(
  key: jax.Array, smashed: jax.Array, num_classes: int
) -> tuple[surrogate.Layers, jax.Array]:
  """Return a top to start from, and a key for each round."""
  key_top, key_rounds = jax.random.split(key)
  top = surrogate.init_top(key_top, smashed.shape[1], num_classes, ())
  return top, jax.random.split(key_rounds, _NUM_ROUNDS)


def _fit(
  key: jax.Array,
  top: surrogate.Layers,
  smashed: jax.Array,
  units: jax.Array,
  groups: jax.Array,
  weights: jax.Array,
) -> surrogate.Layers:
  """Fit a top whose gradients for the groups point as the received ones do."""

  def loss_fn(
    key: jax.Array,
    progress: jax.Array,
    top: surrogate.Layers,
    labels: jax.Array,
    rows: jax.Array,
  ) -> jax.Array:
    del key, progress, labels
    grads = surrogate.label_directions(top, smashed[rows], groups[rows])
    return jnp.mean(weights[rows] * surrogate.mismatch(grads, units[rows]))

  num_batches = -(-len(smashed) // _BATCH_SIZE)
  num_epochs = -(-_NUM_STEPS // num_batches)
  return surrogate_fit.fit(
    key,
    top,
    jnp.zeros((len(smashed), 0)),
    loss_fn,
    num_epochs=num_epochs,
    batch_size=_BATCH_SIZE,
    learning_rate=_LEARNING_RATE,
  )[0]


def _log_likelihoods(
  top: surrogate.Layers, smashed: jax.Array, units: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Return how likely each sample is to be of each group, and its mismatch."""
  mismatches = surrogate.class_mismatches(top, smashed, units)
  prior = jax.nn.log_softmax(surrogate.apply_top(top, smashed))
  return prior - _TAIL * _misfit(mismatches), mismatches
