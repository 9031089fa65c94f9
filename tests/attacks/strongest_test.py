import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import attacks
from splitjax import defenses
from splitjax.attacks.adapting import Draws
from splitjax.attacks.groupings import CANDIDATES
from splitjax.training.countering import Channel
from splitjax.training.countering import Counter

KEY = jax.random.key(0)
NUM, CLASSES = 240, 4
SEEDS = range(3)


def _gradients(seed, width=16, noise=0.05, num_passes=1, num=NUM):
  """Gradients of each pass around means that turn a little, and the truth."""
  rng = np.random.default_rng(seed)
  truth = rng.integers(0, CLASSES, num)
  truth[:CLASSES] = np.arange(CLASSES)
  means = rng.normal(size=(CLASSES, width)) / width**0.5
  found = []
  for _ in range(num_passes):
    means = means + 0.1 * rng.normal(size=means.shape) / width**0.5
    found.append(means[truth] + noise * rng.normal(size=(num, width)))
  return np.stack(found).astype('f'), truth


def _read(passes, truth, draws=None, rows=None, **settings):
  """Return the share of labels read, those of known samples aside."""
  rows = np.arange(CLASSES) if rows is None else rows
  if draws is None:
    draws = Draws(np.zeros(passes.shape[:2], int))
  found = attacks.gradient_labels(
    KEY, passes, draws, rows, truth[rows], num_classes=CLASSES, **settings
  )
  others = np.setdiff1d(np.arange(len(truth)), rows)
  return np.mean(np.asarray(found.labels == truth)[others]), found


@pytest.mark.parametrize('seed', SEEDS)
def test_classes_far_below_the_noise_are_read_in_wide_cuts(seed):
  passes, truth = _gradients(seed, width=3000, noise=0.2, num=800)
  known = passes[0][:CLASSES], truth[:CLASSES]
  stuck = attacks.cluster_labels(KEY, passes[0], *known, num_classes=CLASSES)
  share, found = _read(passes, truth)
  assert share > 0.9 > 0.6 > np.mean(stuck.labels == truth)
  assert CANDIDATES[int(found.chosen)] == 'denoised'


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('power', [-30, 0, 15])
def test_plain_gradients_are_read_whole_whatever_the_scale(dtype, power):
  passes, truth = _gradients(0)
  passes = jnp.asarray(passes * np.float32(10.0**power), dtype)
  share, found = _read(passes, truth)
  assert share == 1
  assert found.confidence > 0.9


@pytest.mark.parametrize('seed', SEEDS)
def test_mean_of_the_batch_hides_nothing(seed):
  gradients, truth = _gradients(seed)
  steps = np.arange(NUM)[None] // 60
  batches = [
    defenses.gradient_averaging.average(
      None, gradients[0, steps[0] == step], None, weight=0.99
    )
    for step in range(4)
  ]
  sent = np.concatenate(batches)[None]
  share, _ = _read(sent, truth, Draws(steps), counters=(Counter.BATCH_MEANS,))
  assert share > 0.95
  assert _read(sent, truth)[0] < 0.6


@pytest.mark.parametrize('seed', SEEDS)
def test_mixed_pairs_are_told_apart(seed):
  gradients, truth = _gradients(seed)
  rng = np.random.default_rng(seed)
  partners = rng.permutation(NUM)
  weight = np.where(seed % 2, 0.9, 0.1)
  sent = weight * gradients + (1 - weight) * gradients[:, partners]
  draws = Draws(
    np.zeros((1, NUM), int), partners[None], np.full((1, NUM), weight)
  )
  share, _ = _read(sent.astype('f'), truth, draws, counters=(Counter.PAIRS,))
  assert share > 0.95


@pytest.mark.parametrize('seed', SEEDS)
def test_noise_along_the_gradient_leaves_its_line(seed):
  gradients, truth = _gradients(seed)
  rng = np.random.default_rng(seed)
  sent = gradients * (1 + 3 * rng.normal(size=(1, NUM, 1))).astype('f')
  share, _ = _read(sent, truth, counters=(Counter.LINES,))
  assert share > 0.97 > 0.8 > _read(sent, truth)[0]


@pytest.mark.parametrize('seed', SEEDS)
def test_fresh_noise_cancels_over_passes(seed):
  passes, truth = _gradients(seed, noise=0.6, num_passes=12)
  one, all_passes = _read(passes[:1], truth)[0], _read(passes, truth)
  assert all_passes[0] > 0.95 > one + 0.15
  assert CANDIDATES[int(all_passes[1].chosen)] == 'passes'


def _released(seed, truth, probabilities, num_passes):
  """Return labels drawn anew in each pass."""
  rng = np.random.default_rng(seed)
  draws = rng.random((num_passes, NUM, 1))
  cumulated = np.cumsum(probabilities, axis=1)[truth]
  return np.sum(draws > cumulated[None], axis=-1)


@pytest.mark.parametrize('seed', SEEDS)
def test_labels_drawn_anew_are_votes(seed):
  _, truth = _gradients(seed)
  channel = Channel(
    np.full((CLASSES, CLASSES), 0.15) + 0.4 * np.eye(CLASSES),
    np.full(CLASSES, 1 / CLASSES),
  )
  released = _released(seed, truth, channel.probabilities, 30)
  rng = np.random.default_rng(seed)
  means = rng.normal(size=(CLASSES, 16)) / 4
  passes = means[released] + 0.05 * rng.normal(size=(30, NUM, 16))
  settings = dict(channel=channel, fresh=True)
  many = _read(passes.astype('f'), truth, **settings)
  few = _read(passes[:1].astype('f'), truth, **settings)
  assert many[0] > 0.95 > 0.8 > few[0]
  assert CANDIDATES[int(many[1].chosen)] == 'votes'


def test_channel_that_releases_one_class_leaves_its_prior():
  gradients, truth = _gradients(0)
  probabilities = np.zeros((CLASSES, CLASSES))
  probabilities[:, 2] = 1
  channel = Channel(probabilities, np.array([0.1, 0.5, 0.3, 0.1]))
  _, found = _read(gradients, truth, channel=channel)
  assert (found.labels == 1).all()


@pytest.mark.slow
def test_draws_of_known_samples_under_vmap_equal_a_loop():
  passes, truth = _gradients(1, noise=0.4, num_passes=2)
  draws = Draws(np.zeros((2, NUM), int))
  rng = np.random.default_rng(0)
  rows = np.stack(
    [
      [rng.choice(np.flatnonzero(truth == c)) for c in range(CLASSES)]
      for _ in range(3)
    ]
  )
  fn = lambda rows, labels: (
    attacks.gradient_labels(
      KEY, passes, draws, rows, labels, num_classes=CLASSES
    ).labels
  )
  expected = jnp.stack([fn(x, truth[x]) for x in rows])
  assert np.mean(jax.vmap(fn)(rows, truth[rows]) == expected) > 0.99


def test_two_classes_have_logits_of_both():
  passes, truth = _gradients(2)
  rows = np.array([0, 1])
  found = attacks.similarity_labels(
    KEY, passes[0][truth < 2], rows, truth[rows], num_classes=2
  )
  assert found.logits.shape == (np.sum(truth < 2), 2)
  assert np.mean(found.labels == truth[truth < 2]) > 0.95
  assert np.mean(jnp.argmax(found.logits, axis=1) == found.labels) > 0.95


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (dict(num_classes=1), 'num_classes must be at least 2'),
    (dict(aux_rows=np.array([0.0])), 'aux_rows must be integers'),
    (dict(aux_labels=np.array([0, 1, 2])), 'aux_labels must have shape'),
    (dict(vectors=np.ones((3, 2), int)), 'vectors must be of a floating type'),
  ],
)
def test_bad_arguments_are_named(change, message):
  good = dict(
    vectors=np.eye(3, dtype='f'),
    aux_rows=np.array([0]),
    aux_labels=np.array([0]),
    num_classes=2,
  )
  with pytest.raises(ValueError, match=message):
    attacks.similarity_labels(KEY, **good | change)


def test_a_rare_class_is_not_lost_among_parts_of_the_large_one():
  # Two percent of class 1, opposite to class 0, which has two parts of its
  # own: cutting class 0 in two explains more of the scaled coordinates.
  rng = np.random.default_rng(0)
  labels = (np.arange(600) % 50 == 0).astype(np.int32)
  parts = rng.integers(2, size=600)
  masks = np.zeros((2, 24))
  masks[0, :16] = masks[1, 8:] = 1
  sign = np.where(labels == 1, -1.0, 1.0)[:, None]
  size = rng.uniform(0.5, 1.5, (600, 1))
  vectors = sign * size * masks[parts] * rng.uniform(0.8, 1.2, (600, 24))
  rows = jnp.array([1, 50])
  found = attacks.similarity_labels(
    jax.random.key(0),
    jnp.asarray(vectors, jnp.float32),
    rows,
    jnp.asarray(labels)[rows],
    num_classes=2,
  )
  np.testing.assert_array_equal(found.labels, labels)
