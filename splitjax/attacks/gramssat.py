"""GRAMSSAT: gradient matching with pseudo-labels, and semi-supervised learning.

Of Zhang et al. (Journal of Information Security and Applications 2025). Threat
model: a passive client that records one pass of smashed data and cut gradients
and has a few labelled samples of the same pass, at least one of each class. It
does not know the top model.
"""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp

from splitjax import losses as losses_lib
from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import conditioning
from splitjax.attacks import distance
from splitjax.attacks import surrogate
from splitjax.attacks import surrogate_fit
from splitjax.attacks import whole_rows
from splitjax.attacks.result import AttackResult

NEAREST_BY = ('smashed', 'cut_grads')


@functools.partial(
  _kernel.jit, static_argnames=(*surrogate.STATIC, 'nearest_by')
)
def gramssat_labels(
  key: jax.Array,
  smashed: jax.Array,
  cut_grads: jax.Array,
  aux_smashed: jax.Array,
  aux_cut_grads: jax.Array,
  aux_labels: jax.Array,
  *,
  num_classes: int,
  nearest_by: str = 'smashed',
  hidden_sizes: tuple[int, ...] = (),
  num_epochs: int = 50,
  batch_size: int = 128,
  learning_rate: float = 1e-2,
  match_weight: float = 1.0,
  unlabelled_weight: float = 50.0,
  temperature: float = 0.8,
  mixup_alpha: float = 0.75,
) -> AttackResult:
  """Train a surrogate top that predicts the labels from smashed data.

  Each sample takes the label of the nearest known sample. The surrogate is
  trained so that its gradients for these labels point as the received ones do,
  and by MixMatch on known samples and on its own sharpened predictions, whose
  weight rises from 0 to `unlabelled_weight`.

  The labels are predictions. If smashed data do not tell the classes apart,
  there is nothing to predict from, whatever the gradients tell; take the
  `train_labels` then.

  Args:
    key: random key for the surrogate, the order of the samples and the mixing.
    smashed: smashed data that the attacker sent, `[N, D]`.
    cut_grads: cut gradients that it received for them, of any scale, `[N, D]`.
    aux_smashed: smashed data of samples whose labels the attacker knows,
      `[A, D]`.
    aux_cut_grads: cut gradients received for these samples, `[A, D]`; they are
      used with `nearest_by='cut_grads'` alone.
    aux_labels: labels of these samples in `[0, C)`, `[A]`.
    num_classes: number of classes `C`, at least 2.
    nearest_by: what the nearest known sample is found by: 'smashed' data and
      the Euclidean distance, as in the paper, or 'cut_grads' and the cosine.
    hidden_sizes: widths of the linear layers inside the surrogate.
    num_epochs: number of passes over the record `T`.
    batch_size: number of samples of a step, to which all known ones are added.
    learning_rate: learning rate of Adam.
    match_weight: weight of the mismatch of gradients.
    unlabelled_weight: final weight of the squared error to the sharpened
      predictions.
    temperature: temperature of the sharpening.
    mixup_alpha: parameter of the Beta distribution that the share of mixed
      samples is drawn from.

  Returns:
    An `AttackResult` with labels, logits and losses, and as `train_labels` the
    labels of the nearest known samples.

  Raises:
    ValueError: at trace time, if a shape, type, name or number is not as above.

  Example:
    Two samples of each class, and one known sample of each. The label party's
    top model is the identity.

    >>> labels = jnp.array([0, 1, 1, 0])
    >>> smashed = 2 * jax.nn.one_hot(labels, 2)
    >>> cut_grads = jax.nn.softmax(smashed) - jax.nn.one_hot(labels, 2)
    >>> known = jnp.array([0, 1])
    >>> gramssat_labels(
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
  _validate.count('num_classes', num_classes, at_least=2)
  _validate.choice('nearest_by', nearest_by, NEAREST_BY)
  _validate.labels_of('aux_labels', aux_labels, aux_smashed)
  aux = dict(aux_smashed=aux_smashed, aux_cut_grads=aux_cut_grads)
  surrogate.check(smashed, cut_grads, hidden_sizes, **sizes, **aux)
  (smashed, cut_grads), finite = whole_rows.fill(smashed, cut_grads)
  known, _ = whole_rows.fill(aux_smashed, aux_cut_grads, aux_labels)
  aux_smashed, aux_cut_grads, aux_labels = known
  near = {
    'smashed': (smashed, aux_smashed, 'euclidean'),
    'cut_grads': (cut_grads, aux_cut_grads, 'cosine'),
  }
  *vectors, metric = near[nearest_by]
  pseudo_labels = distance.nearest_labels(*vectors, aux_labels, metric=metric)
  smashed, aux_smashed = surrogate.standardize(smashed, aux_smashed)
  units = surrogate.units_of(cut_grads)
  known = aux_smashed, jax.nn.one_hot(aux_labels, num_classes)

  def loss_fn(
    key_step: jax.Array,
    progress: jax.Array,
    top: surrogate.Layers,
    labels: jax.Array,
    rows: jax.Array,
  ) -> jax.Array:
    del labels
    grads = surrogate.surrogate_grads(
      top, smashed[rows], pseudo_labels[rows], losses_lib.cross_entropy
    )
    predict_fn = functools.partial(surrogate.apply_top, top)
    labelled_loss, unlabelled_loss = _mixmatch(
      key_step, predict_fn, known, smashed[rows], temperature, mixup_alpha
    )
    match = jnp.mean(surrogate.mismatch(grads, units[rows]))
    weight = progress * unlabelled_weight
    return match_weight * match + labelled_loss + weight * unlabelled_loss

  key_top, key_fit = jax.random.split(key)
  top = surrogate.init_top(key_top, smashed.shape[1], num_classes, hidden_sizes)
  no_labels = jnp.zeros((len(smashed), 0))
  top, _, losses = surrogate_fit.fit(
    key_fit, top, no_labels, loss_fn, learning_rate=learning_rate, **sizes
  )
  logits = surrogate.apply_top(top, smashed)
  return AttackResult(
    labels=conditioning.name_finite(jnp.argmax(logits, axis=1), finite),
    logits=logits,
    losses=losses,
    train_labels=conditioning.name_finite(pseudo_labels, finite),
  )


def _mixmatch(
  key: jax.Array,
  predict_fn: Callable[[jax.Array], jax.Array],
  known: tuple[jax.Array, jax.Array],
  smashed: jax.Array,
  temperature: jax.typing.ArrayLike,
  alpha: jax.typing.ArrayLike,
) -> tuple[jax.Array, jax.Array]:
  """Return the losses of MixMatch for known samples and for guessed labels.

  All samples of a batch are mixed with one share, where `mixmatch.mix` draws a
  share for each.

  Args:
    key: random key for the share and the partners.
    predict_fn: function from smashed data to logits.
    known: smashed data `[A, D]` and soft labels `[A, C]` of known samples.
    smashed: smashed data of the other samples, `[B, D]`.
    temperature: temperature of the sharpening.
    alpha: parameter of the Beta distribution.

  Returns:
    The mean cross-entropy of the known samples, and the mean squared error of
    the probabilities of the others.
  """
  aux_smashed, aux_targets = known
  guesses = jax.nn.softmax(predict_fn(smashed) / temperature)  # Sharpened.
  guesses = jax.lax.stop_gradient(guesses)
  inputs = jnp.concatenate([aux_smashed, smashed])
  targets = jnp.concatenate([aux_targets, guesses])
  key_share, key_order = jax.random.split(key)
  share = jax.random.beta(key_share, alpha, alpha)
  share = jnp.maximum(share, 1 - share)
  order = jax.random.permutation(key_order, len(inputs))
  mix = lambda x: share * x + (1 - share) * x[order]
  logits, targets = predict_fn(mix(inputs)), mix(targets)
  num_known = len(aux_smashed)
  known_losses = losses_lib.cross_entropy(
    logits[:num_known], targets[:num_known]
  )
  errors = jax.nn.softmax(logits[num_known:]) - targets[num_known:]
  return jnp.mean(known_losses), jnp.mean(errors**2)
