"""GRAMSSAT: gradient matching with pseudo-labels, and semi-supervised learning.

Of Zhang et al. (Journal of Information Security and Applications 2025). Threat
model: a passive client that records one pass of smashed data and cut gradients
and has a few labelled samples of the same pass, at least one of each class. It
does not know the top model.
"""

import functools

import jax
import jax.numpy as jnp

from splitjax import losses as losses_lib
from splitjax.attacks import _validate
from splitjax.attacks import distance
from splitjax.attacks import surrogate
from splitjax.attacks.result import AttackResult

NEAREST_BY = ('smashed', 'cut_grads')


@functools.partial(
  jax.jit,
  static_argnames=(
    'num_classes',
    'nearest_by',
    'hidden_sizes',
    'num_epochs',
    'batch_size',
  ),
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
  """Trains a surrogate top that predicts the labels from smashed data.

  Each sample takes the label of the nearest known sample. The surrogate is
  trained so that its gradients for these labels point as the received ones do,
  and by MixMatch on known samples and on its own sharpened predictions, whose
  weight rises from 0 to `unlabelled_weight`.

  Labels are predictions: smashed data that do not tell the classes apart leave
  nothing to predict from, whatever the gradients tell (take `pseudo_labels`).

  Args:
    key: of the surrogate, the order of samples and the mixing.
    smashed: what the attacker sent, `[N, D]`.
    cut_grads: what it received for it, of any scale, `[N, D]`.
    aux_smashed: the same of samples whose labels it knows, `[A, D]`.
    aux_cut_grads: likewise, `[A, D]`; for `nearest_by='cut_grads'` alone.
    aux_labels: in `[0, C)`, `[A]`.
    num_classes: `C`, at least 2.
    nearest_by: what known samples are near in: 'smashed' (Euclidean, as in the
      paper) or 'cut_grads' (cosine).
    hidden_sizes: of the linear layers inside the surrogate.
    num_epochs: passes over the record, `T`.
    batch_size: of a step; the known samples are in every one besides.
    learning_rate: of Adam.
    match_weight: of the gradients' mismatch.
    unlabelled_weight: of the squared error to sharpened predictions.
    temperature: of the sharpening.
    mixup_alpha: of the Beta distribution that mixes samples.

  Returns:
    An `AttackResult` with labels, logits, losses, and as train_labels the
    pseudo-labels.

  Raises:
    ValueError: at trace time, if a shape, type, name or number is not as above.
  """
  _validate.count('num_classes', num_classes, at_least=2)
  _validate.choice('nearest_by', nearest_by, NEAREST_BY)
  _validate.labels_of('aux_labels', aux_labels, aux_smashed)
  surrogate.check(
    smashed,
    cut_grads,
    hidden_sizes,
    num_epochs=num_epochs,
    batch_size=batch_size,
    aux_smashed=aux_smashed,
    aux_cut_grads=aux_cut_grads,
  )
  if nearest_by == 'smashed':
    pseudo_labels = distance.nearest_labels(
      smashed, aux_smashed, aux_labels, metric='euclidean'
    )
  else:
    pseudo_labels = distance.nearest_labels(
      cut_grads, aux_cut_grads, aux_labels
    )
  smashed, aux_smashed = surrogate.standardize(smashed, aux_smashed)
  units = surrogate.units_of(cut_grads)
  aux_targets = jax.nn.one_hot(aux_labels, num_classes)

  def loss_fn(key_step, progress, top, labels, rows):
    del labels
    grads = surrogate.surrogate_grads(
      top, smashed[rows], pseudo_labels[rows], losses_lib.cross_entropy
    )
    labelled_loss, unlabelled_loss = _mixmatch(
      key_step,
      functools.partial(surrogate.apply_top, top),
      (aux_smashed, aux_targets),
      smashed[rows],
      temperature,
      mixup_alpha,
    )
    match = jnp.mean(surrogate.mismatch(grads, units[rows]))
    weight = progress * unlabelled_weight
    return match_weight * match + labelled_loss + weight * unlabelled_loss

  key_top, key_fit = jax.random.split(key)
  top, _, losses = surrogate.fit(
    key_fit,
    surrogate.init_top(key_top, smashed.shape[1], num_classes, hidden_sizes),
    jnp.zeros((len(smashed), 0)),
    loss_fn,
    num_epochs=num_epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
  )
  logits = surrogate.apply_top(top, smashed)
  return AttackResult(
    labels=jnp.argmax(logits, axis=1),
    logits=logits,
    losses=losses,
    train_labels=pseudo_labels,
  )


def _mixmatch(key, predict_fn, known, smashed, temperature, alpha):
  """The two losses of MixMatch: of known samples, and of guessed labels."""
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
