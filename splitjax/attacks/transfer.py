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
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax import losses
from splitjax.attacks import _validate
from splitjax.attacks import distance
from splitjax.attacks import mixmatch

PyTree = Any

_CHUNK_SIZE = 1024  # Frozen features at a time: only the head is computed.
_STATIC = (
  'num_classes',
  'num_epochs',
  'batch_size',
  'hidden_size',
  'normalize',
)


class TransferResult(NamedTuple):
  """What the transfer attack found.

  Attributes:
    labels: the class that each new sample is taken for, `[M]`.
    logits: of the classes, for each new sample, `[M, C]`, float32 or wider.
    train_labels: the class that each training sample is taken for, `[N]`.
  """

  labels: jax.Array
  logits: jax.Array
  train_labels: jax.Array


class _Samples(NamedTuple):
  """What the attacker trains on (training, auxiliary) and labels (new)."""

  features: jax.Array
  inputs: jax.Array
  pseudo_labels: jax.Array
  aux_inputs: jax.Array
  aux_labels: jax.Array
  new_inputs: jax.Array


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
  hidden_size: int | None = None,
  normalize: bool = True,
) -> TransferResult:
  """Trains a head on frozen features with guessed labels, and labels new ones.

  Each step takes a batch of training samples, drawn at random with replacement,
  and auxiliary samples (all, or as many as a batch), and minimises the sum of
  the two mean cross-entropies with Adam. The auxiliary samples always have
  their labels. The training samples have the pseudo-labels in the first half of
  the epochs, and the head's own predictions, sharpened, in the second, when
  samples are also mixed as in MixMatch. An epoch is `N / batch_size` steps,
  rounded up.

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
    hidden_size: width of the head's hidden layer; None is a linear head.
    normalize: whether each dimension gets mean 0 and variance 1 over
      `features`; the same numbers serve the other features.

  Returns:
    A `TransferResult`.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.matrices(
    features=features, aux_features=aux_features, new_features=new_features
  )
  if pseudo_labels is None:
    _validate.labels_of('aux_labels', aux_labels, aux_features)
    pseudo_labels = distance.nearest_labels(features, aux_features, aux_labels)
  known = aux_features, aux_labels
  samples = _Samples(features, features, pseudo_labels, *known, new_features)
  return _fit(
    key,
    lambda _, inputs: inputs,
    {},
    samples,
    num_classes=num_classes,
    num_epochs=num_epochs,
    batch_size=batch_size,
    rates=(learning_rate, 0.0),
    temperature=temperature,
    alpha=alpha,
    hidden_size=hidden_size,
    normalize=normalize,
    chunk_size=_CHUNK_SIZE,
  )


@functools.partial(
  jax.jit, static_argnames=('apply_fn', 'chunk_size', *_STATIC)
)
def fine_tuned_labels(
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
  hidden_size: int | None = None,
  normalize: bool = True,
  chunk_size: int = 256,
) -> TransferResult:
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
    hidden_size: likewise.
    normalize: likewise; with the numbers of the features before training.
    chunk_size: inputs at a time, where nothing is trained.

  Returns:
    A `TransferResult`.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.count('chunk_size', chunk_size)
  feature_fn = functools.partial(mixmatch.flat_features, apply_fn, params)
  features = mixmatch.in_chunks(feature_fn, inputs, chunk_size)
  if pseudo_labels is None:
    _validate.labels_of('aux_labels', aux_labels, aux_inputs)
    aux_features = mixmatch.in_chunks(feature_fn, aux_inputs, chunk_size)
    pseudo_labels = distance.nearest_labels(features, aux_features, aux_labels)
  known = aux_inputs, aux_labels
  samples = _Samples(features, inputs, pseudo_labels, *known, new_inputs)
  return _fit(
    key,
    apply_fn,
    params,
    samples,
    num_classes=num_classes,
    num_epochs=num_epochs,
    batch_size=batch_size,
    rates=(learning_rate, extractor_learning_rate),
    temperature=temperature,
    alpha=alpha,
    hidden_size=hidden_size,
    normalize=normalize,
    chunk_size=chunk_size,
  )


def _fit(
  key,
  apply_fn,
  params,
  samples,
  *,
  num_classes,
  num_epochs,
  batch_size,
  rates,
  temperature,
  alpha,
  hidden_size,
  normalize,
  chunk_size,
):
  """Both attacks; the frozen one has an extractor without parameters."""
  _validate.labels_of('aux_labels', samples.aux_labels, samples.aux_inputs)
  _validate.labels_of('pseudo_labels', samples.pseudo_labels, samples.inputs)
  _validate.count('num_epochs', num_epochs)
  _validate.count('batch_size', batch_size)
  key_init, key_steps = jax.random.split(key)
  params, embed_fn, head_fn = mixmatch.make_classifier(
    key_init,
    apply_fn,
    params,
    samples.features,
    num_classes=num_classes,
    hidden_size=hidden_size,
    normalize=normalize,
  )
  num, num_aux = len(samples.inputs), len(samples.aux_inputs)
  epoch_steps = -(-num // batch_size)
  half = (num_epochs + 1) // 2 * epoch_steps

  def loss_fn(params, key, step):
    key_rows, key_aux, key_mix = jax.random.split(key, 3)
    rows = jax.random.randint(key_rows, (batch_size,), 0, num)
    aux_rows = mixmatch.draw_rows(key_aux, num_aux, batch_size)
    x = embed_fn(params, samples.inputs[rows])
    own = mixmatch.sharpen(jax.nn.softmax(head_fn(params, x)), temperature)
    guess = jax.nn.one_hot(samples.pseudo_labels[rows], num_classes)
    aux_x = embed_fn(params, samples.aux_inputs[aux_rows])
    aux_y = jax.nn.one_hot(samples.aux_labels[aux_rows], num_classes)
    aux, train = mixmatch.mixed_predictions(
      key_mix,
      functools.partial(head_fn, params),
      (aux_x, aux_y),
      (x, jnp.where(step < half, guess, own)),
      alpha=jnp.where(step < half, 0, alpha),
    )
    return sum(jnp.mean(losses.cross_entropy(*part)) for part in (aux, train))

  params = mixmatch.minimize(
    key_steps,
    loss_fn,
    params,
    num_steps=num_epochs * epoch_steps,
    learning_rate=rates[0],
    extractor_learning_rate=rates[1],
  )
  logits_fn = lambda x: head_fn(params, embed_fn(params, x))
  logits, train_logits = (
    mixmatch.in_chunks(logits_fn, x, chunk_size)
    for x in (samples.new_inputs, samples.inputs)
  )
  label = lambda x: jnp.argmax(x, axis=1).astype(samples.aux_labels.dtype)
  return TransferResult(label(logits), logits, label(train_logits))
