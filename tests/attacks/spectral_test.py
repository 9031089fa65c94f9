import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import attacks
from splitjax import metrics

KEY = jax.random.key(0)


def _vectors(seed, num=60, width=7):
  """Variances that fall by a fourth from one direction to the next."""
  rng = np.random.default_rng(seed)
  turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
  scales = 0.5 ** np.arange(width)
  vectors = (rng.normal(size=(num, width)) * scales[None]) @ turn + 3
  return vectors.astype(np.float32)


def _directions(vectors, num):
  centred = np.float64(vectors) - np.float64(vectors).mean(0, keepdims=True)
  return np.linalg.svd(centred, full_matrices=False)[2][:num]


@pytest.mark.parametrize('num', [1, 3, 7])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_directions_are_the_singular_vectors(num, dtype):
  vectors = jnp.asarray(_vectors(0), dtype)
  actual = attacks.top_directions(KEY, vectors, num_directions=num)
  expected = _directions(vectors, num)
  np.testing.assert_allclose(
    np.abs(np.sum(actual * expected, axis=1)), 1, atol=1e-4
  )
  np.testing.assert_allclose(actual @ actual.T, np.eye(num), atol=1e-5)


@pytest.mark.parametrize('shape', [(1500, 1200), (300, 1300), (40, 1200)])
@pytest.mark.parametrize('num', [2, 5])
def test_directions_of_wide_vectors_explain_as_much(shape, num):
  """Found by iteration, among the vectors, and where there are few of them."""
  rng = np.random.default_rng(0)
  vectors = rng.normal(size=shape).astype(np.float32)
  vectors[:, :2] += 3 * rng.integers(0, 2, (shape[0], 2))
  actual = attacks.top_directions(KEY, vectors, num_directions=num)
  centred = vectors - vectors.mean(axis=0, keepdims=True)
  expected = _directions(vectors, num)
  explained = [np.sum((centred @ x.T) ** 2, axis=0) for x in (actual, expected)]
  np.testing.assert_allclose(explained[0][:2], explained[1][:2], rtol=5e-3)
  # The others are of the noise, and nearly equally strong.
  np.testing.assert_allclose(*explained, rtol=0.03)
  np.testing.assert_allclose(actual @ actual.T, np.eye(num), atol=1e-5)


def test_weak_directions_are_found_among_many_of_noise():
  """The last subspace of as many iterations holds two thirds of them."""
  rng = np.random.default_rng(1)
  means = rng.normal(size=(4, 1200)) * 2.4 / 1200**0.5
  truth = rng.integers(0, 4, 1400)
  vectors = (means[truth] + rng.normal(size=(1400, 1200))).astype(np.float32)
  found, exact = (
    np.sum((means @ np.asarray(x).T) ** 2)
    for x in (
      attacks.top_directions(KEY, vectors, num_directions=4),
      _directions(vectors, 4),
    )
  )
  assert found > 0.9 * exact


@pytest.mark.parametrize('power', [-30, 0, 15])
def test_directions_do_not_depend_on_the_scale(power):
  vectors = _vectors(1) * np.float32(10.0**power)
  actual = attacks.top_directions(KEY, vectors, num_directions=1)
  assert abs(np.sum(actual * _directions(vectors, 1))) > 0.999


def _reference_scores(vectors, aux_vectors, aux_labels):
  """In float64, with a singular value decomposition."""
  (direction,) = _directions(vectors, 1)
  known = np.float64(aux_vectors) @ direction
  ends = [known[aux_labels == c].mean() for c in (0, 1)]
  sign = 1 if ends[1] >= ends[0] else -1
  return sign * (np.float64(vectors) @ direction - np.mean(ends))


def _two_classes(seed, gap=6.0):
  rng = np.random.default_rng(seed)
  truth = rng.integers(0, 2, 300)
  truth[:2] = [0, 1]
  vectors = rng.normal(size=(300, 5))
  vectors[:, 2] += gap * truth
  return vectors.astype(np.float32), truth


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('gap', [0.0, 6.0])
def test_scores_match_the_reference(seed, gap):
  vectors, truth = _two_classes(seed, gap)
  actual = attacks.spectral_scores(KEY, vectors, vectors[:2], truth[:2])
  expected = _reference_scores(vectors, vectors[:2], truth[:2])
  assert abs(metrics.auc(actual, truth) - metrics.auc(expected, truth)) < 0.02
  if gap:
    assert metrics.auc(actual, truth) > 0.99
    assert np.mean((actual > 0) == truth) > 0.95


def test_vmap_over_draws_equals_a_loop():
  vectors, truth = _two_classes(0)
  ends = np.array(
    [[0, 1], [np.argmin(truth[5:]) + 5, np.argmax(truth[9:]) + 9]]
  )
  scores = jax.vmap(
    lambda rows: attacks.spectral_scores(
      KEY, vectors, jnp.asarray(vectors)[rows], jnp.asarray(truth)[rows]
    )
  )(ends)
  for one, rows in zip(scores, ends, strict=True):
    np.testing.assert_allclose(
      one,
      attacks.spectral_scores(KEY, vectors, vectors[rows], truth[rows]),
      rtol=1e-3,
      atol=1e-3,
    )


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('num_classes', [2, 5])
def test_labels_of_separated_classes_are_read(num_classes, dtype):
  rng = np.random.default_rng(0)
  truth = np.arange(200) % num_classes
  means = 5 * np.eye(num_classes, 40)
  vectors = jnp.asarray(means[truth] + rng.normal(size=(200, 40)) * 0.3, dtype)
  known = np.arange(num_classes)
  labels = attacks.spectral_labels(
    KEY, vectors, vectors[known], truth[known], num_classes=num_classes
  )
  assert np.mean(labels == truth) == 1


def test_equal_vectors_are_labelled():
  vectors = np.ones((6, 3), np.float32)
  scores = attacks.spectral_scores(KEY, vectors, vectors[:2], np.array([0, 1]))
  np.testing.assert_array_equal(scores, 0)


def test_more_directions_than_numbers_are_refused():
  with pytest.raises(ValueError, match='num_directions must be .* at most 7'):
    attacks.top_directions(KEY, _vectors(0), num_directions=8)


class TestDirect:
  @pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
  def test_reads_every_label_off_the_gradient_of_the_logits(self, dtype):
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(50, 4)) * 3, jnp.float32)
    truth = rng.integers(0, 4, 50)
    grads = jax.nn.softmax(logits) - jax.nn.one_hot(truth, 4)
    read = attacks.direct_labels((grads / 50).astype(dtype))
    np.testing.assert_array_equal(read, truth)
    np.testing.assert_array_equal(
      jax.vmap(lambda g: attacks.direct_labels(g[None])[0])(grads), truth
    )

  def test_zero_gradient_has_an_answer(self):
    assert attacks.direct_labels(jnp.zeros((1, 3))).tolist() == [0]
