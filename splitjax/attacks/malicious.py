"""An ACTIVE attack: a client that trains faster than it should.

Of Fu et al., "Label inference attacks against vertical federated learning"
(USENIX Security 2022). It does not read labels itself: it makes the client's
smashed data tell more of them, for an attack that reads those afterwards
(`model_completion`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import similarity

_FLOOR = 1e-7  # Of the authors.


class _RatioState(NamedTuple):
  """The gradients of the step before, and whether there was one."""

  last: optax.Updates
  is_first: jax.Array


def malicious_optimizer(
  optimizer: optax.GradientTransformation,
  *,
  gamma: jax.typing.ArrayLike = 1.0,
  low: jax.typing.ArrayLike = 1.0,
  high: jax.typing.ArrayLike = 5.0,
) -> optax.GradientTransformation:
  r"""Enlarges the gradients that keep their sign, before an optimizer.

  Not passive: the client follows the protocol's messages but trains its model
  otherwise than agreed, so that the top model comes to rely on it. It sees and
  needs nothing beyond the gradients of its own parameters, each of which is
  multiplied by

  $$\mathrm{clip}(1 + \gamma g_t / (g_{t-1} + 10^{-7}), low, high),$$

  where $g_{t-1}$ is what the same one was in the step before, as received (the
  authors' SGD remembers it as enlarged). The first step is left as it is.

  Args:
    optimizer: of the client's parameters; meant for SGD: Adam undoes a factor
      that stays the same.
    gamma: of the ratio; at 0 no gradient changes, with the default bounds.
    low: smallest factor.
    high: largest factor.

  Returns:
    The optimizer that cheats.
  """

  def init(params):
    return _RatioState(jax.tree.map(jnp.zeros_like, params), jnp.array(True))

  def update(grads, state, params=None):
    del params

    def enlarged(grad, last):
      wide, below = map(similarity.to_accumulator, (grad, last))
      below = below + _FLOOR
      below = jnp.where(below == 0, _FLOOR, below)
      factor = jnp.clip(1 + gamma * wide / below, low, high)
      factor = jnp.where(state.is_first, 1, factor)
      return (factor * wide).astype(grad.dtype)

    scaled = jax.tree.map(enlarged, grads, state.last)
    return scaled, _RatioState(grads, jnp.array(False))

  return optax.chain(optax.GradientTransformation(init, update), optimizer)
