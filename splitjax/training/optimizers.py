"""Optimizers by name: those that a learning rate alone makes."""

from collections.abc import Callable

import optax

OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
  fn.__name__: fn
  for fn in (
    optax.sgd,
    optax.adabelief,
    optax.adadelta,
    optax.adafactor,
    optax.adagrad,
    optax.adam,
    optax.adamax,
    optax.adamaxw,
    optax.adamw,
    optax.adan,
    optax.amsgrad,
    optax.fromage,
    optax.lamb,
    optax.lars,
    optax.lion,
    optax.novograd,
    optax.radam,
    optax.rmsprop,
    optax.rprop,
    optax.sign_sgd,
    optax.signum,
    optax.sm3,
    optax.yogi,
  )
}
