"""A network that an attack trains: an extractor of features, and a new head.

In shape descriptions `B` is the number of samples of a batch, `D` the width of
their features and `C` the number of classes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from splitjax.attacks import _validate
from splitjax.attacks import similarity

PyTree = Any
ApplyFn = Callable[[PyTree, jax.Array], jax.Array]


class Head(nn.Module):
  """A linear layer, or two with a ReLU between them; at first all logits are 0.

  Attributes:
    num_classes: width of the logits.
    hidden_size: width of the first of two layers; None makes one layer.
  """

  num_classes: int
  hidden_size: int | None = None

  @nn.compact
  def __call__(self, features: jax.Array) -> jax.Array:
    """Return the logits `[B, C]` of features `[B, D]`."""
    if self.hidden_size is not None:
      features = nn.relu(nn.Dense(self.hidden_size)(features))
    zeros = nn.initializers.zeros_init()
    return nn.Dense(self.num_classes, kernel_init=zeros)(features)


class Extractor(NamedTuple):
  """What makes features of inputs.

  Attributes:
    apply_fn: function from parameters and inputs `[B, ...]` to features
      `[B, ...]`.
    params: its parameters.
    chunk_size: number of inputs at a time where nothing is trained.
  """

  apply_fn: ApplyFn
  params: PyTree
  chunk_size: int


class Network(NamedTuple):
  """An extractor with a head on it.

  Attributes:
    params: initial parameters, `{'extractor': ..., 'head': ...}`, in float32 or
      wider.
    embed_fn: function from parameters and inputs `[B, ...]` to scaled features
      `[B, D]`.
    head_fn: function from parameters and scaled features `[B, D]` to logits
      `[B, C]`.
  """

  params: PyTree
  embed_fn: ApplyFn
  head_fn: ApplyFn


def identity(params: PyTree, features: jax.Array) -> jax.Array:
  """Return inputs that are features already."""
  del params
  return features


FROZEN = Extractor(identity, {}, 1024)


def make_network(
  key: jax.Array,
  extractor: Extractor,
  features: jax.Array,
  *,
  num_classes: int,
  hidden_size: int | None,
  normalize: bool,
) -> Network:
  """Put a new head on an extractor.

  Args:
    key: random key for the initial parameters of the head.
    extractor: the extractor that the head is put on.
    features: what the extractor makes of the training inputs, `[N, D]`.
    num_classes: number of classes `C`.
    hidden_size: width of the hidden layer of the head; None makes it linear.
    normalize: whether each dimension is shifted and scaled so that `features`
      have mean 0 and variance 1. New inputs, and features of a tuned extractor,
      are shifted and scaled by these same numbers.

  Returns:
    The network with its initial parameters.

  Raises:
    ValueError: at trace time, if a size is not positive.
  """
  _validate.count('num_classes', num_classes)
  if hidden_size is not None:
    _validate.count('hidden_size', hidden_size)
  head = Head(num_classes, hidden_size)
  shift, scale = _moments(features) if normalize else (0.0, 1.0)
  # So that a step of Adam, which moves every weight as far, moves the logits of
  # wide features as far as those of narrow ones.
  scale = scale * features.shape[1] ** 0.5

  def embed_fn(params: PyTree, inputs: jax.Array) -> jax.Array:
    x = flat_features(extractor.apply_fn, params['extractor'], inputs)
    return (x - shift) / scale

  params = {
    'extractor': jax.tree.map(similarity.to_accumulator, extractor.params),
    'head': head.init(key, jnp.zeros((1, features.shape[1]))),
  }
  head_fn = lambda params, x: head.apply(params['head'], x)
  # pyrefly: ignore[bad-argument-type]
  return Network(params, embed_fn, head_fn)


def features_of(extractor: Extractor, inputs: jax.Array) -> jax.Array:
  """Return the features of many inputs; those of `FROZEN` are not copied."""
  apply_fn, params, chunk_size = extractor
  if apply_fn is identity:
    return inputs
  fn = lambda x: flat_features(apply_fn, params, x)
  return in_chunks(fn, inputs, chunk_size)


def flat_features(
  apply_fn: ApplyFn, params: PyTree, inputs: jax.Array
) -> jax.Array:
  """Return the features of inputs, `[B, D]` in float32 or wider."""
  features = apply_fn(params, inputs)
  return similarity.to_accumulator(features.reshape(len(inputs), -1))


def in_chunks(
  fn: Callable[[jax.Array], jax.Array], inputs: jax.Array, size: int
) -> jax.Array:
  """Apply a function of a batch to many inputs, `size` of them at a time."""
  num_full = len(inputs) // size
  rest = inputs[num_full * size :]
  outputs = []
  if num_full:
    chunks = inputs[: num_full * size].reshape(-1, size, *inputs.shape[1:])
    full = jax.lax.map(fn, chunks)
    outputs.append(full.reshape(-1, *full.shape[2:]))
  if len(rest) or not num_full:
    outputs.append(fn(rest))
  return jnp.concatenate(outputs)


def _moments(features: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Return the mean and deviation of each dimension; 1 if it is constant."""
  wide = similarity.to_accumulator(features)
  mean = jnp.mean(wide, axis=0, keepdims=True)
  # Far from 0 a mean rounds; that of what is left does not.
  rest = jnp.mean(wide - mean, axis=0, keepdims=True)
  centred = wide - mean - rest
  largest = similarity.largest_entry(centred, axis=0)[None]
  squares = jnp.mean((centred / largest) ** 2, axis=0, keepdims=True)
  deviation = largest * jnp.sqrt(squares)
  # What rounding the mean leaves is no deviation.
  tiny = jnp.finfo(wide.dtype).eps * jnp.abs(mean)
  return mean + rest, jnp.where(deviation > tiny, deviation, 1)
