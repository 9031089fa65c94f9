import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.data import importance_split

_PARTIES = 4


@pytest.mark.slow
def test_alpha_of_the_weights_is_what_was_asked_for():
  alphas = jnp.array([0.1, 0.5, 1.0])
  keys = jax.random.split(jax.random.key(0), (3, 30_000))
  draw = lambda key, alpha: importance_split.draw_weights(key, _PARTIES, alpha)
  weights = jax.jit(jax.vmap(jax.vmap(draw, (0, None))))(keys, alphas)
  found = jax.vmap(importance_split.estimate_alpha)(weights)
  np.testing.assert_allclose(found, alphas, atol=0.02)


@pytest.mark.parametrize('alpha', [0.1, 1.0])
def test_alpha_of_the_splits_is_what_was_asked_for(alpha):
  # With features of equal importance and their finite number taken into
  # account: M features after the first of each party have the variance of a
  # Dirichlet-multinomial, M p (1 - p) (M + P alpha) / (1 + P alpha).
  num_features = 100
  keys = jax.random.split(jax.random.key(1), 10_000)
  assign = lambda key: importance_split.assign(
    key, num_features, _PARTIES, alpha
  )
  counts = jax.vmap(lambda x: jnp.bincount(x, length=_PARTIES))(
    jax.vmap(assign)(keys)
  )
  assert counts.min() == 1
  np.testing.assert_allclose(counts.mean(0), 25, atol=1.5)
  rest = num_features - _PARTIES
  variance = np.mean((np.asarray(counts, float) - 25) ** 2)
  share = 1 / _PARTIES
  ratio = variance / (rest * share * (1 - share))
  found = (rest - ratio) / (_PARTIES * (ratio - 1))
  np.testing.assert_allclose(found, alpha, atol=0.02)


def test_estimate_is_the_formula_of_the_paper():
  rng = np.random.default_rng(0)
  shares = rng.dirichlet(np.full(3, 0.7), size=5)
  variance = shares.var(axis=1).mean()
  expected = (3 - 1 - 3**2 * variance) / (3**3 * variance)
  np.testing.assert_allclose(
    importance_split.estimate_alpha(shares), expected, rtol=1e-5
  )


def test_tiny_alpha_leaves_one_feature_to_all_but_one():
  parties = importance_split.assign(jax.random.key(2), 50, 5, 1e-3)
  assert np.sort(np.bincount(parties)).tolist() == [1, 1, 1, 1, 46]
