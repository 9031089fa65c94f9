"""KDk: k-anonymous labels, softened over the classes that a teacher suggests.

Arazzi et al., "KDk: A defense mechanism against label inference attacks in
vertical federated learning" (2024, https://arxiv.org/abs/2404.12369).
"""

import numbers

import jax
import jax.numpy as jnp

from splitjax import losses


def loss(
  loss_fn: losses.LossFn,
  logits: jax.Array,
  smashed: jax.Array | None,
  labels: jax.Array,
  *,
  k: jax.typing.ArrayLike,
  smoothing: jax.typing.ArrayLike,
) -> jax.Array:
  """Return the loss on labels that the model itself has softened.

  The paper's label party trains a teacher on its own inputs. In two-party split
  learning it has no inputs, so here the model in training is its own teacher:
  its logits rank the classes, and no gradient flows through that ranking. To
  use a separate teacher, call `soften`.

  Args:
    loss_fn: `(logits, labels) -> losses [B]`; must accept soft labels `[B, C]`.
    logits: logits of the label party's model, `[B, C]`.
    smashed: not used.
    labels: classes `[B]`, or soft labels `[B, C]`.
    k: number of classes that share a label, at least 1; at 1 labels are
      unchanged.
    smoothing: part of each label that is shared, in `[0, 1]`; at 0 labels are
      unchanged.

  Returns:
    Losses `[B]`.

  Raises:
    ValueError: at trace time, if a shape or a number is not as above.

  Example:
    Class 0 is true and class 2 the likeliest wrong class of the model, so the
    label is softened to (0.6, 0, 0.4).

    >>> logits, labels = jnp.array([[0.0, -9.0, 5.0]]), jnp.array([0])
    >>> soft_loss = loss(
    ...   losses.cross_entropy, logits, None, labels, k=2, smoothing=0.4
    ... )
    >>> expected = losses.cross_entropy(logits, jnp.array([[0.6, 0.0, 0.4]]))
    >>> print(soft_loss.round(2), expected.round(2))
    [3.01] [3.01]
  """
  del smashed
  soft = soften(
    labels,
    jax.lax.stop_gradient(logits),
    num_classes=logits.shape[-1],
    k=k,
    smoothing=smoothing,
  )
  example_losses = loss_fn(logits, soft)
  if labels.ndim == soft.ndim:
    return example_losses
  # The loss of a class and of its one-hot label may differ in the last bit.
  is_off = jnp.asarray(smoothing) <= 0
  return jnp.where(is_off, loss_fn(logits, labels), example_losses)


def soften(
  labels: jax.Array,
  teacher_logits: jax.Array,
  *,
  num_classes: int,
  k: jax.typing.ArrayLike,
  smoothing: jax.typing.ArrayLike,
) -> jax.Array:
  """Share a part of each label among the classes that its teacher ranks first.

  The true class keeps `1 - smoothing`. The `k - 1` other classes that the
  teacher ranks first share the rest equally. The true class is always one of
  the `k`, wherever the teacher ranks it. Among equal logits, the class of the
  smaller index ranks first.

  Args:
    labels: classes in `[0, C)`, `[B]`, or soft labels `[B, C]`. Each class's
      part of a soft label is softened as if that class were the true one.
    teacher_logits: logits of the teacher, `[B, C]`.
    num_classes: number of classes, `C`.
    k: number of classes that share a label, at least 1; at 1 labels are
      unchanged. More than `C` counts as `C`.
    smoothing: part of each label that is shared, in `[0, 1]`; at 0 the labels
      are exactly one-hot.

  Returns:
    Soft labels `[B, C]` in float32.

  Raises:
    ValueError: at trace time, if a shape or a number is not as above.

  Example:
    >>> logits = jnp.array([[0.0, 3.0, 2.0, 1.0]])
    >>> soften(
    ...   jnp.array([0]), logits, num_classes=4, k=3, smoothing=0.5
    ... ).tolist()
    [[0.5, 0.25, 0.25, 0.0]]
  """
  _check(labels, teacher_logits, num_classes, k, smoothing)
  if labels.ndim == 1:
    labels = jax.nn.one_hot(labels, num_classes)
  labels = labels.astype(jnp.float32)
  order = jnp.argsort(teacher_logits, axis=-1, descending=True, stable=True)
  rank = jnp.argsort(order, axis=-1)
  num_others = jnp.clip(k, 1, num_classes) - 1
  part = smoothing / jnp.maximum(num_others, 1)
  soft = (1 - smoothing) * labels + part * _received(labels, rank, num_others)
  is_off = (jnp.asarray(smoothing) <= 0) | (num_others < 1)
  return jnp.where(is_off, labels, soft)


def _received(
  labels: jax.Array, rank: jax.Array, num_others: jax.Array
) -> jax.Array:
  """Add up the label mass that each class gets from other classes.

  Every class gives to the first `num_others` classes other than itself. A class
  that is itself among the first `num_others` therefore also gives to the class
  of rank `num_others`.

  Args:
    labels: mass that each class gives, `[B, C]`.
    rank: rank of each class by its teacher, from 0, `[B, C]`.
    num_others: number of classes that each class gives to, a scalar.

  Returns:
    Mass that each class receives, `[B, C]`.
  """
  ahead = jnp.where(rank < num_others, labels, 0)
  behind = labels - ahead
  total = lambda x: jnp.sum(x, axis=-1, keepdims=True)
  received = jnp.where(rank < num_others, total(behind), 0)
  received += jnp.where(rank <= num_others, total(ahead) - ahead, 0)
  return received


def _check(
  labels: jax.Array,
  teacher_logits: jax.Array,
  num_classes: int,
  k: jax.typing.ArrayLike,
  smoothing: jax.typing.ArrayLike,
) -> None:
  """Raise ValueError for arguments that `soften` cannot use."""
  is_hard = jnp.issubdtype(labels.dtype, jnp.integer)
  shape = (*labels.shape, num_classes) if is_hard else labels.shape
  if len(shape) != 2 or shape[-1] != num_classes:
    raise ValueError(
      f'labels must be classes [B] or soft labels [B, {num_classes}], got '
      f'{labels.dtype} of shape {labels.shape}.'
    )
  if teacher_logits.shape != shape:
    raise ValueError(
      f'teacher_logits must have shape {shape}, got {teacher_logits.shape}.'
    )
  if isinstance(k, numbers.Real) and not k >= 1:
    raise ValueError(f'k must be at least 1, got {k}.')
  if isinstance(smoothing, numbers.Real) and not 0 <= smoothing <= 1:
    raise ValueError(f'smoothing must lie between 0 and 1, got {smoothing}.')
