r"""Label compression: classes are merged, and gradients tell merged ones only.

Similar to LCD, the defense of "Defend against Label Inference Attacks in
Vertical Federated Learning via Label Compression" (public code,
https://github.com/YuanShunJie1/LCD). There the label party has features of its
own. It trains on these alone for ten epochs, merges the classes whose mean
embeddings point the same way into *fake labels*, trains all bottoms on fake
labels and a centre loss, and then a true top on the finished bottoms.

Here the label party may have no features. So the means are of what the
untrained bottoms send, before any gradient goes back; the true top learns
beside the fake one instead of after it, from the same smashed data, and sends
no gradient; and the centres learn at the label party's rate. Results are
therefore not those of the paper.

Gradients depend on the labels through the fake labels alone, in every pass:
they say nothing of a class within its group that the inputs do not say. Which
classes form a group is not hidden, and neither is what smashed data show.
"""

import jax
import jax.numpy as jnp

from splitjax import losses


def compress(
  key: jax.Array,
  labels: jax.Array,
  smashed: jax.Array,
  *,
  num_classes: int,
  num_labels: jax.typing.ArrayLike,
) -> jax.Array:
  """Return each label beside the fake label that stands for it.

  To be called once, before training, and the result stored.

  Args:
    key: not used, since nothing is drawn.
    labels: classes in `[0, C)`, `[N]`.
    smashed: what the label party received before it sent any gradient, `[N,
      ...]`.
    num_classes: number of classes, `C`.
    num_labels: number of fake labels, at least 1; with `C` or more, each class
      has its own.

  Returns:
    One-hot labels and one-hot fake labels side by side, float32 `[N, 2 C]`. The
    fake labels are below `num_labels`.
  """
  del key
  means = class_means(
    smashed.reshape(len(smashed), -1), labels, num_classes=num_classes
  )
  fake = merge(means, num_labels)[labels]
  one_hot = lambda x: jax.nn.one_hot(x, num_classes)
  return jnp.concatenate([one_hot(labels), one_hot(fake)], axis=1)


def class_means(
  vectors: jax.Array, labels: jax.Array, *, num_classes: int
) -> jax.Array:
  """Return the mean vector of each class.

  Args:
    vectors: one for each sample, `[N, D]`.
    labels: classes in `[0, C)`, `[N]`.
    num_classes: number of classes, `C`.

  Returns:
    Means `[C, D]`; 0 for a class without samples.
  """
  members = jax.nn.one_hot(labels, num_classes, dtype=jnp.float32)
  sizes = jnp.maximum(jnp.sum(members, axis=0), 1)
  return (members.T @ vectors.astype(jnp.float32)) / sizes[:, None]


def merge(means: jax.Array, num_groups: jax.typing.ArrayLike) -> jax.Array:
  """Merge classes whose means point the same way, the nearest ones first.

  A group never grows beyond `C / num_groups` classes, rounded up, as long as
  others can be merged instead: with half as many groups as classes, all are
  pairs.

  Args:
    means: mean vector of each class, `[C, D]`.
    num_groups: number of groups, at least 1.

  Returns:
    The group of each class, `[C]` in `[0, num_groups)`, numbered in the order
    of their first classes.

  Example:
    >>> means = jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]])
    >>> merge(means, 2).tolist()
    [0, 1, 0, 1]
  """
  num_classes = len(means)
  norms = jnp.linalg.norm(means, axis=1, keepdims=True)
  unit = means / jnp.where(norms > 0, norms, 1)
  most = jnp.ceil(num_classes / jnp.asarray(num_groups, jnp.float32))
  num_merges = num_classes - num_groups

  def step(groups: jax.Array, index: jax.Array) -> tuple[jax.Array, None]:
    members = jax.nn.one_hot(groups, num_classes)  # Of a class a group, [C, C].
    sizes = jnp.sum(members, axis=0)
    centres = members.T @ unit / jnp.maximum(sizes, 1)[:, None]
    lengths = jnp.linalg.norm(centres, axis=1)
    lengths = jnp.maximum(jnp.outer(lengths, lengths), 1e-12)
    distances = 1 - centres @ centres.T / lengths  # In [0, 2].
    # Groups that would grow too large come last.
    distances += 3 * (sizes[:, None] + sizes[None] > most)
    usable = (sizes[:, None] > 0) & (sizes[None] > 0)
    usable &= jnp.triu(jnp.ones_like(usable), k=1)
    nearest = jnp.argmin(jnp.where(usable, distances, jnp.inf))
    first, second = jnp.divmod(nearest, num_classes)
    merged = jnp.where(groups == second, first, groups)
    return jnp.where(index < num_merges, merged, groups), None

  start = jnp.arange(num_classes)
  groups, _ = jax.lax.scan(step, start, jnp.arange(num_classes - 1))
  is_first = groups == start  # A group is called after its first class.
  return (jnp.cumsum(is_first) - 1)[groups]


def loss(
  loss_fn: losses.LossFn,
  outputs: jax.Array,
  smashed: jax.Array | None,
  labels: jax.Array,
  *,
  center_weight: jax.typing.ArrayLike,
) -> jax.Array:
  """Return the losses of both tops, and how far samples are from their centre.

  Args:
    loss_fn: `(logits, labels) -> losses [B]`, which must accept soft labels.
    outputs: outputs of a `models.second_top.SecondTop` with `C` centres, `[B, 3
      C]`.
    smashed: not used.
    labels: labels from `compress`, `[B, 2 C]`.
    center_weight: weight of the squared distance to the fake label's centre.

  Returns:
    Losses `[B]`.
  """
  del smashed
  first, second, distances = jnp.split(outputs, 3, axis=1)
  true, fake = jnp.split(labels, 2, axis=1)
  near = jnp.sum(fake * distances, axis=1)
  return loss_fn(first, true) + loss_fn(second, fake) + center_weight * near


def answers(outputs: jax.Array) -> jax.Array:
  """Return the logits of the true top, `[B, C]` of `[B, 3 C]`."""
  return jnp.split(outputs, 3, axis=1)[0]
