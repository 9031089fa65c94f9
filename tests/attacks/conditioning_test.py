"""Attacks on vectors of any size and offset, some of them not finite."""

from unittest import mock

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import attacks
from splitjax.attacks import conditioning
from splitjax.attacks.adapting import Draws

KEY = jax.random.key(0)
CLASSES, NUM, WIDTH = 4, 160, 8
LABELS = np.arange(CLASSES, dtype=np.int32)


def _draw(offset=0.0, scale=1.0, width=WIDTH):
  """Draws classes that are far apart, the first rows one of each class."""
  rng = np.random.default_rng(0)
  means = np.concatenate([np.eye(CLASSES), np.zeros((CLASSES, width))], axis=1)
  means = 12 * means[:, :width] @ np.linalg.qr(rng.normal(size=(width,) * 2))[0]
  truth = np.arange(NUM) % CLASSES
  points = means[truth] + rng.normal(size=(NUM, width))
  signs = rng.choice([-1, 1], width)
  return ((points + offset * signs) * scale).astype(np.float32), truth


def _nearest(vectors, metric):
  """The nearest of the first rows, in the widest floats there are."""
  vectors = vectors.astype(np.longdouble)
  if metric == 'cosine':
    vectors = vectors / np.sqrt((vectors**2).sum(axis=1, keepdims=True))
  gaps = vectors[:, None] - vectors[None, :CLASSES]
  return (gaps**2).sum(axis=-1).argmin(axis=1)


class AnyOffsetAndScaleTest(parameterized.TestCase):
  @parameterized.product(
    metric=['cosine', 'euclidean'],
    offset=[0.0, 20.0, 40.0, 1e3, 1e5, 1e6],
    scale=[1e-30, 1e-14, 1.0, 1e15, 1e30],
  )
  def test_nearest_and_clusters_are_right(self, metric, offset, scale):
    vectors, truth = _draw(offset, scale)
    known = vectors[:CLASSES], LABELS
    labels = attacks.nearest_labels(vectors, *known, metric=metric)
    expected = _nearest(vectors, metric)
    # Input far from 0 is rounded, so that a tie or two may go either way.
    assert np.mean(labels == expected) >= (1 if offset < 1e5 else 0.98)
    scores = attacks.nearest_scores(
      vectors, *known, num_classes=CLASSES, metric=metric
    )
    assert np.isfinite(scores).all()
    assert np.mean(np.argmax(scores, axis=1) == expected) >= 0.98
    clusters = attacks.cluster_labels(
      KEY, vectors, *known, num_classes=CLASSES, metric=metric
    )
    np.testing.assert_array_equal(clusters.labels, truth)
    scores = attacks.cluster_scores(vectors, clusters, metric=metric)
    np.testing.assert_array_equal(np.argmax(scores, axis=1), truth)

  @parameterized.parameters((0.0, 1e30), (1e6, 1e-30), (1e6, 1.0))
  def test_starts_and_restarts_are_compared_right(self, offset, scale):
    vectors, truth = _draw(offset, scale)
    found = attacks.cluster_labels(
      KEY,
      vectors,
      vectors[:CLASSES],
      LABELS,
      num_classes=CLASSES,
      metric='euclidean',
      init='kmeans++',
      matching='hungarian',
      num_restarts=3,
    )
    np.testing.assert_array_equal(found.labels, truth)

  @mock.patch.object(conditioning, '_MANY', 1)
  def test_many_numbers_take_the_same_way(self):
    plain, truth = (x[:-1] for x in _draw())  # A shape that is compiled anew.
    expected = attacks.kmeans(plain, plain[:CLASSES])
    scaled = plain * np.float32(2.0**80)
    found = attacks.kmeans(scaled, scaled[:CLASSES])
    for one in (expected, found):
      np.testing.assert_array_equal(one.assignments, truth)
    np.testing.assert_allclose(
      found.centroids, expected.centroids * 2.0**80, rtol=1e-5
    )

  def test_offset_of_bfloat16_is_subtracted_exactly(self):
    vectors, truth = _draw()
    rounded = jnp.asarray(vectors / 4 + 100, jnp.bfloat16)
    found = attacks.nearest_labels(rounded, rounded[:CLASSES], LABELS)
    expected = _nearest(np.asarray(rounded, np.float32), 'cosine')
    assert np.mean(found == expected) > 0.95
    clusters = attacks.kmeans(rounded, rounded[:CLASSES])
    assert np.mean(clusters.assignments == truth) > 0.9

  def test_vmapped_draws_and_seeds_are_those_alone(self):
    vectors = np.stack([_draw(0.0)[0], _draw(1e5)[0]])
    rows = np.array([[0, 1, 2, 3], [4, 5, 6, 7]])
    one = lambda x, at: attacks.nearest_labels(x, x[at], LABELS)
    found = jax.vmap(jax.vmap(one, (None, 0)), (0, None))(vectors, rows)
    for seed, each in enumerate(vectors):
      for draw, at in enumerate(rows):
        np.testing.assert_array_equal(found[seed, draw], one(each, at))

  def test_cosine_of_a_zero_vector_far_from_others_ties(self):
    vectors, _ = _draw(1e4)
    vectors[9] = 0
    known = vectors[:CLASSES], LABELS + 3
    assert attacks.nearest_labels(vectors, *known)[9] == 3
    scores = attacks.nearest_scores(vectors, *known, num_classes=7)
    np.testing.assert_array_equal(scores[9, 3:], np.zeros(CLASSES))


def _cluster(x, at):
  return attacks.cluster_labels(
    KEY, x, x[at], LABELS, num_classes=CLASSES, metric='euclidean'
  ).labels


def _scores(x, at):
  return np.argmax(
    attacks.nearest_scores(x, x[at], LABELS, num_classes=CLASSES), axis=1
  )


def _gradients(x, at):
  draws = Draws(steps=np.zeros((2, len(x)), np.int32))
  return attacks.gradient_labels(
    KEY, np.stack([x, x]), draws, at, LABELS, num_classes=CLASSES
  ).labels


def _online(x, at):
  clusters = attacks.start_online(KEY, num_clusters=CLASSES, width=WIDTH)
  found = attacks.cluster_batch(clusters, x)[1]
  return attacks.online_labels(found, at, LABELS, num_classes=CLASSES)


def _averaged(x, at):
  ids = np.stack([np.arange(NUM)] * 2)
  means = attacks.average_by_sample(np.stack([x, x]), ids)[1]
  return attacks.nearest_labels(means, means[at], LABELS)


def _head(fn):
  return lambda x, at: fn(KEY, x, x[at], LABELS, x, num_classes=CLASSES).labels


FAST = {
  'nearest': lambda x, at: attacks.nearest_labels(x, x[at], LABELS),
  'cluster': _cluster,
  'averaged': _averaged,
  'similarity': lambda x, at: (
    attacks.similarity_labels(KEY, x, at, LABELS, num_classes=CLASSES).labels
  ),
}
SLOW = {
  'online': _online,
  'spectral': lambda x, at: attacks.spectral_labels(
    KEY, x, x[at], LABELS, num_classes=CLASSES
  ),
  'gradients': _gradients,
  'transfer': _head(attacks.transfer_labels),
  'completion': _head(attacks.completion_labels),
}
_ALL = [
  *FAST,
  *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW),
]


@pytest.mark.parametrize('name', _ALL)
def test_attack_reads_any_offset_scale_and_rows_without_numbers(name):
  attack = (FAST | SLOW)[name]
  at = np.arange(CLASSES)
  for offset, scale in ((0.0, 1.0), (1e6, 1.0), (0.0, 1e-30), (0.0, 1e30)):
    vectors, truth = _draw(offset, scale)
    np.testing.assert_array_equal(attack(vectors, at), truth)
  vectors, truth = _draw(50.0)
  bad = np.zeros(NUM, bool)
  bad[20:50] = True
  vectors[20:30] = np.nan
  vectors[30:50, 3] = np.inf
  found = np.asarray(attack(vectors, at))
  np.testing.assert_array_equal(found[bad], np.full(30, -1))
  np.testing.assert_array_equal(found[~bad], truth[~bad])


class NotFiniteTest(parameterized.TestCase):
  def test_labels_without_a_sign_get_their_largest_number(self):
    vectors, _ = _draw()
    vectors[5, 0] = np.nan
    known = vectors[:CLASSES], LABELS.astype(np.uint8)
    assert attacks.nearest_labels(vectors, *known)[5] == 255

  @parameterized.parameters('cosine', 'euclidean')
  def test_auxiliary_rows_without_numbers_name_nothing(self, metric):
    vectors, _ = _draw()
    aux, labels = vectors[:8].copy(), np.arange(8, dtype=np.int32)
    aux[0], aux[6] = np.nan, np.inf
    found = attacks.nearest_labels(vectors, aux, labels, metric=metric)
    kept = [1, 2, 3, 4, 5, 7]
    expected = attacks.nearest_labels(
      vectors, aux[kept], labels[kept], metric=metric
    )
    np.testing.assert_array_equal(found, expected)
    nothing = attacks.nearest_labels(
      vectors, np.full_like(aux, np.nan), labels, metric=metric
    )
    np.testing.assert_array_equal(nothing, np.full(NUM, -1))

  def test_scores_of_rows_without_numbers_are_nan(self):
    vectors, truth = _draw()
    labels = (truth[:9] % 2).astype(np.int32)
    clean = vectors.copy()
    vectors[[4, 30]] = np.nan
    kept = [0, 1, 2, 3, 5, 6, 7, 8]
    for fn in (
      attacks.norm_scores,
      attacks.direction_scores,
      attacks.inner_product_scores,
    ):
      found = fn(vectors, vectors[:9], labels)
      expected = fn(clean, clean[:9][kept], labels[kept])
      assert np.isnan(found[30])
      rest = np.delete(np.arange(NUM), [4, 30])
      np.testing.assert_array_equal(found[rest] > 0, expected[rest] > 0)

  def test_kmeans_is_that_of_the_other_rows(self):
    vectors, _ = _draw()
    expected = attacks.kmeans(np.delete(vectors, 7, axis=0), vectors[:CLASSES])
    vectors[7, 1] = np.nan
    found = attacks.kmeans(vectors, vectors[:CLASSES])
    assert found.assignments[7] == -1
    np.testing.assert_array_equal(
      np.delete(found.assignments, 7), expected.assignments
    )
    np.testing.assert_allclose(found.inertia, expected.inertia, rtol=1e-5)
    np.testing.assert_allclose(
      found.centroids, expected.centroids, rtol=1e-4, atol=1e-5
    )

  def test_start_without_numbers_gets_no_point(self):
    vectors, _ = _draw()
    starts = vectors[:CLASSES].copy()
    starts[1] = np.nan
    found = attacks.kmeans(vectors, starts)
    assert not np.any(found.assignments == 1)
    assert np.isnan(found.centroids[1]).all()

  def test_real_targets_of_rows_without_numbers_are_nan(self):
    vectors, _ = _draw()
    targets = vectors[:30, 0]
    expected = attacks.ridge_targets(vectors, vectors[:30], targets)
    vectors[40] = np.inf
    found = attacks.ridge_targets(vectors, vectors[:30], targets)
    assert np.isnan(found[40])
    rest = np.delete(np.arange(NUM), 40)
    np.testing.assert_allclose(found[rest], expected[rest], atol=0.1)
    assert np.abs(expected).max() > 1

  def test_stream_names_the_row(self):
    vectors, _ = _draw()
    vectors[77] = np.nan
    with self.assertRaisesRegex(ValueError, 'points must be fin.* in row 77'):
      attacks.stream_kmeans(vectors, vectors[:3], chunk_size=50)

  @parameterized.parameters((1e6, 1.0), (0.0, 1e-30), (1e6, 1e25))
  def test_stream_reads_any_offset_and_scale(self, offset, scale):
    vectors, truth = _draw(offset, scale)
    found = attacks.stream_kmeans(
      vectors.astype('>f4'), vectors[:CLASSES], chunk_size=50
    )
    np.testing.assert_array_equal(found.assignments, truth)
