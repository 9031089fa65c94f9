"""Model completion: the trained bottom model, a new head, few labels.

Of Fu et al., "Label inference attacks against vertical federated learning"
(USENIX Security 2022). After training, the attacker keeps its bottom model,
puts a head of its own on it and trains it by MixMatch with a few labelled
samples (4 a class in the paper) and many that are not.

Passive: nothing that the attacker sends changes. It owns the trained bottom
model and knows some labels; it needs no gradients. The authors' active variant
cheats while training: `malicious.malicious_optimizer`.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp

from splitjax import losses
from splitjax.attacks import _validate
from splitjax.attacks import classifier
from splitjax.attacks import mixmatch
from splitjax.attacks.result import AttackResult

PyTree = Any

_CHUNK_SIZE = 1024  # Frozen features at a time.
_NUM_AUGMENTED = 2  # Augmented copies of an unlabelled sample, as in MixMatch.
_STATIC = (
  'num_classes',
  'num_steps',
  'batch_size',
  'hidden_size',
  'normalize',
  'augment_fn',
)


@functools.partial(jax.jit, static_argnames=_STATIC)
def completion_labels(
  key: jax.Array,
  features: jax.Array,
  aux_features: jax.Array,
  aux_labels: jax.Array,
  new_features: jax.Array,
  *,
  num_classes: int,
  num_steps: int = 2000,
  batch_size: int = 16,
  learning_rate: jax.typing.ArrayLike = 2e-3,
  temperature: jax.typing.ArrayLike = 0.8,
  alpha: jax.typing.ArrayLike = 0.75,
  unlabelled_weight: jax.typing.ArrayLike = 50.0,
  decay: jax.typing.ArrayLike = 0.999,
  hidden_size: int | None = None,
  normalize: bool = True,
  augment_fn: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
) -> AttackResult:
  """Completes a frozen bottom model with a head trained by MixMatch.

  Each step takes auxiliary samples (all, or as many as a batch) and a batch of
  others, drawn with replacement. These get the head's own predictions as
  targets, averaged over augmented copies if there are any and sharpened. All
  are mixed, and the loss is the cross-entropy of the auxiliary ones plus the
  mean squared error of the others' probabilities, whose weight rises linearly
  from 0. The moving average of the parameters makes the predictions.

  Args:
    key: of the draws.
    features: of samples without labels, in general smashed data, `[N, D]`.
    aux_features: those of the auxiliary samples, `[A, D]`.
    aux_labels: their labels in `[0, C)`, `[A]`; any other label is ignored.
    new_features: of the samples to label, `[M, D]`; may be `features`.
    num_classes: `C`.
    num_steps: training steps.
    batch_size: samples without labels of a step, and most auxiliary ones.
    learning_rate: of Adam.
    temperature: of the sharpening, above 0.
    alpha: of the mixing, see `mixmatch.mix`.
    unlabelled_weight: of the squared error, in the end.
    decay: of the moving average, see `mixmatch.ema`.
    hidden_size: width of the head's hidden layer; None is a linear head.
    normalize: whether each dimension gets mean 0 and variance 1 over
      `features`; the same numbers serve the other features.
    augment_fn: key and features `[B, D]` -> the same, altered at random. A new
      function object compiles anew.

  Returns:
    An `AttackResult` with labels and logits of the new samples.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.matrices(
    features=features, aux_features=aux_features, new_features=new_features
  )
  return tuned_completion_labels(
    key,
    classifier.identity,
    {},
    features,
    aux_features,
    aux_labels,
    new_features,
    num_classes=num_classes,
    num_steps=num_steps,
    batch_size=batch_size,
    learning_rate=learning_rate,
    temperature=temperature,
    alpha=alpha,
    unlabelled_weight=unlabelled_weight,
    decay=decay,
    hidden_size=hidden_size,
    normalize=normalize,
    augment_fn=augment_fn,
    chunk_size=_CHUNK_SIZE,
  )


@functools.partial(
  jax.jit, static_argnames=('apply_fn', 'chunk_size', *_STATIC)
)
def tuned_completion_labels(
  key: jax.Array,
  apply_fn: Callable[[PyTree, jax.Array], jax.Array],
  params: PyTree,
  inputs: jax.Array,
  aux_inputs: jax.Array,
  aux_labels: jax.Array,
  new_inputs: jax.Array,
  *,
  num_classes: int,
  num_steps: int = 2000,
  batch_size: int = 16,
  learning_rate: jax.typing.ArrayLike = 2e-3,
  extractor_learning_rate: jax.typing.ArrayLike = 2e-3,
  temperature: jax.typing.ArrayLike = 0.8,
  alpha: jax.typing.ArrayLike = 0.75,
  unlabelled_weight: jax.typing.ArrayLike = 50.0,
  decay: jax.typing.ArrayLike = 0.999,
  hidden_size: int | None = None,
  normalize: bool = True,
  augment_fn: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
  chunk_size: int = 256,
) -> AttackResult:
  """As `completion_labels`, and the bottom model is trained along.

  So do the authors. The attacker tunes a copy, after the protocol. The features
  are mixed, where the authors mix inputs: these may be of any type here.

  Args:
    key: of the draws.
    apply_fn: the bottom model: parameters and inputs `[B, ...]` -> features
      `[B, ...]`. A new function object compiles anew.
    params: its parameters, all of floating types, trained in float32 or wider.
    inputs: of samples without labels, `[N, ...]`.
    aux_inputs: those of the auxiliary samples, `[A, ...]`.
    aux_labels: see `completion_labels`.
    new_inputs: of the samples to label, `[M, ...]`.
    num_classes: `C`.
    num_steps: training steps.
    batch_size: see `completion_labels`.
    learning_rate: of Adam on the head.
    extractor_learning_rate: of Adam on the bottom model; 0 freezes it.
    temperature: see `completion_labels`.
    alpha: likewise.
    unlabelled_weight: likewise.
    decay: likewise.
    hidden_size: likewise.
    normalize: likewise; with the numbers of the features before training.
    augment_fn: key and inputs `[B, ...]` -> the same, altered at random.
    chunk_size: inputs at a time, where nothing is trained.

  Returns:
    An `AttackResult` with labels and logits of the new samples.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.
  """
  _validate.count('chunk_size', chunk_size)
  features = classifier.features_of(apply_fn, params, inputs, chunk_size)
  _validate.labels_of('aux_labels', aux_labels, aux_inputs)
  _validate.count('num_steps', num_steps)
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

  def loss_fn(params, key, step):
    keys = jax.random.split(key, 5)
    rows = jax.random.randint(keys[0], (batch_size,), 0, num)
    aux_rows = classifier.draw_rows(keys[1], num_aux, batch_size)
    batch, aux_batch = inputs[rows], aux_inputs[aux_rows]
    if augment_fn is not None:
      batch = _augment(keys[2], augment_fn, batch, _NUM_AUGMENTED)
      aux_batch = _augment(keys[3], augment_fn, aux_batch, 1)
    x = embed_fn(params, batch)
    own = jax.nn.softmax(head_fn(params, x)).reshape(
      -1, batch_size, num_classes
    )
    own = mixmatch.sharpen(jnp.mean(own, axis=0), temperature)
    aux_y = jax.nn.one_hot(aux_labels[aux_rows], num_classes)
    aux, others = mixmatch.mixed_predictions(
      keys[4],
      functools.partial(head_fn, params),
      (embed_fn(params, aux_batch), aux_y),
      (x, jnp.tile(own, (len(x) // batch_size, 1))),
      alpha=alpha,
    )
    errors = jax.nn.softmax(others[0]) - others[1]
    weight = unlabelled_weight * step / num_steps
    supervised = jnp.mean(losses.cross_entropy(*aux))
    return supervised + weight * jnp.mean(errors**2)

  params = classifier.minimize(
    key_steps,
    loss_fn,
    params,
    num_steps=num_steps,
    learning_rate=learning_rate,
    extractor_learning_rate=extractor_learning_rate,
    decay=decay,
  )
  logits_fn = lambda x: head_fn(params, embed_fn(params, x))
  logits = classifier.in_chunks(logits_fn, new_inputs, chunk_size)
  labels = jnp.argmax(logits, axis=1).astype(aux_labels.dtype)
  return AttackResult(labels, logits=logits)


def _augment(key, augment_fn, inputs, copies):
  """Copies altered at random, one after another, `[copies * B, ...]`."""
  keys = jax.random.split(key, copies)
  altered = jax.vmap(augment_fn, (0, None))(keys, inputs)
  return altered.reshape(-1, *altered.shape[2:])
