"""The transfer attack: a head trained on labels that similarity guessed.

Of Liu et al. (https://arxiv.org/abs/2203.05222), for inference and for cuts
after a few layers, where smashed data cluster badly. The authors' script is not
public. What the paper says of it is kept: a frozen or tuned extractor, a linear
head, and labels guessed by similarity, followed by the head's own labels as in
MixMatch. The rest is ours.

The attack is passive: the attacker computes from what it recorded and owns. It
knows the number of classes, the labels of a few auxiliary samples, and an
extractor of features: its trained client (the features are then smashed data)
or a network trained on public data. It needs neither the top model nor, for new
samples, their gradients.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate
from splitjax.attacks import classifier
from splitjax.attacks import conditioning
from splitjax.attacks import distance
from splitjax.attacks import head_fit
from splitjax.attacks import transfer_fit
from splitjax.attacks.classifier import Extractor
from splitjax.attacks.head_fit import Samples
from splitjax.attacks.result import AttackResult

PyTree = Any

_STATIC = (
  'num_classes',
  'num_epochs',
  'batch_size',
  'hidden_size',
  'normalize',
)


@functools.partial(_kernel.jit, static_argnames=_STATIC)
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
  """Train a head on frozen features with guessed labels, and label new samples.

  Each step draws a batch of training samples with replacement, adds auxiliary
  samples (all of them, or as many as a batch), and minimises the weighted sum
  of the two mean cross-entropies with Adam, whose learning rate falls to 0. An
  epoch has `N / batch_size` steps, rounded up.

  The auxiliary samples always have their labels. In the first half of the
  epochs the training samples have their pseudo-labels. In the second half their
  targets are a mean of the pseudo-labels and of the head's own sharpened
  predictions, and all samples are mixed as in MixMatch.

  The strongest pseudo-labels are those that `cluster_labels` read from the cut
  gradients of the training: what leaked there carries over to new samples.

  All inputs may be narrower than float32. Under `jax.vmap` over keys, auxiliary
  samples and pseudo-labels the features are not copied.

  Args:
    key: random key for the head, the batches and the mixing.
    features: features of the training samples, `[N, D]`.
    aux_features: features of the auxiliary samples, `[A, D]`.
    aux_labels: labels of the auxiliary samples in `[0, C)`, `[A]`; samples with
      any other label are ignored.
    new_features: features of the samples to label, `[M, D]`; may be `features`.
    num_classes: number of classes `C`.
    pseudo_labels: guessed labels of the training samples in `[0, C)`, `[N]`;
      samples with any other label are ignored. By default a training sample
      gets the label of the auxiliary sample whose features have the largest
      cosine to its own.
    num_epochs: number of passes over as many samples as there are.
    batch_size: number of training samples of a step.
    learning_rate: initial learning rate of Adam.
    temperature: temperature of the sharpening, above 0; 1 leaves the
      predictions as they are.
    alpha: parameter of the Beta distribution that the shares of mixed samples
      are drawn from; 0 mixes nothing.
    trust: share of the pseudo-labels in the targets of the second half. With 0,
      as in the paper, right ones are forgotten: on Fashion-MNIST's pixels that
      costs 3 to 7 points, and gains 1 or 2 where half of them are wrong.
    aux_weight: weight of the loss of the auxiliary samples, which are few and
      seen in every step.
    hidden_size: width of the hidden layer of the head; None makes it linear.
    normalize: whether each dimension is shifted and scaled so that `features`
      have mean 0 and variance 1; the other features are shifted and scaled by
      the same numbers.

  Returns:
    An `AttackResult` with the labels `[M]` and logits `[M, C]` of the new
    samples, and as `train_labels` `[N]` what the trained head reads for the
    training samples. Logits are float32 or wider.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> features = jnp.array([[2.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 3.0]])
    >>> known, labels = features[:2], jnp.array([1, 0])
    >>> found = transfer_labels(
    ...   jax.random.key(0), features, known, labels, features, num_classes=2
    ... )
    >>> found.labels.tolist()
    [1, 0, 1, 0]
  """
  samples = Samples(features, aux_features, aux_labels, new_features)
  ready = head_fit.prepare_features(samples)
  if pseudo_labels is None:
    pseudo_labels = distance.nearest_labels(features, aux_features, aux_labels)
  else:
    _validate.labels_of('pseudo_labels', pseudo_labels, features)
    pseudo_labels = conditioning.name_finite(
      jnp.asarray(pseudo_labels), conditioning.finite_rows(features)
    )
  settings = transfer_fit.Settings(
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
  )
  result = transfer_fit.fit_and_label(key, classifier.FROZEN, ready, settings)
  return head_fit.without_unknown(result, samples)


@functools.partial(
  _kernel.jit, static_argnames=('apply_fn', 'chunk_size', *_STATIC)
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
  """Train a head as `transfer_labels` does, and the extractor with it.

  The attacker tunes a copy of its extractor after the protocol has ended; what
  it sends is not changed. Features are mixed, not inputs, so that inputs may be
  of any type.

  Args:
    key: random key for the head, the batches and the mixing.
    apply_fn: the extractor, a function from parameters and inputs `[B, ...]` to
      features `[B, ...]`. Each new function object is compiled anew.
    params: parameters of the extractor, all of floating types, trained in
      float32 or wider.
    inputs: inputs of the training samples, `[N, ...]`.
    aux_inputs: inputs of the auxiliary samples, `[A, ...]`.
    aux_labels: labels of the auxiliary samples, as in `transfer_labels`.
    new_inputs: inputs of the samples to label, `[M, ...]`.
    num_classes: number of classes `C`.
    pseudo_labels: guessed labels of the training samples, as in
      `transfer_labels`; the default compares features before the training.
    num_epochs: number of passes over as many samples as there are.
    batch_size: number of training samples of a step.
    learning_rate: initial learning rate of Adam for the head.
    extractor_learning_rate: initial learning rate of Adam for the extractor; 0
      freezes it.
    temperature: temperature of the sharpening, as in `transfer_labels`.
    alpha: parameter of the Beta distribution, as in `transfer_labels`.
    trust: share of the pseudo-labels in the targets of the second half.
    aux_weight: weight of the loss of the auxiliary samples.
    hidden_size: width of the hidden layer of the head; None makes it linear.
    normalize: whether features are shifted and scaled, as in `transfer_labels`,
      by the moments of the features before the training.
    chunk_size: number of inputs at a time where nothing is trained.

  Returns:
    An `AttackResult` as `transfer_labels` returns it.

  Raises:
    ValueError: at trace time, if a shape, type or number is not as above.

  Example:
    >>> inputs = jnp.array([[2.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 3.0]])
    >>> found = tuned_transfer_labels(
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
  settings = transfer_fit.Settings(
    num_classes=num_classes,
    pseudo_labels=pseudo_labels,
    num_epochs=num_epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
    extractor_learning_rate=extractor_learning_rate,
    temperature=temperature,
    alpha=alpha,
    trust=trust,
    aux_weight=aux_weight,
    hidden_size=hidden_size,
    normalize=normalize,
  )
  return transfer_fit.fit_and_label(
    key,
    Extractor(apply_fn, params, chunk_size),
    Samples(inputs, aux_inputs, aux_labels, new_inputs),
    settings,
  )
