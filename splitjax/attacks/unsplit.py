"""UnSplit: the labels that a made-up top model explains the gradients with.

Of Erdogan et al. (2021, https://arxiv.org/abs/2108.09033). Threat model: a
passive client that records one pass of smashed data and cut gradients, and
knows the number of classes and roughly what top models look like. It needs no
labelled sample to tell groups apart, and a few to name them.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax.attacks import grouping
from splitjax.attacks import surrogate
from splitjax.attacks.result import AttackResult


@functools.partial(
  jax.jit,
  static_argnames=(
    'num_classes',
    'hidden_sizes',
    'num_restarts',
    'num_epochs',
    'batch_size',
  ),
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
  """Labels samples by the gradient that fits best, and learns the top from it.

  Batch after batch, each sample takes the label whose gradient through the
  clone of the top is nearest to the received one, and the clone takes a step
  that brings these gradients nearer. The final clone labels all. Directions are
  compared, not raw gradients (see `surrogate`).

  The clone starts at random, so that it knows groups but no names: without
  auxiliary samples the labels are right up to a permutation.

  Args:
    key: of the clones and of the order of samples.
    smashed: what the attacker sent, `[N, D]`.
    cut_grads: what it received for it, of any scale, `[N, D]`.
    aux_smashed: the same of samples whose labels it knows, `[A, D]`, or None.
    aux_cut_grads: likewise, `[A, D]`.
    aux_labels: in `[0, C)`, `[A]`.
    num_classes: `C`, at least 2.
    hidden_sizes: of the linear layers inside the clone.
    num_restarts: clones tried, of which the least mismatch counts.
    num_epochs: passes over the record, `T`.
    batch_size: of a step.
    learning_rate: of Adam.

  Returns:
    What it found; logits are minus the mismatch of each class.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  smashed, known = grouping.prepare(
    smashed,
    cut_grads,
    grouping.Known(aux_smashed, aux_cut_grads, aux_labels),
    hidden_sizes,
    num_classes=num_classes,
    num_restarts=num_restarts,
    num_epochs=num_epochs,
    batch_size=batch_size,
  )
  units = surrogate.units_of(cut_grads)

  def loss_fn(key_step, progress, top, labels, rows):
    del key_step, progress, labels
    found = surrogate.class_mismatch(top, smashed[rows], units[rows])
    return jnp.mean(jnp.min(found, axis=1))

  def run(key_run):
    key_top, key_fit = jax.random.split(key_run)
    top = surrogate.init_top(
      key_top, smashed.shape[1], num_classes, hidden_sizes
    )
    top, _, losses = surrogate.fit(
      key_fit,
      top,
      jnp.zeros((len(smashed), 0)),
      loss_fn,
      num_epochs=num_epochs,
      batch_size=batch_size,
      learning_rate=learning_rate,
    )
    return top, losses

  runs = jax.vmap(run)(jax.random.split(key, num_restarts))
  top, losses = surrogate.best_run(runs, runs[1])
  logits = -surrogate.class_mismatches(top, smashed, units)
  return grouping.name_labels(logits, losses, top, known)
