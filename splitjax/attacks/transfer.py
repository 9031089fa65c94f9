"""The transfer attack: a head trained on labels that similarity guessed.

Of Liu et al. (https://arxiv.org/abs/2203.05222), for inference and for shallow
cuts, where smashed data cluster badly. The authors' script is not public: kept
is what is known of it (a frozen or tuned extractor, a linear head, similarity's
labels first, then the head's own as in MixMatch); the rest is ours.

Passive: the attacker computes from what it recorded and owns. It knows the
number of classes, the labels of a few auxiliary samples, and an extractor of
features: its trained client (the features are then smashed data) or a network
trained on public data. It needs neither the top model nor, for new samples,
their gradients.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp

from splitjax import losses
from splitjax.attacks import _validate
from splitjax.attacks import classifier
from splitjax.attacks import distance
from splitjax.attacks import mixmatch
from splitjax.attacks.result import AttackResult

PyTree = Any

_CHUNK_SIZE = 1024  # Frozen features at a time: only the head is computed.
_STATIC = (
  'num_classes',
  'num_epochs',
  'batch_size',
  'hidden_size',
  'normalize',
)


@functools.partial(jax.jit, static_argnames=_STATIC)
def transfer_labels(
  key: jax.Array,
  features: jax.Array,
  aux_features: jax.Array,
  aux_labels: jax.Array,
  new_features: jax.Array,
  *,
  num_classes: int,
  pseudo_labels: jax.Array | None = None,
  num_epochs: int = 30,
  batch_size: int = 64,
  learning_rate: jax.typing.ArrayLike = 1e-2,
  temperature: jax.typing.ArrayLike = 0.5,
  alpha: jax.typing.ArrayLike = 0.75,
  trust: jax.typing.ArrayLike = 0.5,
  aux_weight: jax.typing.ArrayLike = 0.1,
  hidden_size: int | None = None,
  normalize: bool = True,
) -> AttackResult:
  """Trains a head on frozen features with guessed labels, and labels new ones.

  Each step takes a batch of training samples, drawn at random with replacement,
  and auxiliary samples (all, or as many as a batch), and minimises the weighted
  sum of the two mean cross-entropies with Adam, whose rate falls to 0. The
  auxiliary samples always have their labels. The training samples have the
  pseudo-labels in the first half of the epochs; in the second a share of them
  is replaced by the head's own predictions, sharpened, and samples are also
  mixed as in MixMatch. An epoch is `N / batch_size` steps, rounded up.

  The strongest pseudo-labels are those that `cluster_labels` read from the cut
  gradients of the training: what leaked there, new samples inherit. All inputs
  may be narrower than float32. Under `jax.vmap` over keys, auxiliary samples
  and pseudo-labels the features are not copied.

  Args:
    key: of the draws.
    features: of the training samples, `[N, D]`.
    aux_features: those of the auxiliary samples, `[A, D]`.
    aux_labels: their labels in `[0, C)`, `[A]`; any other label is ignored.
    new_features: of the samples to label, `[M, D]`; may be `features`.
    num_classes: `C`.
    pseudo_labels: guessed labels of the training samples, `[N]`, ignored as
      above; by default the label of the auxiliary sample whose features have
      the largest cosine.
    num_epochs: passes over as many samples as there are.
    batch_size: training samples of a step.
    learning_rate: of Adam.
    temperature: of the sharpening, above 0; 1 leaves the predictions.
    alpha: of the mixing, see `mixmatch.mix`; 0 is off.
    trust: share of the pseudo-labels in the targets of the second half. With 0,
      as in the paper, right ones are forgotten: on Fashion-MNIST's pixels that
      costs 3 to 7 points, and gains 1 or 2 where half of them are wrong.
    aux_weight: of the auxiliary samples' loss. They are few, and seen in every
      step.
    hidden_size: width of the head's hidden layer; None is a linear head.
    normalize: whether each dimension gets mean 0 and variance 1 over
      `features`; the same numbers serve the other features.

  Returns:
    An `AttackResult` with labels and logits `[M]` of the new samples, and
    train_labels `[N]` of the training samples.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.matrices(
    features=features, aux_features=aux_features, new_features=new_features
  )
  return tuned_transfer_labels(
    key,
    classifier.identity,
    {},
    features,
    aux_features,
    aux_labels,
    new_features,
    num_classes=num_classes,
    pseudo_labels=pseudo_labels,
    num_epochs=num_epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
    temperature=temperature,
    alpha=alpha,
    trust=trust,
    aux_weight=aux_weight,
    hidden_size=hidden_size,
    normalize=normalize,
    chunk_size=_CHUNK_SIZE,
  )


@functools.partial(
  jax.jit, static_argnames=('apply_fn', 'chunk_size', *_STATIC)
)
def tuned_transfer_labels(
  key: jax.Array,
  apply_fn: Callable[[PyTree, jax.Array], jax.Array],
  params: PyTree,
  inputs: jax.Array,
  aux_inputs: jax.Array,
  aux_labels: jax.Array,
  new_inputs: jax.Array,
  *,
  num_classes: int,
  pseudo_labels: jax.Array | None = None,
  num_epochs: int = 30,
  batch_size: int = 64,
  learning_rate: jax.typing.ArrayLike = 1e-2,
  extractor_learning_rate: jax.typing.ArrayLike = 1e-4,
  temperature: jax.typing.ArrayLike = 0.5,
  alpha: jax.typing.ArrayLike = 0.75,
  trust: jax.typing.ArrayLike = 0.5,
  aux_weight: jax.typing.ArrayLike = 0.1,
  hidden_size: int | None = None,
  normalize: bool = True,
  chunk_size: int = 256,
) -> AttackResult:
  """As `transfer_labels`, and the extractor is trained along.

  The attacker tunes a copy of its extractor, after the protocol; what it sends
  is not changed. The features, not the inputs, are mixed: inputs may be of any
  type.

  Args:
    key: of the draws.
    apply_fn: the extractor: parameters and inputs `[B, ...]` -> features
      `[B, ...]`. A new function object compiles anew.
    params: its parameters, all of floating types, trained in float32 or wider.
    inputs: of the training samples, `[N, ...]`.
    aux_inputs: those of the auxiliary samples, `[A, ...]`.
    aux_labels: see `transfer_labels`.
    new_inputs: of the samples to label, `[M, ...]`.
    num_classes: `C`.
    pseudo_labels: see `transfer_labels`; by default from the features before
      training.
    num_epochs: see `transfer_labels`.
    batch_size: likewise.
    learning_rate: of Adam on the head.
    extractor_learning_rate: of Adam on the extractor; 0 freezes it.
    temperature: see `transfer_labels`.
    alpha: likewise.
    trust: likewise.
    aux_weight: likewise.
    hidden_size: likewise.
    normalize: likewise; with the numbers of the features before training.
    chunk_size: inputs at a time, where nothing is trained.

  Returns:
    An `AttackResult` with labels and logits `[M]` of the new samples, and
    train_labels `[N]` of the training samples.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.count('chunk_size', chunk_size)
  _validate.labels_of('aux_labels', aux_labels, aux_inputs)
  features = classifier.features_of(apply_fn, params, inputs, chunk_size)
  if pseudo_labels is None:
    aux_features = classifier.features_of(
      apply_fn, params, aux_inputs, chunk_size
    )
    pseudo_labels = distance.nearest_labels(features, aux_features, aux_labels)
  _validate.labels_of('pseudo_labels', pseudo_labels, inputs)
  _validate.count('num_epochs', num_epochs)
  _validate.count('batch_size', batch_size)
  key_init, key_steps = jax.random.split(key)
  params, embed_fn, head_fn = classifier.make_classifier(
    key_init,
    apply_fn,
    params,
    features,
    num_classes=num_classes,
    hidden_size=hidden_size,
    normalize=normalize,
  )
  num, num_aux = len(inputs), len(aux_inputs)
  epoch_steps = -(-num // batch_size)
  half = (num_epochs + 1) // 2 * epoch_steps

  def loss_fn(params, key, step):
    key_rows, key_aux, key_mix = jax.random.split(key, 3)
    rows = jax.random.randint(key_rows, (batch_size,), 0, num)
    aux_rows = classifier.draw_rows(key_aux, num_aux, batch_size)
    x = embed_fn(params, inputs[rows])
    own = mixmatch.sharpen(jax.nn.softmax(head_fn(params, x)), temperature)
    guess = jax.nn.one_hot(pseudo_labels[rows], num_classes)
    share = jnp.where(step < half, 1, trust)
    aux_x = embed_fn(params, aux_inputs[aux_rows])
    aux_y = jax.nn.one_hot(aux_labels[aux_rows], num_classes)
    aux, train = mixmatch.mixed_predictions(
      key_mix,
      functools.partial(head_fn, params),
      (aux_x, aux_y),
      (x, share * guess + (1 - share) * own),
      alpha=jnp.where(step < half, 0, alpha),
    )
    aux_loss, train_loss = (
      jnp.mean(losses.cross_entropy(*part)) for part in (aux, train)
    )
    return aux_weight * aux_loss + train_loss

  params = classifier.minimize(
    key_steps,
    loss_fn,
    params,
    num_steps=num_epochs * epoch_steps,
    learning_rate=learning_rate,
    extractor_learning_rate=extractor_learning_rate,
    cosine=True,
  )
  logits_fn = lambda x: head_fn(params, embed_fn(params, x))
  logits, train_logits = (
    classifier.in_chunks(logits_fn, x, chunk_size) for x in (new_inputs, inputs)
  )
  label = lambda x: jnp.argmax(x, axis=1).astype(aux_labels.dtype)
  return AttackResult(
    label(logits), logits=logits, train_labels=label(train_logits)
  )
