from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from splitjax import attacks


def _nearest(vectors, aux_vectors, aux_labels, metric):
  """The attack as a loop in float64."""
  labels = []
  for vector in np.asarray(vectors, float):
    scores = []
    for aux in np.asarray(aux_vectors, float):
      if metric == 'euclidean':
        scores.append(-np.linalg.norm(vector - aux))
      else:
        norms = np.linalg.norm(vector) * np.linalg.norm(aux)
        scores.append(vector @ aux / norms if norms > 0 else 0.0)
    labels.append(aux_labels[int(np.argmax(scores))])
  return np.array(labels)


def _draw(seed, num_vectors=20, num_aux=6, width=4):
  rng = np.random.default_rng(seed)
  return (
    rng.normal(size=(num_vectors, width)).astype(np.float32),
    rng.normal(size=(num_aux, width)).astype(np.float32),
    rng.integers(0, 5, num_aux),
  )


class NearestLabelsTest(parameterized.TestCase):
  @parameterized.product(
    metric=['cosine', 'euclidean'],
    dtype=['float32', 'bfloat16'],
    shape=[(1, 1, 1), (20, 6, 4), (50, 30, 64)],
  )
  def test_matches_a_loop(self, metric, dtype, shape):
    vectors, aux_vectors, aux_labels = _draw(0, *shape)
    vectors, aux_vectors = (
      jnp.asarray(x, dtype) for x in (vectors, aux_vectors)
    )
    actual = attacks.nearest_labels(
      vectors, aux_vectors, aux_labels, metric=metric
    )
    expected = _nearest(vectors, aux_vectors, aux_labels, metric)
    np.testing.assert_array_equal(actual, expected)

  def test_vmap_over_draws_equals_a_loop(self):
    vectors = _draw(0)[0]
    draws = [_draw(seed)[1:] for seed in range(3)]
    aux_vectors, aux_labels = (np.stack(x) for x in zip(*draws, strict=True))
    actual = jax.vmap(attacks.nearest_labels, (None, 0, 0))(
      vectors, aux_vectors, aux_labels
    )
    expected = [attacks.nearest_labels(vectors, *draw) for draw in draws]
    np.testing.assert_array_equal(actual, np.stack(expected))

  @hypothesis.given(
    st.integers(0, 1000), st.sampled_from([1e-15, 1e-4, 3.0, 1e12])
  )
  def test_cosine_ignores_lengths(self, seed, scale):
    vectors, aux_vectors, aux_labels = _draw(seed)
    np.testing.assert_array_equal(
      attacks.nearest_labels(vectors * scale, aux_vectors, aux_labels),
      attacks.nearest_labels(vectors, aux_vectors / scale, aux_labels),
    )

  @hypothesis.given(st.integers(0, 1000))
  def test_metrics_agree_on_unit_vectors(self, seed):
    vectors, aux_vectors, aux_labels = _draw(seed)
    vectors, aux_vectors = map(attacks.unit_normalize, (vectors, aux_vectors))
    np.testing.assert_array_equal(
      attacks.nearest_labels(vectors, aux_vectors, aux_labels),
      attacks.nearest_labels(
        vectors, aux_vectors, aux_labels, metric='euclidean'
      ),
    )

  @hypothesis.given(st.integers(0, 1000), st.permutations(range(20)))
  def test_permuting_rows_permutes_the_answer(self, seed, order):
    vectors, aux_vectors, aux_labels = _draw(seed)
    labels = attacks.nearest_labels(vectors, aux_vectors, aux_labels)
    np.testing.assert_array_equal(
      attacks.nearest_labels(vectors[np.array(order)], aux_vectors, aux_labels),
      labels[np.array(order)],
    )

  @parameterized.parameters('cosine', 'euclidean')
  def test_ties_go_to_the_first(self, metric):
    labels = attacks.nearest_labels(
      jnp.ones((2, 3)), jnp.ones((4, 3)), jnp.array([3, 1, 2, 0]), metric=metric
    )
    np.testing.assert_array_equal(labels, [3, 3])

  def test_zero_vector_has_cosine_zero(self):
    aux_vectors = jnp.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    vectors = jnp.array([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    with jax.debug_nans(True):
      labels = attacks.nearest_labels(vectors, aux_vectors, jnp.arange(3))
    # All tie, the third is nearest, all are orthogonal.
    np.testing.assert_array_equal(labels, [0, 2, 0])

  def test_far_from_zero_euclidean_stays_exact(self):
    vectors, aux_vectors, aux_labels = _draw(0)
    actual = attacks.nearest_labels(
      vectors + 1000, aux_vectors + 1000, aux_labels, metric='euclidean'
    )
    expected = _nearest(vectors, aux_vectors, aux_labels, 'euclidean')
    np.testing.assert_array_equal(actual, expected)

  @parameterized.named_parameters(
    ('vectors_rank', dict(vectors=jnp.ones(4)), 'vectors must have shape'),
    ('aux_rank', dict(aux_vectors=jnp.ones(4)), 'aux_vectors must have shape'),
    (
      'width',
      dict(aux_vectors=jnp.ones((6, 3))),
      'aux_vectors must be as wide',
    ),
    ('labels', dict(aux_labels=jnp.arange(5)), 'aux_labels must have shape'),
    ('label_type', dict(aux_labels=jnp.ones(6)), 'aux_labels must be integers'),
    ('metric', dict(metric='manhattan'), "metric must be .* got 'manhattan'"),
    (
      'precision',
      dict(precision='low'),
      "precision must be .* got 'low'",
    ),
    (
      'no_aux',
      dict(aux_vectors=jnp.ones((0, 4)), aux_labels=jnp.arange(0)),
      'aux_labels must have .* at least one',
    ),
  )
  def test_bad_argument_is_named_at_trace_time(self, change, message):
    vectors, aux_vectors, aux_labels = _draw(0)
    kwargs = dict(
      vectors=vectors, aux_vectors=aux_vectors, aux_labels=aux_labels
    )
    with self.assertRaisesRegex(ValueError, message):
      jax.eval_shape(lambda: attacks.nearest_labels(**{**kwargs, **change}))


class NearestScoresTest(parameterized.TestCase):
  @parameterized.product(
    metric=['cosine', 'euclidean'], dtype=['float32', 'bfloat16']
  )
  def test_largest_is_the_nearest_label(self, metric, dtype):
    vectors, aux_vectors, aux_labels = _draw(0, 60, 12, 16)
    vectors = jnp.asarray(vectors, dtype)
    aux_vectors = jnp.asarray(aux_vectors, dtype)
    score_fn = lambda x: attacks.nearest_scores(
      x, aux_vectors, aux_labels, num_classes=6, metric=metric
    )
    scores = jax.jit(score_fn)(vectors)
    labels = attacks.nearest_labels(
      vectors, aux_vectors, aux_labels, metric=metric
    )
    assert scores.shape == (60, 6)
    np.testing.assert_array_equal(jnp.argmax(scores, axis=1), labels)
    assert np.isneginf(scores[:, 5]).all()  # A class without any.
    stacked = jax.vmap(score_fn)(jnp.stack([vectors, vectors[::-1]]))
    np.testing.assert_allclose(stacked[1], scores[::-1], rtol=1e-2, atol=1e-3)

  def test_cosine_is_the_cosine(self):
    vectors = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    scores = attacks.nearest_scores(
      vectors, 7 * jnp.eye(2), jnp.arange(2), num_classes=2
    )
    np.testing.assert_allclose(scores, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
