"""CAE: the confusional autoencoder, which trains on a code of the labels.

Zou et al., "Defending batch-level label inference and replacement attacks in
vertical federated learning" (IEEE Transactions on Big Data, 2022,
https://arxiv.org/abs/2112.05409). The label party trains its model on the soft
label `encode` gives for each class, which spreads over other classes, and reads
the model's answers with `answers`. The code is fixed: it hides which class is
which, not which samples are of one class. The paper's DCAE is this with cut
gradients rounded to a grid, so a composition of two defenses.
"""

import numbers
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
import optax

_DECODING_WEIGHT = 10.0


class Params(NamedTuple):
  """What the label party keeps to itself.

  Attributes:
    encoder: parameters of the encoder.
    decoder: parameters of the decoder.
  """

  encoder: Any
  decoder: Any


def fit(
  key: jax.Array,
  *,
  num_classes: int,
  entropy_weight: jax.typing.ArrayLike,
  num_steps: int = 500,
  learning_rate: jax.typing.ArrayLike = 1e-3,
  num_hidden: int | None = None,
) -> Params:
  r"""Fits the autoencoder to the one-hot labels of all classes.

  Pure, and one loop: `jax.jit` it, and `jax.vmap` it over keys and weights.

  Both halves are perceptrons of one hidden layer of ReLUs. With the code
  $\tilde y$, the softmax of what the encoder makes of the class $y$, and the
  decoder's reading of it, $\hat y$, the loss is the mean over classes of

  $$10 \, CE(y, \hat y) - \log(1 - \tilde y_y) - w H(\tilde y).$$

  The paper subtracts $CE(y, \tilde y)$, which has no minimum, where the second
  term is added: both push the class out of its own code. The authors train on
  sharpened random soft labels and weight the first term by 10, as here.

  Args:
    key: the random key.
    num_classes: `C`, at least 2.
    entropy_weight: `w`, of the entropy of the codes in nats; at 0 only the
      second term confuses. Codes of high entropy differ little: far above the
      authors' 0.1 to 2, the decoder may fail to tell them apart.
    num_steps: of Adam, each on all classes.
    learning_rate: of Adam.
    num_hidden: width of the hidden layers, `(6 C + 2)^2` by default as in the
      paper. That is much for many classes: the authors' code takes
      `(2 C + 2)^2` for 100.

  Returns:
    The parameters.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  if num_classes < 2:
    raise ValueError(f'num_classes must be at least 2, got {num_classes}.')
  if isinstance(entropy_weight, numbers.Real) and not entropy_weight >= 0:
    raise ValueError(
      f'entropy_weight must be at least 0, got {entropy_weight}.'
    )
  if num_hidden is None:
    num_hidden = (6 * num_classes + 2) ** 2
  one_hot = jnp.eye(num_classes)
  init = _perceptron(num_hidden, num_classes).init
  params = Params(*(init(k, one_hot) for k in jax.random.split(key)))
  optimizer = optax.adam(learning_rate)
  grad_fn = jax.grad(_loss)

  def step(carry, _):
    params, state = carry
    grads = grad_fn(params, one_hot, entropy_weight)
    updates, state = optimizer.update(grads, state)
    return (optax.apply_updates(params, updates), state), None

  carry = (params, optimizer.init(params))
  (params, _), _ = jax.lax.scan(step, carry, length=num_steps)
  return params


def encode(params: Params, labels: jax.Array, *, num_classes: int) -> jax.Array:
  """The codes of labels: what to train on instead.

  Args:
    params: from `fit`.
    labels: integers in `[0, C)`, `[B]`.
    num_classes: `C`.

  Returns:
    Soft labels `[B, C]` in float32.

  Raises:
    ValueError: at trace time, if the labels are not integers.
  """
  if not jnp.issubdtype(labels.dtype, jnp.integer):
    raise ValueError(f'labels must be integers, got {labels.dtype}.')
  codes = jax.nn.softmax(_apply(params.encoder, jnp.eye(num_classes)))
  return codes[labels]


def answers(logits: jax.Array, *, params: Params) -> jax.Array:
  """Logits of the true classes, from those of a model trained on codes.

  Args:
    logits: of the model, `[B, C]`.
    params: from `fit`.

  Returns:
    Logits `[B, C]`, in the type of `logits`.
  """
  codes = jax.nn.softmax(logits.astype(jnp.float32))
  return _apply(params.decoder, codes).astype(logits.dtype)


def _perceptron(num_hidden, num_classes):
  return nn.Sequential([nn.Dense(num_hidden), nn.relu, nn.Dense(num_classes)])


def _apply(variables, x):
  num_hidden, num_classes = variables['params']['layers_2']['kernel'].shape
  return _perceptron(num_hidden, num_classes).apply(variables, x)


def _loss(params, one_hot, entropy_weight):
  log_codes = jax.nn.log_softmax(_apply(params.encoder, one_hot))
  codes = jnp.exp(log_codes)
  decoded = _apply(params.decoder, codes)
  decoding = optax.softmax_cross_entropy(decoded, one_hot)
  # log(1 - p_y) as the logarithm of what the other classes have, which keeps
  # its digits, and its gradient, where p_y is nearly 1.
  others = jax.nn.logsumexp(log_codes, axis=-1, where=one_hot < 0.5)
  entropy = -jnp.sum(codes * log_codes, axis=-1)
  losses = _DECODING_WEIGHT * decoding - others - entropy_weight * entropy
  return jnp.mean(losses)
