"""KDk: k-anonymous labels, softened over the classes that a teacher suggests.

Arazzi et al., "KDk: A defense mechanism against label inference attacks in
vertical federated learning" (2024, https://arxiv.org/abs/2404.12369).
"""

from collections.abc import Callable
import numbers

import jax
import jax.numpy as jnp


def loss(
  loss_fn: Callable[[jax.Array, jax.Array], jax.Array],
  logits: jax.Array,
  smashed: jax.Array,
  labels: jax.Array,
  *,
  k: jax.typing.ArrayLike,
  smoothing: jax.typing.ArrayLike,
) -> jax.Array:
  """The loss on labels that the model itself has softened.

  The paper's label party trains a teacher on its own inputs. In two-party split
  learning it has none, so here the model in training is its own teacher: the
  classes are ranked by its logits, which get no gradient from that. For a
  separate teacher see `soften`.

  Args:
    loss_fn: `(logits, labels) -> losses [B]`; labels may be soft, `[B, C]`.
    logits: of the label party's model, `[B, C]`.
    smashed: not used.
    labels: classes `[B]`, or soft labels `[B, C]`.
    k: as in `soften`.
    smoothing: as in `soften`; 0 is off.

  Returns:
    Losses `[B]`.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  del smashed
  soft = soften(
    labels,
    jax.lax.stop_gradient(logits),
    num_classes=logits.shape[-1],
    k=k,
    smoothing=smoothing,
  )
  losses = loss_fn(logits, soft)
  if labels.ndim == soft.ndim:
    return losses
  # The loss of a class and of its one-hot label may differ in the last bit.
  is_off = jnp.asarray(smoothing) <= 0
  return jnp.where(is_off, loss_fn(logits, labels), losses)


def soften(
  labels: jax.Array,
  teacher_logits: jax.Array,
  *,
  num_classes: int,
  k: jax.typing.ArrayLike,
  smoothing: jax.typing.ArrayLike,
) -> jax.Array:
  """Shares a part of each label among the classes its teacher ranks first.

  The true class keeps `1 - smoothing`, and the `k - 1` others that the teacher
  ranks first share the rest equally. The true class is always one of the `k`,
  wherever the teacher ranks it. Of equal logits the first counts more.

  Args:
    labels: classes in `[0, C)`, `[B]`, or soft labels `[B, C]`: each class's
      part is then softened as if it were the true one.
    teacher_logits: `[B, C]`.
    num_classes: `C`.
    k: how many classes share a label, from 1, which changes nothing; more than
      `C` is `C`.
    smoothing: the part shared, in `[0, 1]`; 0 is off: exactly one-hot.

  Returns:
    Soft labels `[B, C]` in float32.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  _check(labels, teacher_logits, num_classes, k, smoothing)
  if labels.ndim == 1:
    labels = jax.nn.one_hot(labels, num_classes)
  labels = labels.astype(jnp.float32)
  order = jnp.argsort(teacher_logits, axis=-1, descending=True, stable=True)
  rank = jnp.argsort(order, axis=-1)
  num_others = jnp.clip(k, 1, num_classes) - 1

  # A class ranked before `num_others` shares with one class more than the
  # others do, since it is not shared with itself.
  ahead = jnp.where(rank < num_others, labels, 0)
  behind = labels - ahead
  total = lambda x: jnp.sum(x, axis=-1, keepdims=True)
  received = jnp.where(rank < num_others, total(behind), 0)
  received += jnp.where(rank <= num_others, total(ahead) - ahead, 0)
  part = smoothing / jnp.maximum(num_others, 1)
  soft = (1 - smoothing) * labels + part * received
  is_off = (jnp.asarray(smoothing) <= 0) | (num_others < 1)
  return jnp.where(is_off, labels, soft)


def _check(labels, teacher_logits, num_classes, k, smoothing):
  """Refuses static arguments that have no meaning."""
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
