"""An active attack: a client that trains faster than it should.

Of Fu et al., "Label inference attacks against vertical federated learning"
(USENIX Security 2022). It does not read labels itself. It makes the client's
smashed data tell more of them, for an attack that reads those afterwards
(`model_completion`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import similarity

_FLOOR = 1e-7  # As in the authors' code.


class _RatioState(NamedTuple):
  """State of the ratios.

  Attributes:
    last: gradients of the step before.
    is_first: whether no step was taken yet.
  """

  last: optax.Updates
  is_first: jax.Array


def malicious_optimizer(
  optimizer: optax.GradientTransformation,
  *,
  gamma: jax.typing.ArrayLike = 1.0,
  low: jax.typing.ArrayLike = 1.0,
  high: jax.typing.ArrayLike = 5.0,
) -> optax.GradientTransformation:
  r"""Enlarge the gradients that keep their sign, before an optimizer.

  The client follows the protocol's messages but trains its model otherwise than
  agreed, so that the top model comes to rely on it. It needs nothing but the
  gradients of its own parameters, each of which is multiplied by

  $$\mathrm{clip}(1 + \gamma g_t / (g_{t-1} + 10^{-7}), low, high),$$

  where $g_{t-1}$ is the gradient of the same parameter in the step before, as
  received (the authors' SGD remembers the enlarged one). The gradients of the
  first step are not changed.

  Args:
    optimizer: optimizer of the client's parameters, meant to be SGD: Adam
      undoes a factor that stays the same.
    gamma: factor of the ratio; with 0 and the default bounds no gradient
      changes.
    low: smallest factor of a gradient.
    high: largest factor of a gradient.

  Returns:
    The optimizer that cheats.

  Example:
    >>> optimizer = malicious_optimizer(optax.sgd(1.0))
    >>> state = optimizer.init(jnp.zeros(2))
    >>> grads = jnp.array([1.0, -1.0])
    >>> updates, state = optimizer.update(grads, state)
    >>> updates.tolist()
    [-1.0, 1.0]
    >>> updates, state = optimizer.update(jnp.array([1.0, 1.0]), state)
    >>> updates.round(3).tolist()
    [-2.0, -1.0]
  """

  def init(params: optax.Params) -> _RatioState:
    return _RatioState(jax.tree.map(jnp.zeros_like, params), jnp.array(True))

  def update(
    grads: optax.Updates, state: _RatioState, params: optax.Params | None = None
  ) -> tuple[optax.Updates, _RatioState]:
    del params

    def enlarged(grad: jax.Array, last: jax.Array) -> jax.Array:
      wide, below = map(similarity.to_accumulator, (grad, last))
      below = below + _FLOOR
      below = jnp.where(below == 0, _FLOOR, below)
      factor = jnp.clip(1 + gamma * wide / below, low, high)
      factor = jnp.where(state.is_first, 1, factor)
      return (factor * wide).astype(grad.dtype)

    scaled = jax.tree.map(enlarged, grads, state.last)
    return scaled, _RatioState(grads, jnp.array(False))

  # pyrefly: ignore[bad-argument-type]
  return optax.chain(optax.GradientTransformation(init, update), optimizer)
