import functools

from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import optimize
from sklearn import cluster

from splitjax import attacks
from splitjax.attacks.kmeans import plus_plus

PAPER = dict(init='kmeans++', matching='hungarian', num_restarts=10)
MODES = [dict(), dict(matching='hungarian'), PAPER]


def _classes(
  seed=0, num_classes=4, per_class=30, width=16, num_aux=1, noise=0.3
):
  """Unit directions with noise, of random lengths; aux rows drawn apart."""
  rng = np.random.default_rng(seed)
  means = np.linalg.qr(rng.normal(size=(width, num_classes)))[0].T
  truth = np.repeat(np.arange(num_classes), per_class)
  aux_labels = np.repeat(np.arange(num_classes), num_aux)
  draw = lambda y: (
    (means[y] + noise * rng.normal(size=(len(y), width)) / np.sqrt(width))
    * np.exp(rng.normal(size=(len(y), 1)))
  ).astype(np.float32)
  return draw(truth), truth, draw(aux_labels), aux_labels


def _reference(vectors, aux_vectors, aux_labels, num_classes):
  """Scikit-learn from the auxiliary means: clusters, and votes on names."""
  normalize = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
  vectors, aux_vectors = normalize(vectors), normalize(aux_vectors)
  init = [aux_vectors[aux_labels == k].mean(0) for k in range(num_classes)]
  kmeans = cluster.KMeans(num_classes, init=np.stack(init), n_init=1)
  kmeans.fit(vectors)
  votes = np.zeros((num_classes, num_classes))
  np.add.at(votes, (kmeans.predict(aux_vectors), aux_labels), 1)
  return kmeans.labels_, votes


class ClusterLabelsTest(parameterized.TestCase):
  @parameterized.product(
    num_classes=[1, 2, 7],
    num_aux=[1, 3],
    matching=['seed', 'hungarian'],
    noise=[0.3, 1.5],
  )
  def test_equals_scikit_learn_and_scipy(
    self, num_classes, num_aux, matching, noise
  ):
    vectors, _, aux_vectors, aux_labels = _classes(
      0, num_classes, num_aux=num_aux, noise=noise
    )
    assignments, votes = _reference(
      vectors, aux_vectors, aux_labels, num_classes
    )
    actual = attacks.cluster_labels(
      jax.random.key(0),
      vectors,
      aux_vectors,
      aux_labels,
      num_classes=num_classes,
      matching=matching,
    )
    names = np.asarray(actual.cluster_labels)
    np.testing.assert_array_equal(actual.assignments, assignments)
    np.testing.assert_array_equal(actual.labels, names[assignments])
    if matching == 'seed':
      np.testing.assert_array_equal(names, np.arange(num_classes))
    else:  # Equally good assignments may differ.
      self.assertCountEqual(names, range(num_classes))
      best = optimize.linear_sum_assignment(votes, maximize=True)
      assert votes[np.arange(num_classes), names].sum() == votes[best].sum()

  @parameterized.product(mode=MODES, dtype=['float32', 'bfloat16'])
  def test_reads_separated_classes(self, mode, dtype):
    vectors, truth, aux_vectors, aux_labels = _classes()
    result = attacks.cluster_labels(
      jax.random.key(0),
      jnp.asarray(vectors, dtype),
      jnp.asarray(aux_vectors, dtype),
      aux_labels,
      num_classes=4,
      **mode,
    )
    np.testing.assert_array_equal(result.labels, truth)
    np.testing.assert_array_equal(
      result.cluster_labels[result.assignments], result.labels
    )
    assert result.inertia > 0

  @parameterized.product(mode=MODES)
  def test_vmap_over_draws_and_seeds_equals_loops(self, mode):
    attack_fn = lambda key, vectors, aux_vectors, aux_labels: (
      attacks.cluster_labels(
        key, vectors, aux_vectors, aux_labels, num_classes=4, **mode
      ).labels
    )
    keys = jax.random.split(jax.random.key(1), 2)
    vectors = np.stack([_classes(seed, noise=1.5)[0] for seed in range(2)])
    draws = [[_classes(seed + d)[2:] for d in range(3)] for seed in range(2)]
    aux_vectors = np.stack([[d[0] for d in seed] for seed in draws])
    aux_labels = np.stack([[d[1] for d in seed] for seed in draws])
    actual = jax.jit(jax.vmap(jax.vmap(attack_fn, (None, None, 0, 0))))(
      keys, vectors, aux_vectors, aux_labels
    )
    expected = [
      [attack_fn(keys[s], vectors[s], *draws[s][d]) for d in range(3)]
      for s in range(2)
    ]
    np.testing.assert_array_equal(actual, np.array(expected))

  @hypothesis.given(st.integers(0, 1000), st.permutations(range(120)))
  def test_permuting_rows_permutes_the_answer(self, seed, order):
    order = np.array(order)
    vectors, _, aux_vectors, aux_labels = _classes(seed, noise=1.0)
    run = lambda x: (
      attacks.cluster_labels(
        jax.random.key(0), x, aux_vectors, aux_labels, num_classes=4
      ).labels
    )
    np.testing.assert_array_equal(run(vectors[order]), run(vectors)[order])

  @hypothesis.given(st.integers(0, 1000), st.permutations(range(4)))
  def test_renaming_classes_renames_the_answer(self, seed, names):
    names = np.array(names)
    vectors, _, aux_vectors, aux_labels = _classes(seed, noise=1.0)
    for mode in MODES:
      run = lambda labels, mode=mode: (
        attacks.cluster_labels(
          jax.random.key(0), vectors, aux_vectors, labels, num_classes=4, **mode
        ).labels
      )
      if mode.get('init') == 'kmeans++' and seed % 4:
        continue  # Slow, and the same question.
      np.testing.assert_array_equal(
        run(names[aux_labels]), names[run(aux_labels)]
      )

  @hypothesis.given(st.integers(0, 1000))
  def test_cosine_ignores_lengths_and_equals_euclidean_on_unit_vectors(
    self, seed
  ):
    vectors, _, aux_vectors, aux_labels = _classes(seed, noise=1.0)
    lengths = np.exp(np.random.default_rng(seed).normal(size=(120, 1)) * 5)
    run = lambda x, aux, **kwargs: (
      attacks.cluster_labels(
        jax.random.key(0), x, aux, aux_labels, num_classes=4, **kwargs
      ).labels
    )
    plain = run(vectors, aux_vectors)
    scaled = (vectors * lengths).astype(np.float32)
    np.testing.assert_array_equal(run(scaled, aux_vectors), plain)
    units = map(attacks.unit_normalize, (vectors, aux_vectors))
    np.testing.assert_array_equal(run(*units, metric='euclidean'), plain)

  def test_paper_mode_takes_the_best_restart(self):
    vectors, _, aux_vectors, aux_labels = _classes(0, 7, noise=2.0)
    inertia = lambda num_restarts: (
      attacks.cluster_labels(
        jax.random.key(0),
        vectors,
        aux_vectors,
        aux_labels,
        num_classes=7,
        init='kmeans++',
        matching='hungarian',
        num_restarts=num_restarts,
      ).inertia
    )
    units = attacks.unit_normalize(vectors)
    spread = [
      plus_plus.spread_centroids(draws, units)
      for draws in plus_plus.start_draws(jax.random.key(0), 7, (10,))
    ]
    alone = [attacks.kmeans(units, start).inertia for start in spread]
    assert np.argmin(alone) > 0
    np.testing.assert_allclose(inertia(10), min(alone), rtol=1e-6)
    theirs = cluster.KMeans(7, n_init=10, random_state=0).fit(units)
    assert inertia(10) <= theirs.inertia_ * 1.01

  def test_all_zero_vectors_go_together_without_nan(self):
    vectors, truth, aux_vectors, aux_labels = _classes()
    vectors[:3] = 0
    with jax.debug_nans(True):
      labels = attacks.cluster_labels(
        jax.random.key(0), vectors, aux_vectors, aux_labels, num_classes=4
      ).labels
    assert len(set(np.asarray(labels[:3]))) == 1
    np.testing.assert_array_equal(labels[3:], truth[3:])

  def test_clusters_without_auxiliary_samples_get_the_labels_left_over(self):
    vectors, _, aux_vectors, _ = _classes()
    same = np.repeat(aux_vectors[:1], 4, axis=0)  # All in one cluster.
    for key in range(3):
      result = attacks.cluster_labels(
        jax.random.key(key), vectors, same, np.arange(4), num_classes=4, **PAPER
      )
      self.assertCountEqual(np.asarray(result.cluster_labels), range(4))

  def test_class_without_auxiliary_samples_starts_amid_the_vectors(self):
    vectors, truth, aux_vectors, aux_labels = _classes(noise=0.1)
    known = aux_labels != 2
    labels = attacks.cluster_labels(
      jax.random.key(0),
      vectors,
      aux_vectors[known],
      aux_labels[known],
      num_classes=4,
    ).labels
    np.testing.assert_array_equal(labels, truth)
    # Far from zero, a start at zero would be none of the vectors' nearest.
    far = vectors + 50
    result = attacks.cluster_labels(
      jax.random.key(0),
      far,
      far[:1],
      np.array([0]),
      num_classes=2,
      metric='euclidean',
    )
    assert len(set(np.asarray(result.labels))) == 2

  def test_one_sample_one_class(self):
    result = attacks.cluster_labels(
      jax.random.key(0), jnp.ones((1, 2)), jnp.ones((1, 2)), jnp.array([0]),
      num_classes=1, **PAPER,
    )  # fmt: skip
    np.testing.assert_array_equal(result.labels, [0])

  @parameterized.named_parameters(
    ('rank', dict(vectors=jnp.ones(4)), 'vectors must have shape'),
    (
      'width',
      dict(aux_vectors=jnp.ones((4, 3))),
      'aux_vectors must be as wide',
    ),
    ('labels', dict(aux_labels=jnp.arange(3)), 'aux_labels must have shape'),
    ('too_many', dict(num_classes=121), 'num_classes .* at most 120, got 121'),
    ('none', dict(num_classes=0), 'num_classes must be at least 1'),
    ('metric', dict(metric='l1'), "metric must be .* got 'l1'"),
    ('init', dict(init='random'), "init must be .* got 'random'"),
    ('matching', dict(matching='x'), "matching must be .* got 'x'"),
    ('restarts', dict(num_restarts=3), 'num_restarts must be 1'),
    ('seed_matching', dict(init='kmeans++'), "matching='seed' needs"),
  )
  def test_bad_argument_is_named_at_trace_time(self, change, message):
    vectors, _, aux_vectors, aux_labels = _classes()
    kwargs = dict(
      vectors=vectors,
      aux_vectors=aux_vectors,
      aux_labels=aux_labels,
      num_classes=4,
    )
    with self.assertRaisesRegex(ValueError, message):
      jax.eval_shape(
        lambda key: attacks.cluster_labels(key, **{**kwargs, **change}),
        jax.random.key(0),
      )


class HungarianTest(parameterized.TestCase):
  @parameterized.parameters(1, 2, 10, 40)
  def test_assignment_costs_what_scipys_costs(self, size):
    costs = np.random.default_rng(0).integers(0, 4, (8, size, size))
    rows, columns = jax.jit(
      jax.vmap(optax.assignment.hungarian_algorithm)
    )(costs.astype(np.float32))  # fmt: skip
    for cost, r, c in zip(costs, rows, columns, strict=True):
      assert sorted(np.asarray(c)) == list(range(size))
      best = cost[optimize.linear_sum_assignment(cost)].sum()
      assert cost[r, c].sum() == best


class ClusterScoresTest(parameterized.TestCase):
  @parameterized.product(
    metric=['cosine', 'euclidean'], matching=['seed', 'hungarian']
  )
  def test_largest_is_the_label(self, metric, matching):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 30)
    centres = 3 * rng.normal(size=(4, 6))
    vectors = centres[labels] + 0.3 * rng.normal(size=(120, 6))
    vectors = vectors.astype(np.float32)
    known = np.arange(4) * 30
    clusters = attacks.cluster_labels(
      jax.random.key(0),
      vectors,
      vectors[known],
      labels[known],
      num_classes=4,
      metric=metric,
      matching=matching,
    )
    scores = jax.jit(functools.partial(attacks.cluster_scores, metric=metric))(
      vectors, clusters
    )
    assert scores.shape == (120, 4)
    np.testing.assert_array_equal(np.argmax(scores, axis=1), clusters.labels)
    unit = vectors
    if metric == 'cosine':
      unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centroids = np.asarray(clusters.centroids)
    distance = ((unit[:, None] - centroids[None]) ** 2).sum(-1)
    by_class = distance[:, np.argsort(clusters.cluster_labels)]
    np.testing.assert_allclose(
      scores[:, :1] - scores, (by_class - by_class[:, :1]) / 2, atol=1e-3
    )
