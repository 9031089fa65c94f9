"""The learning-based attack: dummy labels fitted to gradients, with known ones.

Of Xie et al. (2023, https://arxiv.org/abs/2301.07284). Threat model: a passive
client that records one pass of smashed data and cut gradients, knows the loss
and the form of the targets (how many classes, or a real number), and has some
labelled samples of the same pass. It does not know the top model.

Two things differ from the paper. Lengths of gradients are relative to the batch
(see `surrogate`). And the surrogate is fitted to the known samples before the
dummy labels join: from a random start these settle on the right groups with
wrong names, or on targets of the wrong sign, and known samples at weight .05
cannot undo it.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax import losses as losses_lib
from splitjax.attacks import _validate
from splitjax.attacks import surrogate
from splitjax.attacks.result import AttackResult

# Weights of the paper; that of the gradient match is 1.
_AUX_MATCH, _DUMMY_LOSS, _AUX_LOSS = 0.05, 0.05, 0.01


_STATIC = (
  'hidden_sizes',
  'num_restarts',
  'num_warmup_steps',
  'num_epochs',
  'batch_size',
)


@functools.partial(jax.jit, static_argnames=('num_classes', *_STATIC))
def learning_based_labels(
  key: jax.Array,
  smashed: jax.Array,
  cut_grads: jax.Array,
  aux_smashed: jax.Array,
  aux_cut_grads: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
  hidden_sizes: tuple[int, ...] = (),
  num_restarts: int = 3,
  num_warmup_steps: int = 500,
  num_epochs: int = 100,
  batch_size: int = 128,
  learning_rate: float = 1e-2,
  label_learning_rate: float = 0.1,
) -> AttackResult:
  """Fits a dummy label to each sample and a top model to all, for classes.

  Args:
    key: of the surrogate and of the order of samples.
    smashed: what the attacker sent, `[N, D]`.
    cut_grads: what it received for it, of any scale, `[N, D]`.
    aux_smashed: the same of samples whose labels it knows, `[A, D]`.
    aux_cut_grads: likewise, of the same scale as `cut_grads`, `[A, D]`.
    aux_labels: in `[0, C)`, `[A]`.
    num_classes: `C`, at least 2.
    hidden_sizes: of the linear layers inside the surrogate.
    num_restarts: surrogates tried, of which the least loss counts.
    num_warmup_steps: on the known samples alone, before the fit; 0 for none.
    num_epochs: passes over the record, `T`.
    batch_size: of a step; the known samples are in every one besides.
    learning_rate: of Adam on the surrogate top.
    label_learning_rate: of Adam on the logits of the dummy labels.

  Returns:
    An `AttackResult` with labels, logits and losses.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.count('num_classes', num_classes, at_least=2)
  _validate.labels_of('aux_labels', aux_labels, aux_smashed)
  logits, losses = _fit(
    key,
    (smashed, cut_grads),
    (aux_smashed, aux_cut_grads),
    jax.nn.one_hot(aux_labels, num_classes),
    loss_fn=losses_lib.cross_entropy,
    target_fn=jax.nn.softmax,
    hidden_sizes=hidden_sizes,
    num_restarts=num_restarts,
    num_warmup_steps=num_warmup_steps,
    num_epochs=num_epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
    label_learning_rate=label_learning_rate,
  )
  return AttackResult(jnp.argmax(logits, axis=1), logits=logits, losses=losses)


@functools.partial(jax.jit, static_argnames=_STATIC)
def learning_based_targets(
  key: jax.Array,
  smashed: jax.Array,
  cut_grads: jax.Array,
  aux_smashed: jax.Array,
  aux_cut_grads: jax.Array,
  aux_targets: jax.Array,
  *,
  hidden_sizes: tuple[int, ...] = (),
  num_restarts: int = 5,
  num_warmup_steps: int = 1000,
  num_epochs: int = 100,
  batch_size: int = 128,
  learning_rate: float = 1e-2,
  label_learning_rate: float = 0.03,
) -> AttackResult:
  """Fits a dummy target to each sample and a top model to all, for regression.

  The label party minimises a squared error. A linear top whose direction is
  read from the gradients leaves three unknowns, so that it takes at least three
  known samples. Tops of either sign explain the gradients almost as well; with
  few known samples it is the restarts that find the right one.

  Targets are fitted in units of those of the known samples.

  Args:
    key: of the surrogate and of the order of samples.
    smashed: what the attacker sent, `[N, D]`.
    cut_grads: what it received for it, of any scale, `[N, D]`.
    aux_smashed: the same of samples whose targets it knows, `[A, D]`.
    aux_cut_grads: likewise, of the same scale as `cut_grads`, `[A, D]`.
    aux_targets: real numbers, `[A]`.
    hidden_sizes: of the linear layers inside the surrogate.
    num_restarts: surrogates tried, of which the least loss counts.
    num_warmup_steps: on the known samples alone, before the fit; 0 for none.
    num_epochs: passes over the record, `T`.
    batch_size: of a step; the known samples are in every one besides.
    learning_rate: of Adam on the surrogate top.
    label_learning_rate: of Adam on the dummy targets.

  Returns:
    An `AttackResult` with labels, which are real targets, and losses.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.targets_of('aux_targets', aux_targets, aux_smashed)
  aux_targets = aux_targets.astype(jnp.float32)
  centre, spread = jnp.mean(aux_targets), jnp.std(aux_targets)
  spread = jnp.where(spread > 0, spread, 1)
  found, losses = _fit(
    key,
    (smashed, cut_grads),
    (aux_smashed, aux_cut_grads),
    ((aux_targets - centre) / spread)[:, None],
    loss_fn=losses_lib.squared_error,
    target_fn=lambda dummies: dummies,
    hidden_sizes=hidden_sizes,
    num_restarts=num_restarts,
    num_warmup_steps=num_warmup_steps,
    num_epochs=num_epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
    label_learning_rate=label_learning_rate,
  )
  return AttackResult(centre + spread * found[:, 0], losses=losses)


def _fit(
  key,
  seen,
  known,
  aux_targets,
  *,
  loss_fn,
  target_fn,
  hidden_sizes,
  num_restarts,
  num_warmup_steps,
  learning_rate,
  label_learning_rate,
  **sizes,
):
  """The dummies `[N, O]` that `target_fn` makes targets, and losses `[T]`."""
  surrogate.check(
    *seen, hidden_sizes, aux_smashed=known[0], aux_cut_grads=known[1], **sizes
  )
  _validate.count('num_restarts', num_restarts)
  _validate.count('num_warmup_steps', num_warmup_steps, at_least=0)
  smashed, aux_smashed = surrogate.standardize(seen[0], known[0])
  cut_grads, aux_cut_grads = surrogate.rescale(seen[1], known[1])

  def terms(top, inputs, targets, received):
    """How far each row's gradient and output are from what they should be."""
    grads = surrogate.surrogate_grads(top, inputs, targets, loss_fn)
    outputs = surrogate.apply_top(top, inputs)
    return (
      surrogate.relative_mismatch(grads, received),
      loss_fn(outputs, targets),
    )

  def warmup_loss_fn(key_step, progress, top, dummies, rows):
    del key_step, progress, dummies, rows
    match, loss = terms(top, aux_smashed, aux_targets, aux_cut_grads)
    return _AUX_MATCH * jnp.mean(match) + _AUX_LOSS * jnp.mean(loss)

  def batch_loss_fn(key_step, progress, top, dummies, rows):
    del key_step, progress
    match, loss = terms(
      top,
      jnp.concatenate([smashed[rows], aux_smashed]),
      jnp.concatenate([target_fn(dummies), aux_targets]),
      jnp.concatenate([cut_grads[rows], aux_cut_grads]),
    )
    num = len(rows)
    return (
      jnp.mean(match[:num])
      + _AUX_MATCH * jnp.mean(match[num:])
      + _DUMMY_LOSS * jnp.mean(loss[:num])
      + _AUX_LOSS * jnp.mean(loss[num:])
    )

  num_outputs = aux_targets.shape[1]

  def run(key_run):
    key_top, key_warmup, key_fit = jax.random.split(key_run, 3)
    top = surrogate.init_top(
      key_top, smashed.shape[1], num_outputs, hidden_sizes
    )
    top, _, _ = surrogate.fit(
      key_warmup,
      top,
      jnp.zeros((len(aux_smashed), 0)),
      warmup_loss_fn,
      num_epochs=num_warmup_steps,
      batch_size=len(aux_smashed),
      learning_rate=learning_rate,
    )
    _, dummies, losses = surrogate.fit(
      key_fit,
      top,
      jnp.zeros((len(smashed), num_outputs)),
      batch_loss_fn,
      learning_rate=learning_rate,
      label_learning_rate=label_learning_rate,
      **sizes,
    )
    return dummies, losses

  runs = jax.vmap(run)(jax.random.split(key, num_restarts))
  return surrogate.best_run(runs, runs[1])
