"""The fit of the learning-based attack: a dummy for each sample, a top for all.

A dummy is what the target of a sample is made of: the logits of its label, or
the real target itself. In shape descriptions `N` is the number of samples, `A`
that of known samples, `B` that of a batch, `D` the width of the cut, `O` the
number of outputs and `T` that of epochs.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax import losses as losses_lib
from splitjax.attacks import _validate
from splitjax.attacks import surrogate
from splitjax.attacks import surrogate_fit
from splitjax.attacks import whole_rows

# Weights of the paper; that of the gradient match is 1.
_AUX_MATCH, _DUMMY_LOSS, _AUX_LOSS = 0.05, 0.05, 0.01


class Record(NamedTuple):
  """What the attacker fits to.

  Attributes:
    smashed: smashed data, `[N, D]`.
    cut_grads: cut gradients received for them, `[N, D]`.
    aux_smashed: smashed data of the known samples, `[A, D]`.
    aux_cut_grads: cut gradients received for the known samples, `[A, D]`.
    aux_targets: soft labels or real targets of the known samples, `[A, O]`.
  """

  smashed: jax.Array
  cut_grads: jax.Array
  aux_smashed: jax.Array
  aux_cut_grads: jax.Array
  aux_targets: jax.Array


class Form(NamedTuple):
  """The form of the targets.

  Attributes:
    loss_fn: function from outputs `[B, O]` and targets `[B, O]` to losses
      `[B]`.
    target_fn: function from dummies `[B, O]` to targets `[B, O]`.
  """

  loss_fn: Callable[[jax.Array, jax.Array], jax.Array]
  target_fn: Callable[[jax.Array], jax.Array]


CLASSES = Form(losses_lib.cross_entropy, jax.nn.softmax)
REAL = Form(losses_lib.squared_error, lambda dummies: dummies)


def fit(
  key: jax.Array,
  record: Record,
  form: Form,
  *,
  hidden_sizes: tuple[int, ...],
  num_restarts: int,
  num_warmup_steps: int,
  learning_rate: float,
  label_learning_rate: float,
  **sizes: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Fit dummies and a surrogate top to a record.

  Args:
    key: random key for the surrogates and the order of the samples.
    record: the record, not yet scaled.
    form: the form of the targets.
    hidden_sizes: widths of the linear layers inside the surrogate.
    num_restarts: number of surrogates to try, of which the least loss counts.
    num_warmup_steps: number of steps on the known samples alone.
    learning_rate: learning rate of Adam for the surrogate top.
    label_learning_rate: learning rate of Adam for the dummies.
    **sizes: `num_epochs` and `batch_size`, see `surrogate.check`.

  Returns:
    The fitted dummies `[N, O]`, the mean loss of each epoch `[T]`, and which
    samples are finite, `[N]`: the dummies of others say nothing.

  Raises:
    ValueError: if a shape, type or number is not as above.
  """
  record, finite = _prepare(record, hidden_sizes, **sizes)
  _validate.count('num_restarts', num_restarts)
  _validate.count('num_warmup_steps', num_warmup_steps, at_least=0)
  num_known, num_outputs = record.aux_targets.shape
  num, width = record.smashed.shape

  def run(key_run: jax.Array) -> tuple[jax.Array, jax.Array]:
    key_top, key_warmup, key_fit = jax.random.split(key_run, 3)
    top, _, _ = surrogate_fit.fit(
      key_warmup,
      surrogate.init_top(key_top, width, num_outputs, hidden_sizes),
      jnp.zeros((num_known, 0)),
      functools.partial(_warmup_loss, record, form),
      num_epochs=num_warmup_steps,
      batch_size=num_known,
      learning_rate=learning_rate,
    )
    _, dummies, losses = surrogate_fit.fit(
      key_fit,
      top,
      jnp.zeros((num, num_outputs)),
      functools.partial(_batch_loss, record, form),
      learning_rate=learning_rate,
      label_learning_rate=label_learning_rate,
      **sizes,
    )
    return dummies, losses

  return *surrogate.best_of_restarts(key, run, num_restarts), finite


def _prepare(
  record: Record, hidden_sizes: tuple[int, ...], **sizes: Any
) -> tuple[Record, jax.Array]:
  """Check a record, fill and standardize it; return what is finite, too."""
  smashed, cut_grads, aux_smashed, aux_cut_grads, aux_targets = record
  aux = dict(aux_smashed=aux_smashed, aux_cut_grads=aux_cut_grads)
  surrogate.check(smashed, cut_grads, hidden_sizes, **sizes, **aux)
  (smashed, cut_grads), finite = whole_rows.fill(smashed, cut_grads)
  known, _ = whole_rows.fill(aux_smashed, aux_cut_grads, aux_targets)
  smashed, aux_smashed = surrogate.standardize(smashed, known[0])
  cut_grads, aux_cut_grads = surrogate.rescale(cut_grads, known[1])
  return Record(
    smashed, cut_grads, aux_smashed, aux_cut_grads, known[2]
  ), finite


def _terms(
  form: Form,
  top: surrogate.Layers,
  smashed: jax.Array,
  targets: jax.Array,
  received: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """Return the mismatch of gradients and the loss of each row, `[B]` each."""
  grads = surrogate.surrogate_grads(top, smashed, targets, form.loss_fn)
  outputs = surrogate.apply_top(top, smashed)
  return (
    surrogate.relative_mismatch(grads, received),
    form.loss_fn(outputs, targets),
  )


def _warmup_loss(
  record: Record,
  form: Form,
  key: jax.Array,
  progress: jax.Array,
  top: surrogate.Layers,
  dummies: jax.Array,
  rows: jax.Array,
) -> jax.Array:
  """Return the loss of the known samples."""
  del key, progress, dummies, rows
  match, loss = _terms(
    form, top, record.aux_smashed, record.aux_targets, record.aux_cut_grads
  )
  return _AUX_MATCH * jnp.mean(match) + _AUX_LOSS * jnp.mean(loss)


def _batch_loss(
  record: Record,
  form: Form,
  key: jax.Array,
  progress: jax.Array,
  top: surrogate.Layers,
  dummies: jax.Array,
  rows: jax.Array,
) -> jax.Array:
  """Return the loss of a batch with its dummies, and of the known samples."""
  del key, progress
  match, loss = _terms(
    form,
    top,
    jnp.concatenate([record.smashed[rows], record.aux_smashed]),
    jnp.concatenate([form.target_fn(dummies), record.aux_targets]),
    jnp.concatenate([record.cut_grads[rows], record.aux_cut_grads]),
  )
  num = len(rows)
  return (
    jnp.mean(match[:num])
    + _AUX_MATCH * jnp.mean(match[num:])
    + _DUMMY_LOSS * jnp.mean(loss[:num])
    + _AUX_LOSS * jnp.mean(loss[num:])
  )
