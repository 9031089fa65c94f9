import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import attacks
from splitjax import metrics


def _norm(vectors, aux_vectors, aux_labels):
  length = lambda x: np.array([np.sqrt(sum(v**2)) for v in np.float64(x)])
  known = length(aux_vectors)
  high, low = known[aux_labels == 1].mean(), known[aux_labels == 0].mean()
  return (length(vectors) - (high + low) / 2) * (1 if high >= low else -1)


def _direction(vectors, aux_vectors, aux_labels):
  unit = lambda v: v / np.linalg.norm(v) if np.linalg.norm(v) else v
  hints = [unit(v) for v in np.float64(aux_vectors)[aux_labels == 1]]
  return np.array(
    [np.mean([unit(v) @ h for h in hints]) for v in np.float64(vectors)]
  )


def _inner_product(vectors, aux_vectors, aux_labels):
  vectors, hints = np.float64(vectors), np.float64(aux_vectors)
  scale = (np.abs(vectors).max() or 1) * (np.abs(hints).max() or 1)
  known = hints[aux_labels == 1]
  return np.array([np.mean([v @ h for h in known]) for v in vectors]) / scale


ATTACKS = [
  (attacks.norm_scores, _norm),
  (attacks.direction_scores, _direction),
  (attacks.inner_product_scores, _inner_product),
]


def _draw(seed, num=30, hints=3, width=5):
  rng = np.random.default_rng(seed)
  return (
    rng.normal(size=(num, width)).astype(np.float32),
    rng.normal(size=(2 * hints, width)).astype(np.float32),
    np.repeat([0, 1], hints),
  )


@pytest.mark.parametrize('score_fn, reference', ATTACKS)
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('shape', [(1, 1, 1), (30, 1, 5), (40, 5, 3)])
def test_matches_a_loop(score_fn, reference, dtype, shape):
  vectors, aux_vectors, aux_labels = _draw(0, *shape)
  vectors, aux_vectors = (jnp.asarray(x, dtype) for x in (vectors, aux_vectors))
  actual = score_fn(vectors, aux_vectors, aux_labels)
  expected = reference(vectors, aux_vectors, aux_labels)
  atol = {'float32': 1e-5, 'bfloat16': 1e-2}[dtype]
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=atol)


@pytest.mark.parametrize('score_fn, _', ATTACKS)
def test_vmap_over_draws_equals_a_loop(score_fn, _):
  draws = [_draw(seed) for seed in range(3)]
  actual = jax.vmap(score_fn)(*(np.stack(x) for x in zip(*draws, strict=True)))
  for one, draw in zip(actual, draws, strict=True):
    np.testing.assert_allclose(one, score_fn(*draw), rtol=1e-5, atol=1e-6)


@hypothesis.given(seed=st.integers(0, 20), power=st.integers(-25, 15))
def test_scale_changes_no_ranking(seed, power):
  vectors, aux_vectors, aux_labels = _draw(seed)
  for score_fn, _ in ATTACKS:
    scores = score_fn(vectors, aux_vectors, aux_labels)
    factor = np.float32(10.0**power)
    scaled = score_fn(factor * vectors, factor * aux_vectors, aux_labels)
    truth = np.arange(30) % 2
    np.testing.assert_allclose(
      metrics.auc(scaled, truth), metrics.auc(scores, truth), atol=5e-3
    )


def test_rarer_class_is_read_off_the_norm_and_each_off_the_direction():
  """What the two were made for: gradients (p - y) u of an unsure model."""
  rng = np.random.default_rng(0)
  truth = (rng.random(600) < 0.1).astype(int)
  error = np.where(truth == 1, -0.9, 0.1) * rng.uniform(0.8, 1.2, 600)
  vectors = (error[:, None] * rng.normal(size=8)[None]).astype(np.float32)
  known = np.array([np.argmin(truth), np.argmax(truth)])
  for score_fn, _ in ATTACKS:
    scores = score_fn(vectors, vectors[known], truth[known])
    assert metrics.auc(scores, truth) == 1
    np.testing.assert_array_equal(scores > 0, truth == 1)


def test_zero_vectors_are_scored():
  vectors, aux_vectors, aux_labels = _draw(0)
  vectors[0] = 0
  for score_fn, reference in ATTACKS:
    for known in (aux_vectors, 0 * aux_vectors):
      np.testing.assert_allclose(
        score_fn(vectors, known, aux_labels),
        reference(vectors, known, aux_labels),
        rtol=1e-4,
        atol=1e-5,
      )


@pytest.mark.parametrize('score_fn, _', ATTACKS)
def test_wrong_shapes_are_named(score_fn, _):
  vectors, aux_vectors, aux_labels = _draw(0)
  with pytest.raises(ValueError, match='aux_vectors must be as wide'):
    score_fn(vectors, aux_vectors[:, :2], aux_labels)
  with pytest.raises(ValueError, match='aux_labels must have shape'):
    score_fn(vectors, aux_vectors, aux_labels[:2])
