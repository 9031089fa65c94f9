"""UnSplit: the labels that a made-up top model explains the gradients with.

Of Erdogan et al. (2021, https://arxiv.org/abs/2108.09033). Threat model: a
passive client that records one pass of smashed data and cut gradients, and
knows the number of classes and roughly what top models look like. It needs no
labelled sample to tell groups apart, and a few to name them.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import grouping
from splitjax.attacks import surrogate
from splitjax.attacks import surrogate_fit
from splitjax.attacks.result import AttackResult


@functools.partial(
  _kernel.jit, static_argnames=(*surrogate.STATIC, 'num_restarts')
)
def unsplit_labels(
  key: jax.Array,
  smashed: jax.Array,
  cut_grads: jax.Array,
  aux_smashed: jax.Array | None = None,
  aux_cut_grads: jax.Array | None = None,
  aux_labels: jax.Array | None = None,
  *,
  num_classes: int,
  hidden_sizes: tuple[int, ...] = (),
  num_restarts: int = 10,
  num_epochs: int = 20,
  batch_size: int = 128,
  learning_rate: float = 1e-2,
) -> AttackResult:
  """Label samples by the gradient that fits best, and learn the top from it.

  In each batch, each sample takes the label whose gradient through the clone of
  the top is nearest to the received one, and the clone takes a step that brings
  these gradients nearer. The final clone labels all samples. Directions of
  gradients are compared, not their lengths, as in `surrogate.mismatch`.

  The clone starts at random, so that it finds groups but not their names:
  without auxiliary samples the labels are right up to a permutation.

  Args:
    key: random key for the clones and the order of the samples.
    smashed: smashed data that the attacker sent, `[N, D]`.
    cut_grads: cut gradients that it received for them, of any scale, `[N, D]`.
    aux_smashed: smashed data of samples whose labels the attacker knows,
      `[A, D]`, or None.
    aux_cut_grads: cut gradients received for these samples, `[A, D]`, or None.
    aux_labels: labels of these samples in `[0, C)`, `[A]`, or None.
    num_classes: number of classes `C`, at least 2.
    hidden_sizes: widths of the linear layers inside the clone.
    num_restarts: number of clones to try, of which the least mismatch counts.
    num_epochs: number of passes over the record `T`.
    batch_size: number of samples of a step.
    learning_rate: learning rate of Adam.

  Returns:
    An `AttackResult` with labels, logits, losses and groups. The logits are
    minus the mismatch of each class.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    Two samples of each class, and one known sample of each. The label party's
    top model is the identity.

    >>> smashed = jnp.zeros((4, 2))
    >>> labels = jnp.array([0, 1, 1, 0])
    >>> cut_grads = 0.5 - jax.nn.one_hot(labels, 2)
    >>> known = jnp.array([0, 1])
    >>> unsplit_labels(
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
  sizes = dict(num_epochs=num_epochs, batch_size=batch_size)
  prepared = grouping.prepare(
    smashed,
    cut_grads,
    grouping.Known(aux_smashed, aux_cut_grads, aux_labels),
    hidden_sizes,
    num_classes=num_classes,
    num_restarts=num_restarts,
    **sizes,
  )
  smashed = prepared.smashed
  units = surrogate.units_of(prepared.cut_grads)
  loss_fn = functools.partial(_loss, smashed, units)

  def run(key_run: jax.Array) -> tuple[surrogate.Layers, jax.Array]:
    key_top, key_fit = jax.random.split(key_run)
    top = surrogate.init_top(
      key_top, smashed.shape[1], num_classes, hidden_sizes
    )
    no_labels = jnp.zeros((len(smashed), 0))
    top, _, losses = surrogate_fit.fit(
      key_fit, top, no_labels, loss_fn, learning_rate=learning_rate, **sizes
    )
    return top, losses

  top, losses = surrogate.best_of_restarts(key, run, num_restarts)
  logits = -surrogate.class_mismatches(top, smashed, units)
  return grouping.name_labels(logits, losses, top, prepared)


def _loss(
  smashed: jax.Array,
  units: jax.Array,
  key: jax.Array,
  progress: jax.Array,
  top: surrogate.Layers,
  labels: jax.Array,
  rows: jax.Array,
) -> jax.Array:
  """Return the mean mismatch of a batch, each sample with its best label."""
  del key, progress, labels
  found = surrogate.class_mismatch(top, smashed[rows], units[rows])
  return jnp.mean(jnp.min(found, axis=1))
