"""Where defenses act in a step of the protocol, and how they compose.

In shape descriptions `B` is the batch size, `N` the size of the training set
and `C` the number of classes.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any, NamedTuple

import jax

from splitjax.training.keys import labels_key

PyTree = Any
Fn = Callable[..., Any]
Place = Fn | None


class Protection(NamedTuple):
  """A defense: a function for each place of the protocol where it acts.

  A place that is None is not defended. Places act in the order of the list
  below. `labels` are classes `[B]`, or soft labels `[B, C]` if an earlier place
  has made them so.

  Attributes:
    stored_labels: `(key, labels [N]) -> labels`, called once before the
      training.
    first_labels: `(key, labels [N], smashed [N, D]) -> labels`, called once
      after `stored_labels` with what crosses all cuts before the training, for
      which no gradient has been sent back.
    batch: `(key, inputs, labels) -> (inputs, labels)`, called by both parties,
      who share the key.
    pairs: `(key, batch_size) -> (weights [B], partners [B])`, what `batch`
      draws with that key where it mixes samples in pairs; recorded, since
      both parties know it.
    labels: `(key, labels) -> labels`, called by the label party at every use of
      labels.
    smashed: `(key, smashed) -> smashed`, called at the first cut by the party
      that holds the inputs.
    loss: `(loss_fn, logits, smashed, labels) -> losses [B]`, which the label
      party minimises instead of `loss_fn(logits, labels)`.
    cut_grads: `(key, cut_grads, labels) -> cut_grads`, called at the last cut
      by the party that holds the labels; `labels` are those trained on.
    party_cut_grads: `(key, cut_grads, labels) -> cut_grads`, called before that
      with the gradients of all parties as a tuple, `[B, ...]` each.
    server_grads: `(key, loss_fn, params, smashed, labels) -> grads`, by which
      the label party computes its own update; `loss_fn(params, smashed,
      labels)` is the mean loss of a batch.
    answers: `logits -> logits`, by which the label party reads its model.
    monitor: `(cut_grads, labels) -> PyTree`, computed by the label party from
      the cut gradients before they are defended, and kept in the log.

  Example:
    >>> silence = lambda key, cut_grads, labels: 0 * cut_grads
    >>> Protection(cut_grads=silence).at_a_cut
    True
  """

  stored_labels: Place = None
  first_labels: Place = None
  batch: Place = None
  pairs: Place = None
  labels: Place = None
  smashed: Place = None
  loss: Place = None
  cut_grads: Place = None
  party_cut_grads: Place = None
  server_grads: Place = None
  answers: Place = None
  monitor: Place = None

  @property
  def at_a_cut(self) -> bool:
    """Whether the training depends on where the model is cut."""
    places = (
      self.first_labels,
      self.smashed,
      self.loss,
      self.cut_grads,
      self.party_cut_grads,
      self.server_grads,
    )
    return any(place is not None for place in places)


def draw_stored_labels(
  key: jax.Array,
  labels: jax.Array,
  protection: Protection,
  smashed_fn: Callable[[], jax.Array] | None = None,
) -> jax.Array:
  """Return the labels that a run trains on.

  Args:
    key: random key of the run.
    labels: labels of the training set, `[N]`.
    protection: the defense, whose `stored_labels` and `first_labels` are called
      if they are there.
    smashed_fn: returns what crosses all cuts before the training, `[N, D]`;
      called for `first_labels` only.

  Returns:
    Labels `[N]`, or soft labels `[N, C]`.

  Raises:
    ValueError: if there is a `first_labels` and no `smashed_fn`.

  Example:
    >>> flip = Protection(stored_labels=lambda key, labels: 1 - labels)
    >>> labels = jax.numpy.array([0, 1, 1])
    >>> draw_stored_labels(jax.random.key(0), labels, flip).tolist()
    [1, 0, 0]
  """
  if protection.stored_labels is not None:
    labels = protection.stored_labels(labels_key(key), labels)
  if protection.first_labels is None:
    return labels
  if smashed_fn is None:
    raise ValueError('smashed_fn must be given with first_labels, got None.')
  key_first = jax.random.fold_in(labels_key(key), 1)
  return protection.first_labels(key_first, labels, smashed_fn())


def protect_each(
  fn: Fn, key: jax.Array | None, values: PyTree, *args: Any
) -> PyTree:
  """Protect what each party sends or receives.

  Args:
    fn: `(key, value, *args) -> value`.
    key: random key; several parties get one each, made of it. None if nothing
      is drawn.
    values: what one party sends or receives, `[B, ...]`, or a tuple of such.
    *args: what `fn` takes beside.

  Returns:
    The protected values.

  Example:
    >>> add = lambda key, x, step: x + step
    >>> protect_each(add, jax.random.key(0), (1, 2), 10)
    (11, 12)
  """
  if not isinstance(values, tuple):
    return fn(key, values, *args)
  keys: Any = [key] * len(values)
  if key is not None and len(values) > 1:
    keys = jax.random.split(key, len(values))
  return tuple(
    fn(one, value, *args) for one, value in zip(keys, values, strict=True)
  )


def compose(protections: Sequence[Protection]) -> Protection:
  """Compose several defenses into one.

  At each place, a defense acts on the result of the one before it. Each gets a
  random key of its own.

  Args:
    protections: the defenses, in the order in which they act.

  Returns:
    A protection that calls all of them.

  Raises:
    ValueError: if two have a `server_grads`, or two a `monitor`.

  Example:
    >>> add = Protection(answers=lambda logits: logits + 1)
    >>> double = Protection(answers=lambda logits: 2 * logits)
    >>> compose([add, double]).answers(3)
    8
  """
  chains = {
    'stored_labels': _chain,
    'first_labels': _chain,
    'batch': _chain_batches,
    'pairs': functools.partial(_only, 'pairs'),
    'labels': _chain,
    'smashed': _chain,
    'loss': _chain_losses,
    'cut_grads': _chain,
    'party_cut_grads': _chain,
    'server_grads': functools.partial(_only, 'server_grads'),
    'answers': _chain_answers,
    'monitor': functools.partial(_only, 'monitor'),
  }
  places = {}
  for name, chain in chains.items():
    fns = [getattr(one, name) for one in protections if getattr(one, name)]
    places[name] = fns[0] if len(fns) == 1 else chain(fns) if fns else None
  places['pairs'] = _with_key_of_batch(places['pairs'], protections)
  return Protection(**places)


def _with_key_of_batch(
  pairs: Place, protections: Sequence[Protection]
) -> Place:
  """Return pairs that are drawn with the key that their `batch` gets."""
  batches = [one for one in protections if one.batch is not None]
  mixing = [index for index, one in enumerate(batches) if one.pairs is not None]
  if pairs is None or len(batches) < 2 or not mixing:
    return pairs
  return lambda key, batch_size: pairs(
    jax.random.split(key, len(batches))[mixing[0]], batch_size
  )


def _chain(fns: Sequence[Fn]) -> Fn:
  """Return a function that applies functions of a key and a value in turn."""

  def chained(key: jax.Array, x: PyTree, *args: Any) -> PyTree:
    for fn, fn_key in zip(fns, jax.random.split(key, len(fns)), strict=True):
      x = fn(fn_key, x, *args)
    return x

  return chained


def _chain_batches(fns: Sequence[Fn]) -> Fn:
  """Return a function that applies functions of a key and a batch in turn."""

  def chained(
    key: jax.Array, inputs: jax.Array, labels: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    for fn, fn_key in zip(fns, jax.random.split(key, len(fns)), strict=True):
      inputs, labels = fn(fn_key, inputs, labels)
    return inputs, labels

  return chained


def _chain_losses(fns: Sequence[Fn]) -> Fn:
  """Return a loss in which each function wraps the loss of the one before."""

  def chained(
    loss_fn: Fn,
    logits: jax.Array,
    smashed: jax.Array,
    labels: jax.Array,
  ) -> jax.Array:
    for fn in fns[:-1]:
      loss_fn = functools.partial(_on_smashed, fn, loss_fn, smashed)
    return fns[-1](loss_fn, logits, smashed, labels)

  return chained


def _on_smashed(
  fn: Fn,
  loss_fn: Fn,
  smashed: jax.Array,
  logits: jax.Array,
  labels: jax.Array,
) -> jax.Array:
  """Call a wrapped loss with the smashed data that it was bound to."""
  return fn(loss_fn, logits, smashed, labels)


def _chain_answers(fns: Sequence[Fn]) -> Callable[[jax.Array], jax.Array]:
  """Return a function that applies functions of logits in turn."""
  return lambda logits: functools.reduce(lambda x, fn: fn(x), fns, logits)


def _only(name: str, fns: Sequence[Fn]) -> Fn:
  """Raise ValueError for several functions at a place that takes one."""
  raise ValueError(
    f'protections must have one {name} at most, got {len(fns)} of them.'
  )
