import hypothesis
from hypothesis import strategies
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import linear_model

from splitjax import attacks
from splitjax.attacks import ridge


def _problem(seed, num_aux, width=8, num=100):
  rng = np.random.default_rng(seed)
  vectors = rng.normal(size=(num, width)) * rng.uniform(0.1, 10, width) + 5
  targets = vectors @ rng.normal(size=width) / 10 + rng.normal(size=num)
  vectors, targets = np.float32(vectors), np.float32(targets)
  return vectors, vectors[:num_aux], targets[:num_aux], targets


def _reference(vectors, aux_vectors, aux_targets):
  """Scikit-learn's, on columns standardised by hand."""
  vectors, aux_vectors = np.float64(vectors), np.float64(aux_vectors)
  mean, std = vectors.mean(0), vectors.std(0)
  std = np.where(std > 0, std, np.inf)
  vectors, aux_vectors = (vectors - mean) / std, (aux_vectors - mean) / std
  size = np.sum((aux_vectors - aux_vectors.mean(0)) ** 2) / len(aux_vectors)
  model = linear_model.RidgeCV(alphas=size * np.array(ridge._PENALTIES))
  return model.fit(aux_vectors, aux_targets).predict(vectors)


@pytest.mark.parametrize('num_aux', [3, 5, 12, 40])
def test_equals_scikit_learn(num_aux):
  for seed in range(3):
    *args, _ = _problem(seed, num_aux)
    np.testing.assert_allclose(
      attacks.ridge_targets(*args), _reference(*args), rtol=1e-3, atol=1e-3
    )


def test_vmap_equals_a_loop():
  problems = [_problem(seed, 6)[:3] for seed in range(3)]
  found = jax.vmap(attacks.ridge_targets)(
    *map(np.stack, zip(*problems, strict=True))
  )
  for one, args in zip(found, problems, strict=True):
    np.testing.assert_allclose(
      one, attacks.ridge_targets(*args), rtol=1e-4, atol=1e-4
    )


@hypothesis.given(strategies.floats(1e-3, 1e3), strategies.floats(-1e3, 1e3))
def test_units_of_targets_do_not_matter(scale, shift):
  vectors, aux_vectors, aux_targets, _ = _problem(0, 7)
  plain = attacks.ridge_targets(vectors, aux_vectors, aux_targets)
  moved = attacks.ridge_targets(
    vectors, aux_vectors, np.float32(scale * aux_targets + shift)
  )
  tolerance = 1e-3 * scale + 1e-4 * abs(shift)
  np.testing.assert_allclose(moved, scale * plain + shift, atol=tolerance)


@pytest.mark.parametrize('factor', [1e-15, 1e3])
def test_lengths_of_vectors_do_not_matter(factor):
  vectors, aux_vectors, aux_targets, _ = _problem(0, 7)
  found = attacks.ridge_targets(
    np.float32(factor * vectors), np.float32(factor * aux_vectors), aux_targets
  )
  expected = _reference(vectors, aux_vectors, aux_targets)
  np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)


def test_equal_vectors_and_bfloat16_are_finite():
  with jax.debug_nans(True):
    found = attacks.ridge_targets(
      jnp.ones((5, 2), jnp.bfloat16),
      jnp.ones((3, 2), jnp.bfloat16),
      jnp.arange(3.0),
    )
  np.testing.assert_allclose(found, np.ones(5), rtol=1e-6)
  assert found.dtype == jnp.float32


def test_bad_arguments_are_named():
  vectors = jnp.ones((5, 2))
  with pytest.raises(ValueError, match='known samples must be at least 3'):
    attacks.ridge_targets(vectors, vectors[:2], jnp.ones(2))
  with pytest.raises(ValueError, match='aux_targets must be floating of shape'):
    attacks.ridge_targets(vectors, vectors[:3], jnp.ones(3, int))
  with pytest.raises(ValueError, match='aux_vectors must be as wide'):
    attacks.ridge_targets(vectors, jnp.ones((3, 3)), jnp.ones(3))
