"""Where defenses act in a step of the protocol, and how they compose.

In shape descriptions `B` is the batch, `N` the training set, `C` the classes.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any, NamedTuple

import jax

from splitjax.training.keys import labels_key

PyTree = Any
Place = Callable[..., Any] | None


class Protection(NamedTuple):
  """What the parties do to what leaves them; `None` leaves a place undefended.

  In the order in which they act. `labels` may be classes `[B]` or, after a
  place that makes them so, soft labels `[B, C]`.

  Attributes:
    stored_labels: `(key, labels [N]) -> labels`; once, before the training.
    batch: `(key, inputs, labels) -> (inputs, labels)`; both parties, who share
      the key.
    labels: `(key, labels) -> labels`; at every use, by the label party.
    smashed: `(key, smashed) -> smashed`; at the first cut, by the party that
      holds the inputs.
    loss: `(loss_fn, logits, smashed, labels) -> losses [B]`; what the label
      party minimises instead of `loss_fn(logits, labels)`.
    cut_grads: `(key, cut_grads, labels) -> cut_grads`; at the last cut, by the
      party that holds the labels. It is given the labels trained on.
    server_grads: `(key, loss_fn, params, smashed, labels) -> grads`; how the
      label party computes its own update. `loss_fn(params, smashed, labels)`
      is the mean loss of a batch.
    answers: `logits -> logits`; how the label party reads its model.
    monitor: `(cut_grads, labels) -> PyTree`; what the label party notes of the
      cut gradients before they are defended.
  """

  stored_labels: Place = None
  batch: Place = None
  labels: Place = None
  smashed: Place = None
  loss: Place = None
  cut_grads: Place = None
  server_grads: Place = None
  answers: Place = None
  monitor: Place = None

  @property
  def at_a_cut(self) -> bool:
    """Whether the training depends on where the model is cut."""
    places = (self.smashed, self.loss, self.cut_grads, self.server_grads)
    return any(place is not None for place in places)


def draw_stored_labels(
  key: jax.Array, labels: jax.Array, protection: Protection
) -> jax.Array:
  """Draw the labels that the run that `key` started trains on.

  Args:
    key: the run's key.
    labels: `[N]`.
    protection: its `stored_labels` are drawn, once.

  Returns:
    `[N]`, or soft labels `[N, C]`.
  """
  if protection.stored_labels is None:
    return labels
  return protection.stored_labels(labels_key(key), labels)


def compose(protections: Sequence[Protection]) -> Protection:
  """Compose several defenses, each acting on what the one before it made.

  Args:
    protections: in the order in which they act within a place; draws of each
      are its own.

  Returns:
    All of them.

  Raises:
    ValueError: if two replace the server's update, or two monitor.
  """
  chains = {
    'stored_labels': _chain,
    'batch': _chain_batches,
    'labels': _chain,
    'smashed': _chain,
    'loss': _chain_losses,
    'cut_grads': _chain,
    'server_grads': functools.partial(_only, 'server_grads'),
    'answers': _chain_answers,
    'monitor': functools.partial(_only, 'monitor'),
  }
  places = {}
  for name, chain in chains.items():
    fns = [getattr(one, name) for one in protections if getattr(one, name)]
    places[name] = fns[0] if len(fns) == 1 else chain(fns) if fns else None
  return Protection(**places)


Fns = Sequence[Callable[..., Any]]


def _chain(fns: Fns) -> Callable[..., Any]:
  """Apply functions of a key and a value one after the other."""

  def chained(key: jax.Array, x: PyTree, *args: Any) -> PyTree:
    for fn, fn_key in zip(fns, jax.random.split(key, len(fns)), strict=True):
      x = fn(fn_key, x, *args)
    return x

  return chained


def _chain_batches(fns: Fns) -> Callable[..., Any]:
  """Apply functions of a key and a batch one after the other."""

  def chained(
    key: jax.Array, inputs: jax.Array, labels: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    for fn, fn_key in zip(fns, jax.random.split(key, len(fns)), strict=True):
      inputs, labels = fn(fn_key, inputs, labels)
    return inputs, labels

  return chained


def _chain_losses(fns: Fns) -> Callable[..., Any]:
  """Let the first wrap the loss, and the next what the first made of it."""

  def chained(
    loss_fn: Callable[..., Any],
    logits: jax.Array,
    smashed: jax.Array,
    labels: jax.Array,
  ) -> jax.Array:
    for fn in fns[:-1]:
      loss_fn = functools.partial(_on_smashed, fn, loss_fn, smashed)
    return fns[-1](loss_fn, logits, smashed, labels)

  return chained


def _on_smashed(
  fn: Callable[..., Any],
  loss_fn: Callable[..., Any],
  smashed: jax.Array,
  logits: jax.Array,
  labels: jax.Array,
) -> jax.Array:
  """Call a wrapped loss with the smashed data that it was bound to."""
  return fn(loss_fn, logits, smashed, labels)


def _chain_answers(fns: Fns) -> Callable[[jax.Array], jax.Array]:
  """Read the logits by one function after the other."""
  return lambda logits: functools.reduce(lambda x, fn: fn(x), fns, logits)


def _only(name: str, fns: Fns) -> Callable[..., Any]:
  """Refuse several functions at a place that takes one."""
  raise ValueError(
    f'protections must have one {name} at most, got {len(fns)} of them.'
  )
