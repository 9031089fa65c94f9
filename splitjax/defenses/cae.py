"""CAE: the confusional autoencoder, which trains on a code of the labels.

Zou et al., "Defending batch-level label inference and replacement attacks in
vertical federated learning" (IEEE Transactions on Big Data, 2022,
https://arxiv.org/abs/2112.05409). The label party trains its model on codes:
`encode` gives each class a soft label that spreads over other classes. It reads
the model's outputs with `answers`. The code is fixed, so it hides which class
is which, but not which samples are of one class. The paper's DCAE is this
defense composed with cut gradients that are rounded to a grid.
"""

import numbers
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
import optax

PyTree = Any
_DECODING_WEIGHT = 10.0


class Params(NamedTuple):
  """The autoencoder, which the label party keeps to itself.

  Attributes:
    encoder: Flax variables of the encoder.
    decoder: Flax variables of the decoder.
  """

  encoder: PyTree
  decoder: PyTree


def fit(
  key: jax.Array,
  *,
  num_classes: int,
  entropy_weight: jax.typing.ArrayLike,
  num_steps: int = 500,
  learning_rate: jax.typing.ArrayLike = 1e-3,
  num_hidden: int | None = None,
) -> Params:
  r"""Fit the autoencoder to the one-hot labels of all classes.

  A pure function with one loop: `jax.jit` it, and `jax.vmap` it over keys and
  weights.

  Encoder and decoder are perceptrons with one hidden layer of ReLUs. The code
  $\tilde y$ of a class $y$ is the softmax of the encoder's output, and $\hat y$
  is what the decoder makes of the code. The loss is the mean over classes of

  $$10 \, CE(y, \hat y) - \log(1 - \tilde y_y) - w H(\tilde y).$$

  The paper subtracts $CE(y, \tilde y)$ instead of the second term. That has no
  minimum; both push the class out of its own code. The authors' program trains
  on random soft labels that are sharpened, and weights the first term by 10, as
  here.

  Args:
    key: random key for the initial parameters.
    num_classes: number of classes `C`, at least 2.
    entropy_weight: weight $w$ of the codes' entropy in nats, at least 0. At 0
      only the second term confuses the classes. Codes of high entropy differ
      little, so far above the authors' range of 0.1 to 2 the decoder may fail
      to tell them apart.
    num_steps: number of Adam steps, each on all classes.
    learning_rate: learning rate of Adam.
    num_hidden: width of the hidden layers; `(6 C + 2)^2` by default, as in the
      paper. For many classes that is wide: for 100 classes the authors' program
      takes `(2 C + 2)^2`.

  Returns:
    The parameters of both halves.

  Raises:
    ValueError: at trace time, if `num_classes` or `entropy_weight` is out of
      range.

  Example:
    >>> key = jax.random.key(0)
    >>> params = fit(key, num_classes=2, entropy_weight=0.5, num_hidden=32)
    >>> codes = encode(params, jnp.arange(2), num_classes=2)
    >>> codes.argmax(axis=1).tolist()
    [1, 0]
    >>> answers(jnp.log(codes), params=params).argmax(axis=1).tolist()
    [0, 1]
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
  # pyrefly: ignore[bad-argument-type]
  optimizer = optax.adam(learning_rate)
  grad_fn = jax.grad(_loss)

  Carry = tuple[Params, optax.OptState]

  def step(carry: Carry, _: None) -> tuple[Carry, None]:
    params, state = carry
    grads = grad_fn(params, one_hot, entropy_weight)
    updates, state = optimizer.update(grads, state)
    # pyrefly: ignore[bad-return]
    return (optax.apply_updates(params, updates), state), None

  carry = (params, optimizer.init(params))
  (params, _), _ = jax.lax.scan(step, carry, length=num_steps)
  return params


def encode(params: Params, labels: jax.Array, *, num_classes: int) -> jax.Array:
  """Return the codes of labels, to train on instead of the labels.

  Args:
    params: parameters from `fit`.
    labels: classes, integers in `[0, C)`, `[B]`.
    num_classes: number of classes, `C`.

  Returns:
    Soft labels `[B, C]` in float32.

  Raises:
    ValueError: at trace time, if the labels are not integers.

  Example:
    >>> key = jax.random.key(0)
    >>> params = fit(key, num_classes=3, entropy_weight=1.0, num_steps=1)
    >>> codes = encode(params, jnp.array([2, 0]), num_classes=3)
    >>> codes.shape, bool(jnp.allclose(codes.sum(axis=1), 1))
    ((2, 3), True)
  """
  if not jnp.issubdtype(labels.dtype, jnp.integer):
    raise ValueError(f'labels must be integers, got {labels.dtype}.')
  codes = jax.nn.softmax(_apply(params.encoder, jnp.eye(num_classes)))
  return codes[labels]


def answers(logits: jax.Array, *, params: Params) -> jax.Array:
  """Decode the logits of a model that was trained on codes.

  Args:
    logits: logits of the model, `[B, C]`.
    params: parameters from `fit`.

  Returns:
    Logits `[B, C]` of the true classes, in the type of `logits`.

  Example:
    The model is certain of class 1, whose code is mainly class 0.

    >>> key = jax.random.key(0)
    >>> params = fit(key, num_classes=2, entropy_weight=0.5, num_hidden=32)
    >>> answers(jnp.array([[9.0, -9.0]]), params=params).argmax().tolist()
    1
  """
  codes = jax.nn.softmax(logits.astype(jnp.float32))
  return _apply(params.decoder, codes).astype(logits.dtype)


def _perceptron(num_hidden: int, num_classes: int) -> nn.Module:
  """Return a perceptron with one hidden layer."""
  return nn.Sequential([nn.Dense(num_hidden), nn.relu, nn.Dense(num_classes)])


def _apply(variables: PyTree, x: jax.Array) -> jax.Array:
  """Apply the perceptron that has these variables."""
  num_hidden, num_classes = variables['params']['layers_2']['kernel'].shape
  # pyrefly: ignore[bad-return]
  return _perceptron(num_hidden, num_classes).apply(variables, x)


def _loss(
  params: Params, one_hot: jax.Array, entropy_weight: jax.typing.ArrayLike
) -> jax.Array:
  """Return the loss that `fit` minimises, a scalar."""
  log_codes = jax.nn.log_softmax(_apply(params.encoder, one_hot))
  codes = jnp.exp(log_codes)
  decoded = _apply(params.decoder, codes)
  decoding = optax.softmax_cross_entropy(decoded, one_hot)
  # log(1 - p_y) is the log of the other classes' sum. Written so, it and its
  # gradient are precise even where p_y is nearly 1.
  others = jax.nn.logsumexp(log_codes, axis=-1, where=one_hot < 0.5)
  entropy = -jnp.sum(codes * log_codes, axis=-1)
  losses = _DECODING_WEIGHT * decoding - others - entropy_weight * entropy
  return jnp.mean(losses)
