"""What an attack returns: one type for all attacks."""

from typing import NamedTuple

import jax


class Groups(NamedTuple):
  """Groups of samples, and the class that each group is taken for.

  Attributes:
    assignments: the group of each sample, `[N]`.
    labels: the class that each group is taken for, a permutation of the
      classes, `[K]`.
    centroids: the mean of each group, of vectors scaled to length 1 if the
      attack compares cosines, `[K, D]`; None if the attack makes no means.
    inertia: the sum of the squared distances from the samples to the centroids
      of their groups, a scalar; None where `centroids` is None.
  """

  assignments: jax.Array
  labels: jax.Array
  centroids: jax.Array | None = None
  inertia: jax.Array | None = None


class AttackResult(NamedTuple):
  """What an attack found; None stands for what it does not find.

  A pytree, so that it passes through `jax.jit`, `jax.vmap` and `jax.lax.scan`.
  The properties are names of earlier versions and read the fields.

  Attributes:
    labels: the class, or the real target, that the attack reads for each
      sample, `[N]`.
    scores: how likely class 1 of two classes is, larger if likelier, `[N]`.
    logits: the score of each class for each sample, `[N, C]`.
    losses: the mean loss of each epoch of the fit, `[T]`.
    groups: the groups of samples that were found before they were named.
    train_labels: the labels of the samples that the attack trained on, which
      may be others than those it labels: `transfer_labels` finds them, and
      `gramssat_labels` guesses them before its fit.
    chosen: which of its candidates an attack chose, an index into
      `groupings.CANDIDATES`, a scalar.
    confidence: how sure the attack is of its groups, at most 1, a scalar: what
      share of the vectors they foretell, or how probable the labels are on
      average.
  """

  labels: jax.Array
  scores: jax.Array | None = None
  logits: jax.Array | None = None
  losses: jax.Array | None = None
  groups: Groups | None = None
  train_labels: jax.Array | None = None
  chosen: jax.Array | None = None
  confidence: jax.Array | None = None

  @property
  def assignments(self) -> jax.Array | None:
    """The group of each sample, `groups.assignments`."""
    return None if self.groups is None else self.groups.assignments

  @property
  def cluster_labels(self) -> jax.Array | None:
    """The class of each cluster, `groups.labels`."""
    return None if self.groups is None else self.groups.labels

  @property
  def group_labels(self) -> jax.Array | None:
    """The class of each group, `groups.labels`."""
    return None if self.groups is None else self.groups.labels

  @property
  def centroids(self) -> jax.Array | None:
    """The centroid of each cluster, `groups.centroids`."""
    return None if self.groups is None else self.groups.centroids

  @property
  def inertia(self) -> jax.Array | None:
    """The sum of squared distances to the centroids, `groups.inertia`."""
    return None if self.groups is None else self.groups.inertia

  @property
  def targets(self) -> jax.Array:
    """The real target of each sample, `labels`."""
    return self.labels

  @property
  def pseudo_labels(self) -> jax.Array | None:
    """The labels guessed before the fit, `train_labels`."""
    return self.train_labels
