"""The learning-based attack: dummy labels fitted to gradients, with known ones.

Of Xie et al. (2023, https://arxiv.org/abs/2301.07284). Threat model: a passive
client that records one pass of smashed data and cut gradients, knows the loss
and the form of the targets (how many classes, or a real number), and has some
labelled samples of the same pass. It does not know the top model.

Two things differ from the paper. Lengths of gradients are relative to the
batch, as in `surrogate.relative_mismatch`. And the surrogate is fitted to the
known samples before the dummy labels join. From a random start the dummy labels
settle on the right groups with wrong names, or on targets of the wrong sign,
and known samples at weight .05 cannot undo it.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import dummy_fit
from splitjax.attacks.result import AttackResult

_STATIC = (
  'hidden_sizes',
  'num_restarts',
  'num_warmup_steps',
  'num_epochs',
  'batch_size',
)


@functools.partial(_kernel.jit, static_argnames=('num_classes', *_STATIC))
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
  """Fit a dummy label to each sample and a top model to all, for classes.

  Args:
    key: random key for the surrogates and the order of the samples.
    smashed: smashed data that the attacker sent, `[N, D]`.
    cut_grads: cut gradients that it received for them, of any scale, `[N, D]`.
    aux_smashed: smashed data of samples whose labels the attacker knows,
      `[A, D]`.
    aux_cut_grads: cut gradients received for these samples, of the same scale
      as `cut_grads`, `[A, D]`.
    aux_labels: labels of these samples in `[0, C)`, `[A]`.
    num_classes: number of classes `C`, at least 2.
    hidden_sizes: widths of the linear layers inside the surrogate.
    num_restarts: number of surrogates to try, of which the least loss counts.
    num_warmup_steps: number of steps on the known samples alone, before the
      fit; 0 for none.
    num_epochs: number of passes over the record `T`.
    batch_size: number of samples of a step, to which all known ones are added.
    learning_rate: learning rate of Adam for the surrogate top.
    label_learning_rate: learning rate of Adam for the logits of the dummy
      labels.

  Returns:
    An `AttackResult` with labels, logits of the dummy labels, and losses.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    Two samples of each class, and one known sample of each. The label party's
    top model is the identity.

    >>> labels = jnp.array([0, 1, 1, 0])
    >>> smashed = jax.nn.one_hot(labels, 2)
    >>> cut_grads = jax.nn.softmax(smashed) - jax.nn.one_hot(labels, 2)
    >>> known = jnp.array([0, 1])
    >>> learning_based_labels(
    ...   jax.random.key(0),
    ...   smashed,
    ...   cut_grads,
    ...   smashed[known],
    ...   cut_grads[known],
    ...   labels[known],
    ...   num_classes=2,
    ... ).labels.tolist()
    [0, 1, 1, 0]
  """
  _validate.count('num_classes', num_classes, at_least=2)
  _validate.labels_of('aux_labels', aux_labels, aux_smashed)
  aux_targets = jax.nn.one_hot(aux_labels, num_classes)
  logits, losses, finite = dummy_fit.fit(
    key,
    dummy_fit.Record(
      smashed, cut_grads, aux_smashed, aux_cut_grads, aux_targets
    ),
    dummy_fit.CLASSES,
    hidden_sizes=hidden_sizes,
    num_restarts=num_restarts,
    num_warmup_steps=num_warmup_steps,
    num_epochs=num_epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
    label_learning_rate=label_learning_rate,
  )
  labels = conditioning.name_finite(jnp.argmax(logits, axis=1), finite)
  return AttackResult(labels, logits=logits, losses=losses)


@functools.partial(_kernel.jit, static_argnames=_STATIC)
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
  """Fit a dummy target to each sample and a top model to all, for regression.

  The label party minimises a squared error. A linear top whose direction is
  read from the gradients leaves three unknowns, so that the attack needs at
  least three known samples. Tops of either sign explain the gradients almost as
  well; with few known samples it is the restarts that find the right one.

  Targets are fitted in units of those of the known samples.

  Args:
    key: random key for the surrogates and the order of the samples.
    smashed: smashed data that the attacker sent, `[N, D]`.
    cut_grads: cut gradients that it received for them, of any scale, `[N, D]`.
    aux_smashed: smashed data of samples whose targets the attacker knows,
      `[A, D]`.
    aux_cut_grads: cut gradients received for these samples, of the same scale
      as `cut_grads`, `[A, D]`.
    aux_targets: real targets of these samples, `[A]`.
    hidden_sizes: widths of the linear layers inside the surrogate.
    num_restarts: number of surrogates to try, of which the least loss counts.
    num_warmup_steps: number of steps on the known samples alone, before the
      fit; 0 for none.
    num_epochs: number of passes over the record `T`.
    batch_size: number of samples of a step, to which all known ones are added.
    learning_rate: learning rate of Adam for the surrogate top.
    label_learning_rate: learning rate of Adam for the dummy targets.

  Returns:
    An `AttackResult` with losses, whose labels are real targets.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    The label party's top model predicts `2 * targets + 1`.

    >>> targets = jnp.array([3.0, 1.0, 2.0, 0.0, 3.0, 1.0, 0.0, 2.0])
    >>> smashed = jnp.stack([targets, jnp.ones(8)], axis=1)
    >>> cut_grads = (targets + 1)[:, None] * jnp.array([[2.0, 1.0]])
    >>> found = learning_based_targets(
    ...   jax.random.key(0),
    ...   smashed,
    ...   cut_grads,
    ...   smashed[:4],
    ...   cut_grads[:4],
    ...   targets[:4],
    ...   label_learning_rate=0.1,
    ... )
    >>> found.labels.round().tolist()
    [3.0, 1.0, 2.0, 0.0, 3.0, 1.0, 0.0, 2.0]
  """
  _validate.targets_of('aux_targets', aux_targets, aux_smashed)
  aux_targets = aux_targets.astype(jnp.float32)
  centre, spread = jnp.mean(aux_targets), jnp.std(aux_targets)
  spread = jnp.where(spread > 0, spread, 1)
  aux_targets = ((aux_targets - centre) / spread)[:, None]
  found, losses, finite = dummy_fit.fit(
    key,
    dummy_fit.Record(
      smashed, cut_grads, aux_smashed, aux_cut_grads, aux_targets
    ),
    dummy_fit.REAL,
    hidden_sizes=hidden_sizes,
    num_restarts=num_restarts,
    num_warmup_steps=num_warmup_steps,
    num_epochs=num_epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
    label_learning_rate=label_learning_rate,
  )
  targets = jnp.where(finite, centre + spread * found[:, 0], jnp.nan)
  return AttackResult(targets, losses=losses)
