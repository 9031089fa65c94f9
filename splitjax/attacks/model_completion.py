"""Model completion: the trained bottom model, a new head, few labels.

Of Fu et al., "Label inference attacks against vertical federated learning"
(USENIX Security 2022). After training, the attacker keeps its bottom model,
puts a head of its own on it and trains it by MixMatch with a few labelled
samples (4 a class in the paper) and many unlabelled ones.

The attack is passive: nothing that the attacker sends changes. It owns the
trained bottom model and knows some labels; it needs no gradients. The authors'
active variant also cheats during the training: `malicious.malicious_optimizer`.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax

from splitjax.attacks import _kernel
from splitjax.attacks import classifier
from splitjax.attacks import completion_fit
from splitjax.attacks import head_fit
from splitjax.attacks.classifier import Extractor
from splitjax.attacks.head_fit import Samples
from splitjax.attacks.result import AttackResult

PyTree = Any

_STATIC = (
  'num_classes',
  'num_steps',
  'batch_size',
  'hidden_size',
  'normalize',
  'augment_fn',
)


@functools.partial(_kernel.jit, static_argnames=_STATIC)
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
  augment_fn: completion_fit.AugmentFn | None = None,
) -> AttackResult:
  """Complete a frozen bottom model with a head trained by MixMatch.

  Each step takes auxiliary samples (all of them, or as many as a batch) and a
  batch of unlabelled samples, drawn with replacement. The targets of the
  unlabelled samples are the head's own predictions, averaged over augmented
  copies if there are any, and sharpened. All samples are mixed. The loss is the
  cross-entropy of the auxiliary samples plus the weighted mean squared error of
  the probabilities of the unlabelled ones; its weight rises linearly from 0.
  The moving average of the parameters makes the final predictions.

  Args:
    key: random key for the head, the batches, the augmentation and the mixing.
    features: features of the unlabelled samples, in general smashed data,
      `[N, D]`.
    aux_features: features of the auxiliary samples, `[A, D]`.
    aux_labels: labels of the auxiliary samples in `[0, C)`, `[A]`; samples with
      any other label are ignored.
    new_features: features of the samples to label, `[M, D]`; may be `features`.
    num_classes: number of classes `C`.
    num_steps: number of training steps.
    batch_size: number of unlabelled samples of a step, and largest number of
      auxiliary ones.
    learning_rate: learning rate of Adam.
    temperature: temperature of the sharpening, above 0.
    alpha: parameter of the Beta distribution that the shares of mixed samples
      are drawn from; 0 mixes nothing.
    unlabelled_weight: final weight of the squared error.
    decay: decay of the moving average of the parameters.
    hidden_size: width of the hidden layer of the head; None makes it linear.
    normalize: whether each dimension is shifted and scaled so that `features`
      have mean 0 and variance 1; the other features are shifted and scaled by
      the same numbers.
    augment_fn: function from a key and features `[B, D]` to features of the
      same shape, altered at random. Each new function object is compiled anew.

  Returns:
    An `AttackResult` with the labels `[M]` and logits `[M, C]` of the new
    samples; logits are float32 or wider.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> import jax.numpy as jnp
    >>> features = jnp.array([[2.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 3.0]])
    >>> known, labels = features[:2], jnp.array([1, 0])
    >>> found = completion_labels(
    ...   jax.random.key(0), features, known, labels, features, num_classes=2
    ... )
    >>> found.labels.tolist()
    [1, 0, 1, 0]
  """
  samples = Samples(features, aux_features, aux_labels, new_features)
  ready = head_fit.prepare_features(samples)
  settings = completion_fit.Settings(
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
  )
  result = completion_fit.fit_and_label(key, classifier.FROZEN, ready, settings)
  return head_fit.without_unknown(result, samples)


@functools.partial(
  _kernel.jit, static_argnames=('apply_fn', 'chunk_size', *_STATIC)
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
  augment_fn: completion_fit.AugmentFn | None = None,
  chunk_size: int = 256,
) -> AttackResult:
  """Train a head as `completion_labels` does, and the bottom model with it.

  This is what the authors do. The attacker tunes a copy after the protocol has
  ended. Features are mixed, where the authors mix inputs, so that inputs may be
  of any type.

  Args:
    key: random key for the head, the batches, the augmentation and the mixing.
    apply_fn: the bottom model, a function from parameters and inputs `[B, ...]`
      to features `[B, ...]`. Each new function object is compiled anew.
    params: parameters of the bottom model, all of floating types, trained in
      float32 or wider.
    inputs: inputs of the unlabelled samples, `[N, ...]`.
    aux_inputs: inputs of the auxiliary samples, `[A, ...]`.
    aux_labels: labels of the auxiliary samples, as in `completion_labels`.
    new_inputs: inputs of the samples to label, `[M, ...]`.
    num_classes: number of classes `C`.
    num_steps: number of training steps.
    batch_size: number of unlabelled samples of a step, and largest number of
      auxiliary ones.
    learning_rate: learning rate of Adam for the head.
    extractor_learning_rate: learning rate of Adam for the bottom model; 0
      freezes it.
    temperature: temperature of the sharpening, above 0.
    alpha: parameter of the Beta distribution, as in `completion_labels`.
    unlabelled_weight: final weight of the squared error.
    decay: decay of the moving average of the parameters.
    hidden_size: width of the hidden layer of the head; None makes it linear.
    normalize: whether features are shifted and scaled, as in
      `completion_labels`, by the moments of the features before the training.
    augment_fn: function from a key and inputs `[B, ...]` to inputs of the same
      shape, altered at random. Each new function object is compiled anew.
    chunk_size: number of inputs at a time where nothing is trained.

  Returns:
    An `AttackResult` as `completion_labels` returns it.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> import jax.numpy as jnp
    >>> inputs = jnp.array([[2.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 3.0]])
    >>> found = tuned_completion_labels(
    ...   jax.random.key(0),
    ...   lambda params, x: x * params,
    ...   jnp.ones(()),
    ...   inputs,
    ...   inputs[:2],
    ...   jnp.array([1, 0]),
    ...   inputs,
    ...   num_classes=2,
    ... )
    >>> found.labels.tolist()
    [1, 0, 1, 0]
  """
  settings = completion_fit.Settings(
    num_classes=num_classes,
    num_steps=num_steps,
    batch_size=batch_size,
    learning_rate=learning_rate,
    extractor_learning_rate=extractor_learning_rate,
    temperature=temperature,
    alpha=alpha,
    unlabelled_weight=unlabelled_weight,
    decay=decay,
    hidden_size=hidden_size,
    normalize=normalize,
    augment_fn=augment_fn,
  )
  return completion_fit.fit_and_label(
    key,
    Extractor(apply_fn, params, chunk_size),
    Samples(inputs, aux_inputs, aux_labels, new_inputs),
    settings,
  )
