"""The fit of the attacks that train a head: samples, steps and optimizer."""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import _validate
from splitjax.attacks import classifier
from splitjax.attacks import conditioning
from splitjax.attacks import mixmatch
from splitjax.attacks import similarity
from splitjax.attacks.classifier import Extractor
from splitjax.attacks.classifier import Network
from splitjax.attacks.classifier import PyTree
from splitjax.attacks.result import AttackResult

LossFn = Callable[[Network, PyTree, jax.Array, jax.Array], jax.Array]


class Samples(NamedTuple):
  """The samples that an attack trains a head with, and those it labels.

  Attributes:
    inputs: inputs of the training samples, `[N, ...]`.
    aux_inputs: inputs of the auxiliary samples, `[A, ...]`.
    aux_labels: labels of the auxiliary samples, `[A]`.
    new_inputs: inputs of the samples to label, `[M, ...]`.
  """

  inputs: jax.Array
  aux_inputs: jax.Array
  aux_labels: jax.Array
  new_inputs: jax.Array


def prepare_features(samples: Samples) -> Samples:
  """Check that the inputs of all samples are features, and fill what is none.

  Args:
    samples: samples whose inputs are features `[rows, D]`.

  Returns:
    The samples, where rows that are not finite are the mean of those that are;
    auxiliary ones among them have a label that is ignored.

  Raises:
    ValueError: at trace time, if they are no features.
  """
  _validate.matrices(
    features=samples.inputs,
    aux_features=samples.aux_inputs,
    new_features=samples.new_inputs,
  )
  _validate.labels_of('aux_labels', samples.aux_labels, samples.aux_inputs)
  wide = similarity.to_accumulator(samples.inputs)
  finite = conditioning.finite_rows(wide)[:, None]
  count = jnp.maximum(jnp.sum(finite), 1)
  mean = jnp.sum(jnp.where(finite, wide / count, 0), axis=0)[None]

  def fill(rows: jax.Array) -> jax.Array:
    known = conditioning.finite_rows(rows)[:, None]
    return jnp.where(known, rows, mean.astype(rows.dtype))

  known = conditioning.finite_rows(samples.aux_inputs)
  return Samples(
    fill(samples.inputs),
    fill(samples.aux_inputs),
    conditioning.name_finite(samples.aux_labels, known),
    fill(samples.new_inputs),
  )


def without_unknown(result: AttackResult, samples: Samples) -> AttackResult:
  """Return a result without labels of samples that are not finite.

  Args:
    result: what an attack found for what `prepare_features` returned.
    samples: the samples as they were given.
  """
  finite = conditioning.finite_rows(samples.new_inputs)
  result = result._replace(
    labels=conditioning.name_finite(result.labels, finite)
  )
  if result.train_labels is None:
    return result
  train_labels = conditioning.name_finite(
    result.train_labels, conditioning.finite_rows(samples.inputs)
  )
  return result._replace(train_labels=train_labels)


def fit(
  key: jax.Array,
  extractor: Extractor,
  features: jax.Array,
  loss_fn: LossFn,
  *,
  num_classes: int,
  hidden_size: int | None,
  normalize: bool,
  **schedule: Any,
) -> Callable[[jax.Array], jax.Array]:
  """Put a new head on an extractor and train the network.

  Args:
    key: random key for the head and for what `loss_fn` draws.
    extractor: the extractor that the head is put on.
    features: what the extractor makes of the training inputs, `[N, D]`.
    loss_fn: function from the network, parameters, a key and the number of the
      step to the loss.
    num_classes: number of classes `C`.
    hidden_size: width of the hidden layer of the head; None makes it linear.
    normalize: whether features are shifted and scaled, see
      `classifier.make_network`.
    **schedule: keyword arguments of `minimize`.

  Returns:
    A function from inputs `[M, ...]` to logits `[M, C]` of the trained network.
  """
  key_init, key_steps = jax.random.split(key)
  network = classifier.make_network(
    key_init,
    extractor,
    features,
    num_classes=num_classes,
    hidden_size=hidden_size,
    normalize=normalize,
  )
  params = minimize(
    key_steps, functools.partial(loss_fn, network), network.params, **schedule
  )
  logits_fn = lambda x: network.head_fn(params, network.embed_fn(params, x))
  return lambda inputs: classifier.in_chunks(
    logits_fn, inputs, extractor.chunk_size
  )


def minimize(
  key: jax.Array,
  loss_fn: Callable[[PyTree, jax.Array, jax.Array], jax.Array],
  params: PyTree,
  *,
  num_steps: int,
  learning_rate: jax.typing.ArrayLike,
  extractor_learning_rate: jax.typing.ArrayLike,
  cosine: bool = False,
  decay: jax.typing.ArrayLike = 0.0,
) -> PyTree:
  """Minimise a loss with Adam.

  Args:
    key: random key that the keys of the steps are made of.
    loss_fn: function from parameters, a key and the number of the step to the
      loss.
    params: initial parameters, `{'extractor': ..., 'head': ...}`.
    num_steps: number of training steps.
    learning_rate: learning rate of the head.
    extractor_learning_rate: learning rate of the extractor.
    cosine: whether the learning rates fall to 0 along half a cosine.
    decay: decay of the moving average of the parameters; at 0 the last
      parameters are returned.

  Returns:
    The moving average of the parameters.
  """
  rates = {'extractor': extractor_learning_rate, 'head': learning_rate}
  if cosine:
    rates = {
      part: optax.cosine_decay_schedule(rate, num_steps)
      for part, rate in rates.items()
    }
  optimizer = optax.partition(
    # pyrefly: ignore[bad-argument-type]
    {part: optax.adam(rate) for part, rate in rates.items()},
    {part: part for part in rates},
  )

  def one_step(
    state: tuple[PyTree, ...], step: jax.Array
  ) -> tuple[tuple[PyTree, ...], None]:
    params, average, opt_state = state
    step_key = jax.random.fold_in(key, step)
    grads = jax.grad(loss_fn)(params, step_key, step)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    average = mixmatch.ema(average, params, decay=decay, step=step)
    return (params, average, opt_state), None

  state = (params, params, optimizer.init(params))
  (_, average, _), _ = jax.lax.scan(one_step, state, jnp.arange(num_steps))
  return average


def draw_rows(key: jax.Array, num_rows: int, size: int) -> jax.Array:
  """Return all row numbers, or draw `size` of them if there are more."""
  if num_rows <= size:
    return jnp.arange(num_rows)
  return jax.random.randint(key, (size,), 0, num_rows)
