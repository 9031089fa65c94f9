"""The fit of model completion, with a frozen or a tuned bottom model."""

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from splitjax import losses
from splitjax.attacks import _validate
from splitjax.attacks import classifier
from splitjax.attacks import head_fit
from splitjax.attacks import mixmatch
from splitjax.attacks.classifier import Extractor
from splitjax.attacks.classifier import Network
from splitjax.attacks.classifier import PyTree
from splitjax.attacks.head_fit import Samples
from splitjax.attacks.result import AttackResult

AugmentFn = Callable[[jax.Array, jax.Array], jax.Array]
_NUM_AUGMENTED = 2  # Augmented copies of an unlabelled sample, as in MixMatch.


class Settings(NamedTuple):
  """The keyword arguments of `tuned_completion_labels`, by name."""

  num_classes: int
  num_steps: int
  batch_size: int
  learning_rate: jax.typing.ArrayLike
  temperature: jax.typing.ArrayLike
  alpha: jax.typing.ArrayLike
  unlabelled_weight: jax.typing.ArrayLike
  decay: jax.typing.ArrayLike
  hidden_size: int | None
  normalize: bool
  augment_fn: AugmentFn | None
  extractor_learning_rate: jax.typing.ArrayLike = 0.0


def fit_and_label(
  key: jax.Array, extractor: Extractor, samples: Samples, settings: Settings
) -> AttackResult:
  """Train an extractor with a head, and label new samples."""
  _validate.count('chunk_size', extractor.chunk_size)
  _validate.labels_of('aux_labels', samples.aux_labels, samples.aux_inputs)
  _validate.count('num_steps', settings.num_steps)
  _validate.count('batch_size', settings.batch_size)
  logits_fn = head_fit.fit(
    key,
    extractor,
    classifier.features_of(extractor, samples.inputs),
    functools.partial(_loss, samples, settings),
    num_classes=settings.num_classes,
    hidden_size=settings.hidden_size,
    normalize=settings.normalize,
    num_steps=settings.num_steps,
    learning_rate=settings.learning_rate,
    extractor_learning_rate=settings.extractor_learning_rate,
    decay=settings.decay,
  )
  logits = logits_fn(samples.new_inputs)
  labels = jnp.argmax(logits, axis=1).astype(samples.aux_labels.dtype)
  return AttackResult(labels, logits=logits)


def _loss(
  samples: Samples,
  settings: Settings,
  network: Network,
  params: PyTree,
  key: jax.Array,
  step: jax.Array,
) -> jax.Array:
  """Return the loss of a step, on a batch that the key draws."""
  key_rows, key_aux, *keys_augment, key_mix = jax.random.split(key, 5)
  num, batch_size = len(samples.inputs), settings.batch_size
  rows = jax.random.randint(key_rows, (batch_size,), 0, num)
  aux_rows = head_fit.draw_rows(key_aux, len(samples.aux_inputs), batch_size)
  batch, aux_batch = samples.inputs[rows], samples.aux_inputs[aux_rows]
  if settings.augment_fn is not None:
    augment = functools.partial(_augment, settings.augment_fn)
    batch = augment(keys_augment[0], batch, _NUM_AUGMENTED)
    aux_batch = augment(keys_augment[1], aux_batch, 1)
  x = network.embed_fn(params, batch)
  own = jax.nn.softmax(network.head_fn(params, x))
  own = own.reshape(-1, batch_size, settings.num_classes)
  own = mixmatch.sharpen(jnp.mean(own, axis=0), settings.temperature)
  aux_y = jax.nn.one_hot(samples.aux_labels[aux_rows], settings.num_classes)
  aux, others = mixmatch.mixed_predictions(
    key_mix,
    functools.partial(network.head_fn, params),
    (network.embed_fn(params, aux_batch), aux_y),
    (x, jnp.tile(own, (len(x) // batch_size, 1))),
    alpha=settings.alpha,
  )
  errors = jax.nn.softmax(others[0]) - others[1]
  weight = settings.unlabelled_weight * step / settings.num_steps
  supervised = jnp.mean(losses.cross_entropy(*aux))
  return supervised + weight * jnp.mean(errors**2)


def _augment(
  augment_fn: AugmentFn, key: jax.Array, inputs: jax.Array, copies: int
) -> jax.Array:
  """Return copies altered at random, one after the other."""
  keys = jax.random.split(key, copies)
  altered = jax.vmap(augment_fn, (0, None))(keys, inputs)
  return altered.reshape(-1, *altered.shape[2:])
