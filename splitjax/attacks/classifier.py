"""What attacks that train a head share: the head, its extractor, the steps.

In shapes `B` is a batch of samples, `D` the width of their features and `C` the
number of classes.
"""

from collections.abc import Callable
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import _validate
from splitjax.attacks import mixmatch
from splitjax.attacks import similarity

PyTree = Any
ApplyFn = Callable[[PyTree, jax.Array], jax.Array]


class Head(nn.Module):
  """A linear layer, or two with a ReLU between them; at first all logits are 0.

  Attributes:
    num_classes: width of the logits.
    hidden_size: width of the first of two layers; None is one layer.
  """

  num_classes: int
  hidden_size: int | None = None

  @nn.compact
  def __call__(self, features):
    """Logits `[B, C]` of features `[B, D]`."""
    if self.hidden_size is not None:
      features = nn.relu(nn.Dense(self.hidden_size)(features))
    zeros = nn.initializers.zeros_init()
    return nn.Dense(self.num_classes, kernel_init=zeros)(features)


def make_classifier(
  key: jax.Array,
  apply_fn: ApplyFn,
  extractor_params: PyTree,
  features: jax.Array,
  *,
  num_classes: int,
  hidden_size: int | None,
  normalize: bool,
) -> tuple[PyTree, ApplyFn, ApplyFn]:
  """Puts a new head on an extractor.

  Args:
    key: of the head's initial parameters.
    apply_fn: parameters and inputs `[B, ...]` -> features `[B, ...]`.
    extractor_params: its parameters.
    features: what it makes of the training inputs, `[N, D]`.
    num_classes: `C`.
    hidden_size: see `Head`.
    normalize: whether features are shifted and scaled, one number a dimension,
      so that `features` get mean 0 and variance 1. New inputs and a tuned
      extractor keep these very numbers.

  Returns:
    Parameters `{'extractor': ..., 'head': ...}`, in float32 or wider; what
    makes scaled features `[B, D]` of them and inputs; and what makes logits
    `[B, C]` of them and scaled features.

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

  def embed(params, inputs):
    x = flat_features(apply_fn, params['extractor'], inputs)
    return (x - shift) / scale

  params = {
    'extractor': jax.tree.map(similarity.to_accumulator, extractor_params),
    'head': head.init(key, jnp.zeros((1, features.shape[1]))),
  }
  head_fn = lambda params, x: head.apply(params['head'], x)
  return params, embed, head_fn


def identity(params: PyTree, features: jax.Array) -> jax.Array:
  """The extractor of features that are there already."""
  del params
  return features


def features_of(
  apply_fn: ApplyFn, params: PyTree, inputs: jax.Array, chunk_size: int
) -> jax.Array:
  """What an extractor makes of many inputs; no copy of features."""
  if apply_fn is identity:
    return inputs
  fn = lambda x: flat_features(apply_fn, params, x)
  return in_chunks(fn, inputs, chunk_size)


def flat_features(
  apply_fn: ApplyFn, params: PyTree, inputs: jax.Array
) -> jax.Array:
  """What an extractor makes of inputs, `[B, D]` in float32 or wider."""
  features = apply_fn(params, inputs)
  return similarity.to_accumulator(features.reshape(len(inputs), -1))


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
  """Minimises a loss with Adam.

  Args:
    key: each step gets its own part of it.
    loss_fn: parameters, key and number of the step -> loss.
    params: initial `{'extractor': ..., 'head': ...}`.
    num_steps: steps.
    learning_rate: of the head.
    extractor_learning_rate: of the extractor.
    cosine: whether the rates fall to 0 along half a cosine.
    decay: of the moving average that is returned; 0 are the last parameters.

  Returns:
    The moving average of the parameters.
  """
  rates = {'extractor': extractor_learning_rate, 'head': learning_rate}
  rate_fn = lambda rate: (
    optax.cosine_decay_schedule(rate, num_steps) if cosine else rate
  )
  optimizer = optax.partition(
    {part: optax.adam(rate_fn(rate)) for part, rate in rates.items()},
    {part: part for part in rates},
  )

  def one_step(state, step):
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
  """All row numbers, or `size` of them with replacement if there are more."""
  if num_rows <= size:
    return jnp.arange(num_rows)
  return jax.random.randint(key, (size,), 0, num_rows)


def in_chunks(
  fn: Callable[[jax.Array], jax.Array], inputs: jax.Array, size: int
) -> jax.Array:
  """Applies a function of a batch to many inputs, `size` of them at a time."""
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


def _moments(features):
  """Mean and standard deviation of each dimension; 1 where it is constant."""
  wide = similarity.to_accumulator(features)
  mean = jnp.mean(wide, axis=0, keepdims=True)
  deviation = jnp.std(wide, axis=0, keepdims=True)
  # What rounding the mean leaves is no deviation.
  tiny = 8 * jnp.finfo(wide.dtype).eps * jnp.abs(mean)
  return mean, jnp.where(deviation > tiny, deviation, 1)
