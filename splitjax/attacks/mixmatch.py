"""What attacks that learn from few labels share: MixMatch and a classifier.

MixMatch is that of Berthelot et al. (NeurIPS 2019,
https://arxiv.org/abs/1905.02249). In shapes `B` is a batch of samples, `D` the
width of their features and `C` the number of classes.
"""

from collections.abc import Callable
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import _validate
from splitjax.attacks import similarity

PyTree = Any
ApplyFn = Callable[[PyTree, jax.Array], jax.Array]


def sharpen(
  probabilities: jax.Array, temperature: jax.typing.ArrayLike
) -> jax.Array:
  """Raises probabilities to the power `1 / temperature`; rows sum to 1.

  In logarithms, so that no power underflows; a probability of 0 stays 0.

  Args:
    probabilities: `[N, C]`, not negative, no row all zero.
    temperature: above 0; 1 changes nothing, towards 0 the largest takes all.

  Returns:
    `[N, C]`, float32 or wider.
  """
  wide = similarity.to_accumulator(probabilities)
  positive = wide > 0
  logs = jnp.where(positive, jnp.log(jnp.where(positive, wide, 1)), -jnp.inf)
  # The largest becomes log 1, so that no quotient overflows.
  logs = logs - jnp.max(logs, axis=1, keepdims=True)
  return jax.nn.softmax(logs / temperature, axis=1)


def mix(
  key: jax.Array, x: jax.Array, y: jax.Array, *, alpha: jax.typing.ArrayLike
) -> tuple[jax.Array, jax.Array]:
  """Mixes each sample and its target with another one's, drawn by permutation.

  A share `max(lam, 1 - lam)` of the sample itself is kept, `lam` of the
  distribution Beta(alpha, alpha): each stays nearer to itself than to its
  partner, so that the order still says which are labelled.

  Args:
    key: of the permutation and the shares.
    x: `[N, D]`.
    y: soft labels, `[N, C]`.
    alpha: 0 mixes nothing, 1 mixes most (shares uniform in [1/2, 1]).

  Returns:
    The mixed `x` and `y`, with the same shares; float32 or wider.
  """
  key_share, key_order = jax.random.split(key)
  share = _larger_shares(key_share, alpha, len(x))[:, None]
  order = jax.random.permutation(key_order, len(x))

  def mixed(rows):
    wide = similarity.to_accumulator(rows)
    return share * wide + (1 - share) * wide[order]

  return mixed(x), mixed(y)


def ema(
  average: PyTree, new: PyTree, *, decay: jax.typing.ArrayLike, step: jax.Array
) -> PyTree:
  """An exponential moving average of parameters, that forgets its start.

  Args:
    average: after `step` updates.
    new: the parameters to count in.
    decay: share of the average that is kept; at most `(1 + step) / (10 + step)`
      is, else a random start would last some `1 / (1 - decay)` steps.
    step: from 0.

  Returns:
    The average after `step + 1` updates.
  """
  decay = jnp.minimum(decay, (1 + step) / (10 + step))
  return optax.incremental_update(new, average, 1 - decay)


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

  def embed(params, inputs):
    x = flat_features(apply_fn, params['extractor'], inputs)
    return (x - shift) / scale

  params = {
    'extractor': jax.tree.map(similarity.to_accumulator, extractor_params),
    'head': head.init(key, jnp.zeros((1, features.shape[1]))),
  }
  head_fn = lambda params, x: head.apply(params['head'], x)
  return params, embed, head_fn


def flat_features(
  apply_fn: ApplyFn, params: PyTree, inputs: jax.Array
) -> jax.Array:
  """What an extractor makes of inputs, `[B, D]` in float32 or wider."""
  features = apply_fn(params, inputs)
  return similarity.to_accumulator(features.reshape(len(inputs), -1))


def mixed_predictions(
  key: jax.Array,
  head_fn: Callable[[jax.Array], jax.Array],
  labelled: tuple[jax.Array, jax.Array],
  unlabelled: tuple[jax.Array, jax.Array],
  *,
  alpha: jax.typing.ArrayLike,
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
  """Mixes labelled and unlabelled samples with one another, and predicts.

  What is mixed are the features that enter the head, so that inputs may be of
  any type (token ids cannot be mixed); with a frozen extractor there is nothing
  else to mix.

  Args:
    key: see `mix`.
    head_fn: features -> logits.
    labelled: features `[A, D]` and soft labels `[A, C]`.
    unlabelled: the same of others `[B, ...]`, with guessed labels.
    alpha: see `mix`.

  Returns:
    Logits and targets of the labelled, then those of the unlabelled.
  """
  x, y = (
    jnp.concatenate(parts) for parts in zip(labelled, unlabelled, strict=True)
  )
  x, y = mix(key, x, jax.lax.stop_gradient(y), alpha=alpha)
  logits, num = head_fn(x), len(labelled[0])
  return (logits[:num], y[:num]), (logits[num:], y[num:])


def minimize(
  key: jax.Array,
  loss_fn: Callable[[PyTree, jax.Array, jax.Array], jax.Array],
  params: PyTree,
  *,
  num_steps: int,
  learning_rate: jax.typing.ArrayLike,
  extractor_learning_rate: jax.typing.ArrayLike,
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
    decay: of the moving average that is returned; 0 are the last parameters.

  Returns:
    The moving average of the parameters.
  """
  rates = {'extractor': extractor_learning_rate, 'head': learning_rate}
  optimizer = optax.partition(
    {part: optax.adam(rate) for part, rate in rates.items()},
    {part: part for part in rates},
  )

  def one_step(state, step):
    params, average, opt_state = state
    step_key = jax.random.fold_in(key, step)
    grads = jax.grad(loss_fn)(params, step_key, step)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    average = ema(average, params, decay=decay, step=step)
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


def _larger_shares(key, alpha, num):
  """`max(lam, 1 - lam)` of lam ~ Beta(alpha, alpha), `[num]`; 1 at alpha 0.

  Without rejection, as `jax.random.beta` would take most of a training step.
  Beta(alpha + 1, alpha + 1) is a coordinate of a point in a disc (Ulrich 1984).
  As Gamma(a) is Gamma(a + 1) U^(1/a), its logit plus a Laplace draw over alpha
  is the logit of Beta(alpha, alpha).
  """
  key_disc, key_angle, key_laplace = jax.random.split(key, 3)
  alpha = jnp.asarray(alpha, jnp.float32)
  a = jnp.where(alpha > 0, alpha, 1)
  gap = jax.random.uniform(key_disc, (num,)) ** (2 / (2 * a + 1))
  angle = jax.random.uniform(key_angle, (num,), maxval=jnp.pi)
  logit = 2 * jnp.arctanh(jnp.sqrt(1 - gap) * jnp.cos(angle))
  logit = logit + jax.random.laplace(key_laplace, (num,)) / a
  return jnp.where(alpha > 0, jax.nn.sigmoid(jnp.abs(logit)), 1)


def _moments(features):
  """Mean and standard deviation of each dimension; 1 where it is constant."""
  wide = similarity.to_accumulator(features)
  mean = jnp.mean(wide, axis=0, keepdims=True)
  deviation = jnp.std(wide, axis=0, keepdims=True)
  # What rounding the mean leaves is no deviation.
  tiny = 8 * jnp.finfo(wide.dtype).eps * jnp.abs(mean)
  return mean, jnp.where(deviation > tiny, deviation, 1)
