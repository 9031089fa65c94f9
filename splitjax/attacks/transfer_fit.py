"""The fit of the transfer attack, with a frozen or a tuned extractor."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax import losses
from splitjax.attacks import _validate
from splitjax.attacks import classifier
from splitjax.attacks import distance
from splitjax.attacks import head_fit
from splitjax.attacks import mixmatch
from splitjax.attacks.classifier import Extractor
from splitjax.attacks.classifier import Network
from splitjax.attacks.classifier import PyTree
from splitjax.attacks.head_fit import Samples
from splitjax.attacks.result import AttackResult


class Settings(NamedTuple):
  """The keyword arguments of `tuned_transfer_labels`, by name."""

  num_classes: int
  pseudo_labels: jax.Array | None
  num_epochs: int
  batch_size: int
  learning_rate: jax.typing.ArrayLike
  temperature: jax.typing.ArrayLike
  alpha: jax.typing.ArrayLike
  trust: jax.typing.ArrayLike
  aux_weight: jax.typing.ArrayLike
  hidden_size: int | None
  normalize: bool
  extractor_learning_rate: jax.typing.ArrayLike = 0.0


def fit_and_label(
  key: jax.Array, extractor: Extractor, samples: Samples, settings: Settings
) -> AttackResult:
  """Train an extractor with a head, and label new and training samples."""
  _validate.count('chunk_size', extractor.chunk_size)
  _validate.labels_of('aux_labels', samples.aux_labels, samples.aux_inputs)
  features = classifier.features_of(extractor, samples.inputs)
  if settings.pseudo_labels is None:
    aux_features = classifier.features_of(extractor, samples.aux_inputs)
    settings = settings._replace(
      pseudo_labels=distance.nearest_labels(
        features, aux_features, samples.aux_labels
      )
    )
  # pyrefly: ignore[bad-argument-type]
  _validate.labels_of('pseudo_labels', settings.pseudo_labels, samples.inputs)
  _validate.count('num_epochs', settings.num_epochs)
  _validate.count('batch_size', settings.batch_size)
  logits_fn = head_fit.fit(
    key,
    extractor,
    features,
    functools.partial(_loss, samples, settings),
    num_classes=settings.num_classes,
    hidden_size=settings.hidden_size,
    normalize=settings.normalize,
    num_steps=settings.num_epochs * _epoch_steps(samples, settings),
    learning_rate=settings.learning_rate,
    extractor_learning_rate=settings.extractor_learning_rate,
    cosine=True,
  )
  logits, train_logits = map(logits_fn, (samples.new_inputs, samples.inputs))
  best = lambda x: jnp.argmax(x, axis=1).astype(samples.aux_labels.dtype)
  return AttackResult(
    best(logits), logits=logits, train_labels=best(train_logits)
  )


def _epoch_steps(samples: Samples, settings: Settings) -> int:
  """Return the number of steps of an epoch."""
  return -(-len(samples.inputs) // settings.batch_size)


def _loss(
  samples: Samples,
  settings: Settings,
  network: Network,
  params: PyTree,
  key: jax.Array,
  step: jax.Array,
) -> jax.Array:
  """Return the loss of a step, on a batch that the key draws."""
  key_rows, key_aux, key_mix = jax.random.split(key, 3)
  num, batch_size = len(samples.inputs), settings.batch_size
  half = (settings.num_epochs + 1) // 2 * _epoch_steps(samples, settings)
  rows = jax.random.randint(key_rows, (batch_size,), 0, num)
  aux_rows = head_fit.draw_rows(key_aux, len(samples.aux_inputs), batch_size)
  x = network.embed_fn(params, samples.inputs[rows])
  own = mixmatch.sharpen(
    jax.nn.softmax(network.head_fn(params, x)), settings.temperature
  )
  # pyrefly: ignore[unsupported-operation]
  guess = jax.nn.one_hot(settings.pseudo_labels[rows], settings.num_classes)
  share = jnp.where(step < half, 1, settings.trust)
  aux_x = network.embed_fn(params, samples.aux_inputs[aux_rows])
  aux_y = jax.nn.one_hot(samples.aux_labels[aux_rows], settings.num_classes)
  aux, train = mixmatch.mixed_predictions(
    key_mix,
    functools.partial(network.head_fn, params),
    (aux_x, aux_y),
    (x, share * guess + (1 - share) * own),
    alpha=jnp.where(step < half, 0, settings.alpha),
  )
  aux_loss, train_loss = (
    jnp.mean(losses.cross_entropy(*part)) for part in (aux, train)
  )
  # pyrefly: ignore[bad-return]
  return settings.aux_weight * aux_loss + train_loss
