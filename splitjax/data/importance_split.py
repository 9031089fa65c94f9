r"""Parties whose features matter to unequal degrees: VertiBench's alpha.

Wu, Hou and He, "VertiBench" (https://arxiv.org/abs/2307.02040): each feature
goes to a party with probabilities that are drawn once, from a symmetric
Dirichlet distribution of concentration alpha. A small alpha gives nearly all to
one party, a large alpha about as much to each. First every party gets one
feature at random, so that none is empty.
"""

import functools

import jax
import jax.numpy as jnp


@functools.partial(jax.jit, static_argnames=('num_features', 'num_parties'))
def assign(
  key: jax.Array,
  num_features: int,
  num_parties: int,
  alpha: jax.typing.ArrayLike,
) -> jax.Array:
  """Give each feature to a party with probabilities of a Dirichlet draw.

  Args:
    key: random key of the split.
    num_features: number of features, `F`, at least `P`.
    num_parties: number of parties, `P`.
    alpha: concentration of the Dirichlet distribution, positive.

  Returns:
    The party of each feature, `[F]` in `[0, P)`; each party has one at least.
  """
  key_weights, key_first, key_rest = jax.random.split(key, 3)
  weights = draw_weights(key_weights, num_parties, alpha)
  parties = jax.random.categorical(
    key_rest, jnp.log(weights), shape=(num_features,)
  )
  first = jax.random.permutation(key_first, num_features)[:num_parties]
  return parties.at[first].set(jnp.arange(num_parties))


def draw_weights(
  key: jax.Array, num_parties: int, alpha: jax.typing.ArrayLike
) -> jax.Array:
  """Draw the shares of importance of the parties.

  Args:
    key: random key of the draw.
    num_parties: number of parties, `P`.
    alpha: concentration of the Dirichlet distribution, positive.

  Returns:
    Probabilities `[P]`.
  """
  return jax.random.dirichlet(key, jnp.full(num_parties, alpha))


def estimate_alpha(shares: jax.Array) -> jax.Array:
  r"""Estimate alpha from how unequal the parties' importance is.

  A share of a symmetric Dirichlet distribution has the variance
  $(P - 1) / (P^2 (\alpha P + 1))$; the paper solves this for alpha.

  Args:
    shares: importance of each party in each of several splits, `[S, P]`, of
      which each row sums to 1.

  Returns:
    Alpha, a scalar; infinite if all shares are equal.
  """
  num_parties = shares.shape[1]
  variance = jnp.mean((shares - 1 / num_parties) ** 2)
  return ((num_parties - 1) / (num_parties**2 * variance) - 1) / num_parties
